"""Read an ONNX graph with protobuf and numpy: the `onnx` package is for writing, and large."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

# message, field, its number, label and type: the part of
# https://github.com/onnx/onnx/blob/main/onnx/onnx.proto that is needed to run a graph. Packed
# floating-point numbers are declared as bytes: numpy reads them as the block that they are
PROTO_FIELDS = [
    ("ModelProto", "graph", 7, "OPTIONAL", "GraphProto"),
    ("ModelProto", "metadata_props", 14, "REPEATED", "StringStringEntryProto"),
    ("StringStringEntryProto", "key", 1, "OPTIONAL", "STRING"),
    ("StringStringEntryProto", "value", 2, "OPTIONAL", "STRING"),
    ("GraphProto", "node", 1, "REPEATED", "NodeProto"),
    ("GraphProto", "initializer", 5, "REPEATED", "TensorProto"),
    ("NodeProto", "input", 1, "REPEATED", "STRING"),
    ("NodeProto", "output", 2, "REPEATED", "STRING"),
    ("NodeProto", "op_type", 4, "OPTIONAL", "STRING"),
    ("NodeProto", "attribute", 5, "REPEATED", "AttributeProto"),
    ("AttributeProto", "name", 1, "OPTIONAL", "STRING"),
    ("AttributeProto", "i", 3, "OPTIONAL", "INT64"),
    ("AttributeProto", "s", 4, "OPTIONAL", "STRING"),
    ("AttributeProto", "t", 5, "OPTIONAL", "TensorProto"),
    ("AttributeProto", "ints", 8, "REPEATED", "INT64"),
    ("TensorProto", "dims", 1, "REPEATED", "INT64"),
    ("TensorProto", "data_type", 2, "OPTIONAL", "INT32"),
    ("TensorProto", "float_data", 4, "OPTIONAL", "BYTES"),
    ("TensorProto", "int32_data", 5, "REPEATED", "INT32"),
    ("TensorProto", "int64_data", 7, "REPEATED", "INT64"),
    ("TensorProto", "name", 8, "OPTIONAL", "STRING"),
    ("TensorProto", "raw_data", 9, "OPTIONAL", "BYTES"),
    ("TensorProto", "double_data", 10, "OPTIONAL", "BYTES"),
]
TENSOR_DTYPES: dict[int, type[np.generic]] = {  # by TensorProto.DataType
    1: np.float32,
    2: np.uint8,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    11: np.float64,
}


class GraphNode(NamedTuple):
    """An operator and the names of its input and output tensors."""

    op_type: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]  # an int, a text, or an array


class OnnxGraph(NamedTuple):
    """The parts of a graph that are needed to run it."""

    nodes: list[GraphNode]
    constants: dict[str, np.ndarray]
    metadata: dict[str, str]


def parse_graph(content: bytes) -> OnnxGraph:
    """Parse an ONNX file. Raises ValueError if the content is no graph that can be read here."""
    try:
        model = ModelProto.FromString(content)
        if not model.HasField("graph"):
            raise ValueError("it has no graph")
        return OnnxGraph(
            [_read_node(node) for node in model.graph.node],
            {tensor.name: _read_tensor(tensor) for tensor in model.graph.initializer},
            {entry.key: entry.value for entry in model.metadata_props},
        )
    except (DecodeError, ValueError, KeyError) as error:
        raise ValueError(f"not a readable ONNX graph: {error}") from error


def _read_node(node: Any) -> GraphNode:
    attributes = {attribute.name: _read_attribute(attribute) for attribute in node.attribute}
    return GraphNode(node.op_type, list(node.input), list(node.output), attributes)


def _read_attribute(attribute: Any) -> Any:
    """Return an attribute's tensor, integers, text or single integer, whichever it has."""
    if attribute.HasField("t"):
        return _read_tensor(attribute.t)
    if attribute.ints:
        return np.array(attribute.ints, np.int64)
    if attribute.HasField("s"):
        return attribute.s
    if attribute.HasField("i"):
        return attribute.i
    raise ValueError(f"the attribute {attribute.name} has no value of a supported type")


def _read_tensor(tensor: Any) -> np.ndarray:
    dtype = TENSOR_DTYPES[tensor.data_type]
    block = tensor.raw_data or tensor.float_data or tensor.double_data
    if block:
        return np.frombuffer(block, dtype).reshape(tensor.dims)
    return np.array(tensor.int32_data or tensor.int64_data, dtype).reshape(tensor.dims)


def _build_model_class() -> Any:
    """Return the protobuf class of an ONNX file, as `PROTO_FIELDS` declares it.

    In a pool of its own, beside the `onnx` package's classes in the same process.
    """
    # edition 2023 tells an absent number from 0, and refuses text that is not UTF-8
    proto_file = FileDescriptorProto(name="onnx.proto", syntax="editions", edition="EDITION_2023")
    message_names = {message for message, *_ in PROTO_FIELDS}
    messages = {name: proto_file.message_type.add(name=name) for name in message_names}
    for message, name, number, label, type_name in PROTO_FIELDS:
        is_message = type_name in messages
        kind = {"type_name": f".{type_name}"} if is_message else {"type": f"TYPE_{type_name}"}
        messages[message].field.add(name=name, number=number, label=f"LABEL_{label}", **kind)
    pool = DescriptorPool()
    pool.Add(proto_file)
    return GetMessageClass(pool.FindMessageTypeByName("ModelProto"))


ModelProto = _build_model_class()
