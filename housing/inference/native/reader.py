"""Reads an ONNX graph with numpy alone: the `onnx` package is for writing, and large.

Numbers of fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

WIRE_VARINT, WIRE_I64, WIRE_LEN, WIRE_I32 = 0, 1, 2, 5  # how protobuf says a field is written
PACKED_FIELD_DTYPES = {4: np.float32, 10: np.float64}  # a tensor's fields of numbers of one size
TENSOR_DTYPES = {1: np.float32, 2: np.uint8, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}


class GraphNode(NamedTuple):
    """An operator and the names of the tensors it takes and gives."""

    op_type: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]  # an int, a text, or an array


class OnnxGraph(NamedTuple):
    """What a graph is made of."""

    nodes: list[GraphNode]
    constants: dict[str, np.ndarray]
    metadata: dict[str, str]  # the metadata


def parse_graph(content: bytes) -> OnnxGraph:
    """Raises ValueError if the content is not an ONNX graph that can be read here."""
    try:
        model = _parse_message(memoryview(content))
        [graph] = map(_parse_message, model[7])
        tensors = [_parse_message(one) for one in graph[5]]
        entries = [_parse_message(one) for one in model[14]]
        return OnnxGraph(
            [_parse_node(_parse_message(one)) for one in graph[1]],
            {_decode_text(one[8]): _parse_tensor(one) for one in tensors},
            {_decode_text(one[1]): _decode_text(one[2]) for one in entries},
        )
    except (ValueError, IndexError, KeyError, TypeError) as bad:
        raise ValueError(f"no ONNX graph that can be read: {bad}") from bad


def _parse_node(fields: dict[int, list]) -> GraphNode:
    attributes = {}
    for one in map(_parse_message, fields[5]):
        attributes[_decode_text(one[1])] = _parse_attribute(one)
    names = ([bytes(one).decode() for one in fields[which]] for which in (1, 2))
    return GraphNode(_decode_text(fields[4]), *names, attributes)


def _parse_attribute(fields: dict[int, list]) -> Any:
    if fields[5]:
        return _parse_tensor(_parse_message(fields[5][-1]))
    if fields[8]:
        return _decode_integers(fields[8])
    if fields[4]:
        return _decode_text(fields[4])
    return _to_signed(fields[3][-1])


def _parse_tensor(fields: dict[int, list]) -> np.ndarray:
    """A tensor: its numbers stand in one block of bytes, packed, or as varints one by one."""
    [kind] = fields[2]
    shape = _decode_integers(fields[1])
    if fields[9]:
        flat = np.frombuffer(fields[9][-1], TENSOR_DTYPES[kind])
    else:
        flat = np.array([], TENSOR_DTYPES[kind])
        for number, packed in PACKED_FIELD_DTYPES.items():
            if fields[number]:
                flat = np.frombuffer(fields[number][-1], packed)
        for number in (5, 7):
            if fields[number]:
                flat = _decode_integers(fields[number]).astype(TENSOR_DTYPES[kind])
    return flat.reshape(shape)


def _decode_integers(values: list[int | np.ndarray | memoryview]) -> np.ndarray:
    """One by one, in runs, or packed."""
    parts = [np.zeros(0, np.int64)]
    for one in values:
        if isinstance(one, memoryview):
            data = np.frombuffer(one, np.uint8)
            last = np.flatnonzero(data < 128)
            if len(data) and data[-1] > 127:
                raise ValueError("it ends within a number")
            parts.append(_decode_varints(data, np.concatenate([[0], last[:-1] + 1]), last))
        else:
            parts.append(np.array([_to_signed(one)]) if isinstance(one, int) else one)
    return np.concatenate(parts)


def _decode_varint_run(data: memoryview, tag: int) -> tuple[np.ndarray, int]:
    """The varints that follow each other, each after this same key; and where they end.

    Trees have a hundred thousand: read one by one they would take most of the time of a load.
    """
    found = np.frombuffer(data, np.uint8)
    last = np.flatnonzero(found < 128)
    last = last[: len(last) // 2 * 2]
    first = np.concatenate([[0], last[:-1] + 1])[: len(last)]
    keyed = (found[first[::2]] == tag) & (first[::2] == last[::2])
    count = int(np.argmin(keyed)) if not keyed.all() else len(keyed)
    numbers = _decode_varints(found, first[1::2][:count], last[1::2][:count])
    return numbers, int(last[2 * count - 1]) + 1 if count else 0


def _decode_varints(
    data: np.ndarray, first_bytes: np.ndarray, last_bytes: np.ndarray
) -> np.ndarray:
    """Varints from their first to their last bytes."""
    made = np.zeros(len(first_bytes), np.uint64)
    longest = int((last_bytes - first_bytes).max(initial=0))
    if longest > 9:
        raise ValueError("a number has more than ten bytes")
    for at in range(longest + 1):
        more = first_bytes + at <= last_bytes
        made[more] |= (data[first_bytes[more] + at] & 127).astype(np.uint64) << np.uint64(7 * at)
    return made.view(np.int64)


def _to_signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _decode_text(values: list[memoryview]) -> str:
    return bytes(values[-1]).decode() if values else ""


def _parse_message(data: memoryview) -> dict[int, list]:
    """Each field's values: numbers and runs of them for varints, bytes for what has a length."""
    found = defaultdict(list)
    for number, value in _iter_fields(data):
        found[number].append(value)
    return found


def _iter_fields(data: memoryview) -> Iterator[tuple[int, int | np.ndarray | memoryview]]:
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == WIRE_VARINT:
            value, at = _read_varint(data, at)
            yield number, value
            if key < 128 and at < len(data) and data[at] == key:
                values, size = _decode_varint_run(data[at:], key)
                yield number, values
                at += size
            continue
        if kind == WIRE_LEN:
            length, at = _read_varint(data, at)
        else:
            length = {WIRE_I64: 8, WIRE_I32: 4}[kind]
        if at + length > len(data):
            raise ValueError(f"it ends within a field, after {len(data):,} bytes")
        yield number, data[at : at + length]
        at += length


def _read_varint(data: memoryview, offset: int) -> tuple[int, int]:
    result = data[offset]
    if result < 128:
        return result, offset + 1
    result, shift = result & 127, 7
    while True:
        offset += 1
        result |= (data[offset] & 127) << shift
        if data[offset] < 128:
            return result, offset + 1
        shift += 7
