"""Read an ONNX graph with numpy alone: the `onnx` package is for writing, and large.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

WIRE_VARINT, WIRE_I64, WIRE_LEN, WIRE_I32 = 0, 1, 2, 5  # protobuf's numbers of the wire types
PACKED_FIELD_DTYPES = {4: np.float32, 10: np.float64}  # a tensor's fields of fixed-size numbers
INTEGER_FIELDS = (5, 7)  # a tensor's fields of varints: int32_data and int64_data
TENSOR_DTYPES: dict[int, type[np.generic]] = {
    1: np.float32,
    2: np.uint8,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    11: np.float64,
}
MAX_VARINT_BYTES = 10  # protobuf's limit for 64 bits

# a field's values: integers and arrays of them for varints, bytes for a field with a length
FieldValue = int | np.ndarray | memoryview


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
        model = _parse_message(memoryview(content))
        [graph] = map(_parse_message, model[7])
        tensors = [_parse_message(tensor) for tensor in graph[5]]
        entries = [_parse_message(entry) for entry in model[14]]
        return OnnxGraph(
            [_parse_node(_parse_message(node)) for node in graph[1]],
            {_decode_text(tensor[8]): _parse_tensor(tensor) for tensor in tensors},
            {_decode_text(entry[1]): _decode_text(entry[2]) for entry in entries},
        )
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"not a readable ONNX graph: {error}") from error


def _parse_node(fields: dict[int, list]) -> GraphNode:
    attributes = {}
    for attribute in map(_parse_message, fields[5]):
        attributes[_decode_text(attribute[1])] = _parse_attribute(attribute)
    inputs, outputs = ([bytes(name).decode() for name in fields[number]] for number in (1, 2))
    return GraphNode(_decode_text(fields[4]), inputs, outputs, attributes)


def _parse_attribute(fields: dict[int, list]) -> Any:
    """Return an attribute's tensor, integers, text or single integer, whichever it has."""
    if fields[5]:
        return _parse_tensor(_parse_message(fields[5][-1]))
    if fields[8]:
        return _decode_integers(fields[8])
    if fields[4]:
        return _decode_text(fields[4])
    return _to_signed(fields[3][-1])


def _parse_tensor(fields: dict[int, list]) -> np.ndarray:
    """Return a tensor, whose numbers are stored as one block of bytes, packed, or as varints."""
    [type_number] = fields[2]
    dtype = TENSOR_DTYPES[type_number]
    shape = _decode_integers(fields[1])
    if fields[9]:
        flat: np.ndarray = np.frombuffer(fields[9][-1], dtype)
    else:
        flat = np.array([], dtype)
        for number, packed_dtype in PACKED_FIELD_DTYPES.items():
            if fields[number]:
                flat = np.frombuffer(fields[number][-1], packed_dtype)
        for number in INTEGER_FIELDS:
            if fields[number]:
                flat = _decode_integers(fields[number]).astype(dtype)
    return flat.reshape(shape)


def _decode_integers(values: list[FieldValue]) -> np.ndarray:
    """Return the (n,) int64 numbers of a field: single ones, runs, and packed ones."""
    arrays = [np.zeros(0, np.int64)]
    for value in values:
        if isinstance(value, memoryview):
            data = np.frombuffer(value, np.uint8)
            last_bytes = np.flatnonzero(data < 128)
            if len(data) and data[-1] > 127:
                raise ValueError("it ends within a number")
            first_bytes = np.concatenate([[0], last_bytes[:-1] + 1])
            arrays.append(_decode_varints(data, first_bytes, last_bytes))
        else:
            arrays.append(np.array([_to_signed(value)]) if isinstance(value, int) else value)
    return np.concatenate(arrays)


def _decode_varint_run(data: memoryview, tag: int) -> tuple[np.ndarray, int]:
    """Return the consecutive varints that each follow this same one-byte tag, and where they end.

    Trees have a hundred thousand: reading them one by one would take most of the time of a load.
    """
    buffer = np.frombuffer(data, np.uint8)
    last_bytes = np.flatnonzero(buffer < 128)
    last_bytes = last_bytes[: len(last_bytes) // 2 * 2]  # pairs: a tag, then its number
    first_bytes = np.concatenate([[0], last_bytes[:-1] + 1])[: len(last_bytes)]
    is_tag = (buffer[first_bytes[::2]] == tag) & (first_bytes[::2] == last_bytes[::2])
    count = int(np.argmin(is_tag)) if not is_tag.all() else len(is_tag)
    numbers = _decode_varints(buffer, first_bytes[1::2][:count], last_bytes[1::2][:count])
    return numbers, int(last_bytes[2 * count - 1]) + 1 if count else 0


def _decode_varints(
    data: np.ndarray, first_bytes: np.ndarray, last_bytes: np.ndarray
) -> np.ndarray:
    """Return the (n,) int64 numbers between the (n,) positions of their first and last bytes."""
    numbers = np.zeros(len(first_bytes), np.uint64)
    max_length = int((last_bytes - first_bytes).max(initial=0)) + 1
    if max_length > MAX_VARINT_BYTES:
        raise ValueError("a number has more than ten bytes")
    for position in range(max_length):
        has_byte = first_bytes + position <= last_bytes
        low_bits = (data[first_bytes[has_byte] + position] & 127).astype(np.uint64)
        numbers[has_byte] |= low_bits << np.uint64(7 * position)
    return numbers.view(np.int64)


def _to_signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _decode_text(values: list[memoryview]) -> str:
    return bytes(values[-1]).decode() if values else ""


def _parse_message(data: memoryview) -> dict[int, list]:
    """Return the values of each field of a message by its number; [] for a field it lacks."""
    fields: dict[int, list] = defaultdict(list)
    for number, value in _iter_fields(data):
        fields[number].append(value)
    return fields


def _iter_fields(data: memoryview) -> Iterator[tuple[int, FieldValue]]:
    """Yield the number and the value of each field. Raises ValueError if one is cut short."""
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == WIRE_VARINT:
            value, position = _read_varint(data, position)
            yield number, value
            if tag < 128 and position < len(data) and data[position] == tag:
                values, size = _decode_varint_run(data[position:], tag)
                yield number, values
                position += size
            continue
        if wire_type == WIRE_LEN:
            length, position = _read_varint(data, position)
        else:
            length = {WIRE_I64: 8, WIRE_I32: 4}[wire_type]
        if position + length > len(data):
            raise ValueError(f"it ends within a field, after {len(data):,} bytes")
        yield number, data[position : position + length]
        position += length


def _read_varint(data: memoryview, offset: int) -> tuple[int, int]:
    """Return the number that starts at the offset, and the offset behind it."""
    number = data[offset]
    if number < 128:
        return number, offset + 1
    number, shift = number & 127, 7
    while True:
        offset += 1
        number |= (data[offset] & 127) << shift
        if data[offset] < 128:
            return number, offset + 1
        shift += 7
