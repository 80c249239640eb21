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
    params = family.initial_params | {"trees": 21}  # two times eight, and five
    model = family.build(params, 0).fit(train[FEATURE_NAMES], train[TARGET])
    return onnx_export.to_onnx(model)


def test_it_is_c_that_answers(content):
    assert isinstance(served_model.load(content).run, bindings.NativeGraph)
    assert not isinstance(served_model.load(content, use_native=False).run, bindings.NativeGraph)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 31, 32, 33, 100])
def test_a_row_gets_the_same_answer_in_any_company(content, count):
    """Eight rows walk down a tree together; the rest walk down eight trees one by one."""
    served, rows = served_model.load(content), served_model.random_rows(100)
    one_by_one = [served_model.predict(served, row[None, :])[0] for row in rows[:count]]
    assert served_model.predict(served, rows[:count]).tolist() == one_by_one


@pytest.mark.parametrize(
    "leaves", [2, 3, MAX_BITMASK_LEAVES - 1, MAX_BITMASK_LEAVES, MAX_BITMASK_LEAVES + 1, 400]
)
def test_a_tree_of_any_size_answers_as_onnxruntime_does(leaves):
    """Whether its splits are all compared at once or it is walked; on the splits themselves too."""
    train = generate_sample(4_000)
    for seed in range(3):
        model = FAMILIES["tree"].build({"max_leaf_nodes": leaves}, seed)
        model.fit(train[FEATURE_NAMES], train[TARGET])
        assert model.get_n_leaves() == leaves
        content = onnx_export.to_onnx(model)
        forest = CompiledGraph(reader.parse_graph(content), len(FEATURE_NAMES)).trees
        assert (len(forest.small_leaf_values), len(forest.roots)) == (
            (leaves, 0) if leaves <= MAX_BITMASK_LEAVES else (0, 1)
        )
        rows = [
            train[FEATURE_NAMES],
            served_model.random_rows(500),
            served_model.split_boundary_rows(content, train[FEATURE_NAMES].to_numpy(), 500),
        ]
        rows = np.vstack([one for one in rows if len(one)])
        served, other = served_model.load(content), served_model.load(content, use_native=False)
        np.testing.assert_array_equal(
            served_model.predict(served, rows), served_model.predict(other, rows)
        )
        np.testing.assert_allclose(
            served_model.predict(served, train[FEATURE_NAMES].to_numpy()),
            model.predict(train[FEATURE_NAMES]),
            rtol=1e-12,
        )


def test_an_interval_ends_where_numpy_says():
    rng = np.random.default_rng(0)
    lows, highs = (
        -rng.exponential(1, len(price_bands.BAND_UPPER_EDGES)),
        rng.exponential(1, len(price_bands.BAND_UPPER_EDGES)),
    )
    highs[2] = -10  # a band in which no value fits
    guess = np.r_[
        rng.uniform(-1, 7, 20_000), price_bands.BAND_LOWER_EDGES, price_bands.BAND_UPPER_EDGES
    ]
    found = np.stack([guess, rng.exponential(0.5, len(guess))], 1)
    expected = np.stack([guess, *price_bands.interval_bounds(*found.T, lows, highs)], 1)
    bound = bindings.NativeIntervals(lows, highs, bindings.load_library())
    np.testing.assert_array_equal(bound(found), expected)
    assert bound(found[:0]).shape == (0, 3)


def test_a_row_that_is_no_number_is_refused(content):
    rows = served_model.random_rows(10)
    rows[3, 6] = np.nan
    with pytest.raises(ValueError, match="no number"):
        served_model.predict(served_model.load(content), rows)


def test_rows_of_another_width_are_refused(content):
    with pytest.raises(ValueError, match=r"expected \(n, 8\)"):
        served_model.load(content).run(
            np.zeros((2, 7)), np.zeros((2, 2, 10)), np.zeros((2, 2, 10), np.int64)
        )


def test_an_operator_that_c_does_not_know_is_left_to_onnxruntime(content):
    model = onnx.load_from_string(content)
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(onnx.helper.make_node("Abs", ["before"], ["house_value"]))
    rows = served_model.random_rows(20)
    served = served_model.load(model.SerializeToString())
    assert not isinstance(served.run, bindings.NativeGraph)
    expected = np.abs(served_model.predict(served_model.load(content, use_native=False), rows))
    np.testing.assert_array_equal(served_model.predict(served, rows), expected)


def _with_trees(content, **changed):
    """The graph with other attributes in its first TreeEnsemble."""
    model = onnx.load_from_string(content)
    trees = next(one for one in model.graph.node if one.op_type == "TreeEnsemble")
    for attribute in trees.attribute:
        if attribute.name in changed:
            changed[attribute.name](attribute)
    return model.SerializeToString()


def test_trees_that_lead_out_of_bounds_are_refused(content):
    def program(**changed):
        file = reader.parse_graph(_with_trees(content, **changed))
        return CompiledGraph(file, len(FEATURE_NAMES), (2, 10))

    def to(value):
        return lambda attribute: attribute.ints.__setitem__(0, value)

    program()
    with pytest.raises(ValueError, match="ask feature 999"):
        program(nodes_featureids=to(999))
    with pytest.raises(ValueError, match="ask feature"):
        program(nodes_featureids=to(-1))
    with pytest.raises(ValueError, match="reached twice"):
        program(nodes_truenodeids=to(0), nodes_trueleafs=to(0))
    for bad in (10**9, -1):
        with pytest.raises(ValueError, match="lead to"):
            program(nodes_truenodeids=to(bad))
        with pytest.raises(ValueError, match="lead to"):
            program(tree_roots=to(bad))


def test_a_damaged_file_is_refused_or_answered_but_never_brings_the_process_down(content):
    """One byte wrong, here and there: an index that leads elsewhere must not be followed."""
    rng, rows = np.random.default_rng(0), served_model.random_rows(3)
    answered = 0
    for _ in range(150):
        damaged = bytearray(content)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        with suppress(Exception):
            answered += len(served_model.predict(served_model.load(bytes(damaged)), rows)) == 3
    assert answered > 75  # most bytes are digits of numbers


def test_a_library_older_than_its_source_is_not_used(tmp_path, monkeypatch):
    """After `git pull` the old one would read what the new program says in the old way."""
    for path in bindings.Path(bindings.__file__).parent.glob("*native*"):
        shutil.copy2(path, tmp_path)
    monkeypatch.setattr(bindings, "__file__", str(tmp_path / "native.py"))
    assert bindings.load_library.__wrapped__() is not None
    source = tmp_path / "native.c"
    os.utime(source, (time.time() + 60,) * 2)
    assert bindings.load_library.__wrapped__() is None


def test_constants_keep_their_last_digit(content):
    """What C reads of the file is what training wrote."""
    expected = onnx.load_from_string(content).graph.initializer
    constants = reader.parse_graph(content).constants
    for one in expected:
        assert constants[one.name].tobytes() == numpy_helper.to_array(one).tobytes()
