import os
import shutil
import time
from contextlib import suppress

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from housing.data.synthetic import generate_sample
from housing.export import onnx_export
from housing.inference import price_bands, served_model
from housing.inference.native import bindings, reader
from housing.inference.native.compiler import CompiledGraph
from housing.inference.native.tree_ensemble import MAX_BITMASK_LEAVES
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES, TARGET

pytestmark = pytest.mark.skipif(
    bindings.load_library() is None, reason="no C compiler built native.c"
)


@pytest.fixture(scope="module")
def content():
    train, family = generate_sample(400), FAMILIES["blend"]
    params = family.initial_params | {"trees": 21}  # twice eight trees, and five
    model = family.build(params, 0).fit(train[FEATURE_NAMES], train[TARGET])
    return onnx_export.to_onnx(model)


def test_predictions_come_from_c(content):
    assert isinstance(served_model.load(content).run, bindings.NativeGraph)
    assert not isinstance(served_model.load(content, use_native=False).run, bindings.NativeGraph)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 31, 32, 33, 100])
def test_a_row_gets_the_same_prediction_in_any_batch(content, count):
    """Eight rows walk a tree together; each remaining row walks eight trees at once."""
    model, rows = served_model.load(content), served_model.random_rows(100)
    one_by_one = [served_model.predict(model, row[None, :])[0] for row in rows[:count]]
    assert served_model.predict(model, rows[:count]).tolist() == one_by_one


@pytest.mark.parametrize(
    "leaves", [2, 3, MAX_BITMASK_LEAVES - 1, MAX_BITMASK_LEAVES, MAX_BITMASK_LEAVES + 1, 400]
)
def test_a_tree_of_any_size_predicts_as_in_onnxruntime(leaves):
    """Whether all its splits are compared or it is walked; on the splits themselves too."""
    train = generate_sample(4_000)
    for seed in range(3):
        model = FAMILIES["tree"].build({"max_leaf_nodes": leaves}, seed)
        model.fit(train[FEATURE_NAMES], train[TARGET])
        assert model.get_n_leaves() == leaves
        content = onnx_export.to_onnx(model)
        trees = CompiledGraph(reader.parse_graph(content), len(FEATURE_NAMES)).trees
        assert (len(trees.small_leaf_values), len(trees.roots)) == (
            (leaves, 0) if leaves <= MAX_BITMASK_LEAVES else (0, 1)
        )
        train_rows = train[FEATURE_NAMES].to_numpy()
        boundary_rows = served_model.split_boundary_rows(content, train_rows, 500)
        assert len(boundary_rows)
        rows = np.vstack([train_rows, served_model.random_rows(500), boundary_rows])
        native = served_model.load(content)
        reference = served_model.load(content, use_native=False)
        np.testing.assert_array_equal(
            served_model.predict(native, rows), served_model.predict(reference, rows)
        )
        np.testing.assert_allclose(
            served_model.predict(native, train_rows),
            model.predict(train[FEATURE_NAMES]),
            rtol=1e-12,
        )


def test_intervals_are_those_of_numpy():
    rng = np.random.default_rng(0)
    n_bands = len(price_bands.BAND_UPPER_EDGES)
    lower, upper = -rng.exponential(1, n_bands), rng.exponential(1, n_bands)
    upper[2] = -10  # a band in which no value fits
    predictions = np.r_[
        rng.uniform(-1, 7, 20_000), price_bands.BAND_LOWER_EDGES, price_bands.BAND_UPPER_EDGES
    ]
    scales = rng.exponential(0.5, len(predictions))
    bounds = price_bands.interval_bounds(predictions, scales, lower, upper)
    compute_intervals = bindings.NativeIntervals(lower, upper, bindings.load_library())
    rows = np.stack([predictions, scales], 1)
    np.testing.assert_array_equal(compute_intervals(rows), np.stack([predictions, *bounds], 1))
    assert compute_intervals(rows[:0]).shape == (0, 3)


def test_a_row_with_a_value_that_is_not_a_number_is_refused(content):
    rows = served_model.random_rows(10)
    rows[3, 6] = np.nan
    with pytest.raises(ValueError, match="not a number"):
        served_model.predict(served_model.load(content), rows)


def test_rows_of_another_width_are_refused(content):
    with pytest.raises(ValueError, match=r"expected \(n, 8\)"):
        served_model.load(content).run(
            np.zeros((2, 7)), np.zeros((2, 2, 10)), np.zeros((2, 2, 10), np.int64)
        )


def test_a_graph_with_an_operator_unknown_to_c_runs_in_onnxruntime(content):
    model = onnx.load_from_string(content)
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(onnx.helper.make_node("Abs", ["before"], ["house_value"]))
    rows = served_model.random_rows(20)
    served = served_model.load(model.SerializeToString())
    assert not isinstance(served.run, bindings.NativeGraph)
    expected = np.abs(served_model.predict(served_model.load(content, use_native=False), rows))
    np.testing.assert_array_equal(served_model.predict(served, rows), expected)


@pytest.mark.parametrize("inputs", [["before"], ["before", "before", "before"]])
def test_the_maximum_of_another_count_than_two_runs_in_onnxruntime(content, inputs):
    model = onnx.load_from_string(content)
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(onnx.helper.make_node("Max", inputs, ["house_value"]))
    served, rows = served_model.load(model.SerializeToString()), served_model.random_rows(20)
    assert not isinstance(served.run, bindings.NativeGraph)
    expected = served_model.predict(served_model.load(content, use_native=False), rows)
    np.testing.assert_array_equal(served_model.predict(served, rows), expected)


def change_first_trees(content, **changes):
    """Return a graph with attributes of its first TreeEnsemble changed by functions."""
    model = onnx.load_from_string(content)
    trees = next(node for node in model.graph.node if node.op_type == "TreeEnsemble")
    for attribute in trees.attribute:
        if attribute.name in changes:
            changes[attribute.name](attribute)
    return model.SerializeToString()


def test_trees_that_lead_out_of_bounds_are_refused(content):
    def compile_graph(**changes):
        graph = reader.parse_graph(change_first_trees(content, **changes))
        return CompiledGraph(graph, len(FEATURE_NAMES), (2, 10))

    def set_first(value):
        return lambda attribute: attribute.ints.__setitem__(0, value)

    compile_graph()
    with pytest.raises(ValueError, match="read feature 999"):
        compile_graph(nodes_featureids=set_first(999))
    with pytest.raises(ValueError, match="read feature -1"):
        compile_graph(nodes_featureids=set_first(-1))
    with pytest.raises(ValueError, match="reached twice"):
        compile_graph(nodes_truenodeids=set_first(0), nodes_trueleafs=set_first(0))
    for number in (10**9, -1):
        with pytest.raises(ValueError, match=f"lead to node {number}"):
            compile_graph(nodes_truenodeids=set_first(number))
        with pytest.raises(ValueError, match=f"lead to node {number}"):
            compile_graph(tree_roots=set_first(number))


def test_a_damaged_file_is_refused_or_served_but_never_crashes_the_process(content):
    """One random byte is changed: an index out of bounds must not be followed."""
    rng, rows = np.random.default_rng(0), served_model.random_rows(3)
    n_served = 0
    for _ in range(50):
        damaged = bytearray(content)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        with suppress(Exception):
            n_served += len(served_model.predict(served_model.load(bytes(damaged)), rows)) == 3
    assert n_served > 25  # most bytes are digits of numbers


def test_a_library_older_than_its_source_is_not_used(tmp_path, monkeypatch):
    """After `git pull` the old library would misread what the new compiler writes."""
    for path in bindings.Path(bindings.__file__).parent.glob("*native*"):
        shutil.copy2(path, tmp_path)
    monkeypatch.setattr(bindings, "__file__", str(tmp_path / "native.py"))
    assert bindings.load_library.__wrapped__() is not None
    source = tmp_path / "native.c"
    os.utime(source, (time.time() + 60,) * 2)
    assert bindings.load_library.__wrapped__() is None


def test_constants_keep_their_last_digit(content):
    """The numbers that C reads of the file are those that the export wrote."""
    tensors = onnx.load_from_string(content).graph.initializer
    constants = reader.parse_graph(content).constants
    for tensor in tensors:
        assert constants[tensor.name].tobytes() == numpy_helper.to_array(tensor).tobytes()
