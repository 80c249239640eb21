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


def test_a_graph_is_read_as_the_onnx_package_reads_it(content):
    graph, expected = reader.parse_graph(content), onnx.load_from_string(content)
    assert [(node.op_type, node.inputs, node.outputs) for node in graph.nodes] == [
        (node.op_type, list(node.input), list(node.output)) for node in expected.graph.node
    ]
    assert graph.metadata == {entry.key: entry.value for entry in expected.metadata_props}
    tensors = expected.graph.initializer
    assert list(graph.constants) == [tensor.name for tensor in tensors]
    for tensor in tensors:
        np.testing.assert_array_equal(graph.constants[tensor.name], numpy_helper.to_array(tensor))


def test_every_attribute_is_read(content):
    for node, expected in zip(
        reader.parse_graph(content).nodes, onnx.load_from_string(content).graph.node, strict=True
    ):
        assert list(node.attributes) == [attribute.name for attribute in expected.attribute]
        for attribute in expected.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            if isinstance(value, onnx.TensorProto):
                value = numpy_helper.to_array(value)
            if isinstance(value, bytes):
                value = value.decode()
            np.testing.assert_array_equal(node.attributes[attribute.name], value)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_not_a_graph(content, share):
    with pytest.raises(ValueError, match="not a readable ONNX graph"):
        reader.parse_graph(content[: int(len(content) * share)])


def test_a_web_page_is_not_a_graph():
    with pytest.raises(ValueError, match="not a readable ONNX graph"):
        reader.parse_graph(b"<html>Not found</html>")


@pytest.mark.parametrize("numbers", [[7], [1, 1], [3, -1, 2**62, -(2**63), 0], [5] * 300])
def test_integers_are_read_one_by_one_in_runs_and_packed(numbers):
    node = onnx.helper.make_node("Some", ["in"], ["out"], first=numbers, last=1)
    packed = onnx.helper.make_tensor("packed", onnx.TensorProto.INT64, [len(numbers)], numbers)
    onnx_graph = onnx.helper.make_graph([node], "some", [], [], [packed])
    graph = reader.parse_graph(onnx.helper.make_model(onnx_graph).SerializeToString())
    assert graph.nodes[0].attributes["first"].tolist() == numbers
    assert graph.nodes[0].attributes["last"] == 1
    assert graph.constants["packed"].tolist() == numbers


def test_a_number_that_never_ends_is_refused():
    node = onnx.helper.make_node("Some", ["in"], ["out"], first=[2**62] * 9)
    onnx_graph = onnx.helper.make_graph([node], "some", [], [])
    content = onnx.helper.make_model(onnx_graph).SerializeToString()
    number = b"\x80" * 8 + b"\x40"
    assert number in content
    with pytest.raises(ValueError, match="not a readable ONNX graph"):
        reader.parse_graph(content.replace(number, b"\x80" * 9))


def test_an_attribute_of_another_type_is_refused():
    node = onnx.helper.make_node("Gemm", ["in"], ["out"], alpha=0.5)
    content = onnx.helper.make_model(onnx.helper.make_graph([node], "some", [], []))
    with pytest.raises(ValueError, match="not a readable ONNX graph: the attribute alpha"):
        reader.parse_graph(content.SerializeToString())


def test_a_name_that_is_not_utf8_is_refused():
    node = onnx.helper.make_node("Identity", ["rows"], ["out"])
    content = onnx.helper.make_model(onnx.helper.make_graph([node], "some", [], []))
    with pytest.raises(ValueError, match="not a readable ONNX graph"):
        reader.parse_graph(content.SerializeToString().replace(b"rows", b"\xff\xfews"))


def test_no_part_of_a_graph_is_read_as_a_graph():
    node = onnx.helper.make_node("Identity", ["rows"], ["house_value"], axes=[1, 2], axis=1)
    table = onnx.helper.make_tensor("table", onnx.TensorProto.DOUBLE, [2], [0.5, 1.5])
    graph = onnx.helper.make_graph([node], "some", [], [], [table])
    content, part = onnx.helper.make_model(graph).SerializeToString(), graph.SerializeToString()
    for size in range(content.index(part) + len(part)):
        with pytest.raises(ValueError, match="not a readable ONNX graph"):
            reader.parse_graph(content[:size])


@pytest.mark.parametrize("name", ["FLOAT", "DOUBLE", "UINT8", "BOOL", "INT32", "INT64"])
@pytest.mark.parametrize("raw", [True, False], ids=["as bytes", "as numbers"])
def test_a_tensor_of_each_type_is_read(name, raw):
    """Graphs registered earlier have numbers where today's have bytes."""
    element_type = onnx.TensorProto.DataType.Value(name)
    expected = np.array([[1, 0, 1]], onnx.helper.tensor_dtype_to_np_dtype(element_type))
    values = expected.tobytes() if raw else expected.ravel()
    tensor = onnx.helper.make_tensor("numbers", element_type, [1, 3], values, raw)
    node = onnx.helper.make_node("Some", [], ["out"], value=tensor)
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "some", [], [], [tensor]))
    graph = reader.parse_graph(model.SerializeToString())
    for numbers in (graph.constants["numbers"], graph.nodes[0].attributes["value"]):
        assert numbers.dtype == expected.dtype
        np.testing.assert_array_equal(numbers, expected)
