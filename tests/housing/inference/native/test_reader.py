import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from housing.data.synthetic import generate_sample
from housing.export import onnx_export
from housing.inference.native import reader
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES, TARGET


@pytest.fixture(scope="module", params=["linear", "neighbours", "blend"])
def content(request):
    train, family = generate_sample(200), FAMILIES[request.param]
    model = family.build(family.initial_params, 0).fit(train[FEATURE_NAMES], train[TARGET])
    return onnx_export.to_onnx(model)


def test_it_reads_what_the_onnx_package_reads(content):
    file, expected = reader.parse_graph(content), onnx.load_from_string(content)
    assert [one.op_type for one in file.nodes] == [one.op_type for one in expected.graph.node]
    assert [one.inputs for one in file.nodes] == [list(one.input) for one in expected.graph.node]
    assert [one.outputs for one in file.nodes] == [list(one.output) for one in expected.graph.node]
    assert file.metadata == {one.key: one.value for one in expected.metadata_props}
    assert list(file.constants) == [one.name for one in expected.graph.initializer]
    for one in expected.graph.initializer:
        np.testing.assert_array_equal(file.constants[one.name], numpy_helper.to_array(one))


def test_it_reads_every_attribute(content):
    for node, expected in zip(
        reader.parse_graph(content).nodes, onnx.load_from_string(content).graph.node, strict=True
    ):
        assert list(node.attributes) == [one.name for one in expected.attribute]
        for one in expected.attribute:
            value = onnx.helper.get_attribute_value(one)
            if isinstance(value, onnx.TensorProto):
                value = numpy_helper.to_array(value)
            if isinstance(value, bytes):
                value = value.decode()
            np.testing.assert_array_equal(node.attributes[one.name], value)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.999])
def test_a_file_cut_short_is_no_graph(content, share):
    with pytest.raises(ValueError, match="no ONNX graph that can be read"):
        reader.parse_graph(content[: int(len(content) * share)])


def test_something_else_is_no_graph():
    with pytest.raises(ValueError, match="no ONNX graph that can be read"):
        reader.parse_graph(b"<html>Not found</html>")


@pytest.mark.parametrize("numbers", [[7], [1, 1], [3, -1, 2**62, -(2**63), 0], [5] * 300])
def test_it_reads_whole_numbers_one_by_one_in_runs_and_packed(numbers):
    node = onnx.helper.make_node("Some", ["in"], ["out"], first=numbers, last=1)
    packed = onnx.helper.make_tensor("packed", onnx.TensorProto.INT64, [len(numbers)], numbers)
    made = onnx.helper.make_graph([node], "some", [], [], [packed])
    file = reader.parse_graph(onnx.helper.make_model(made).SerializeToString())
    assert file.nodes[0].attributes["first"].tolist() == numbers
    assert file.nodes[0].attributes["last"] == 1
    assert file.constants["packed"].tolist() == numbers


def test_a_number_that_never_ends_is_no_graph():
    node = onnx.helper.make_node("Some", ["in"], ["out"], first=[2**62] * 9)
    made = onnx.helper.make_graph([node], "some", [], [])
    content = onnx.helper.make_model(made).SerializeToString()
    number = b"\x80" * 8 + b"\x40"
    assert number in content
    with pytest.raises(ValueError, match="no ONNX graph"):
        reader.parse_graph(content.replace(number, b"\x80" * 9))
