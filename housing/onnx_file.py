"""Reads an ONNX graph with numpy alone: the `onnx` package is for writing, and large.

Numbers of fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5  # how protobuf says a field is written
PACKED = {4: np.float32, 10: np.float64}  # a tensor's fields of numbers of one size
KINDS = {1: np.float32, 2: np.uint8, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}


class Node(NamedTuple):
    """An operator and the names of the tensors it takes and gives."""

    operator: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]  # an int, a text, or an array


class File(NamedTuple):
    """What a graph is made of."""

    nodes: list[Node]
    constants: dict[str, np.ndarray]
    told: dict[str, str]  # the metadata


def read(content: bytes) -> File:
    """Raises ValueError if the content is not an ONNX graph that can be read here."""
    try:
        model = _message(memoryview(content))
        [graph] = map(_message, model[7])
        tensors = [_message(one) for one in graph[5]]
        entries = [_message(one) for one in model[14]]
        return File(
            [_node(_message(one)) for one in graph[1]],
            {_text(one[8]): _array(one) for one in tensors},
            {_text(one[1]): _text(one[2]) for one in entries},
        )
    except (ValueError, IndexError, KeyError, TypeError) as bad:
        raise ValueError(f"no ONNX graph that can be read: {bad}") from bad


def _node(fields: dict[int, list]) -> Node:
    attributes = {}
    for one in map(_message, fields[5]):
        attributes[_text(one[1])] = _value(one)
    names = ([bytes(one).decode() for one in fields[which]] for which in (1, 2))
    return Node(_text(fields[4]), *names, attributes)


def _value(fields: dict[int, list]) -> Any:
    if fields[5]:
        return _array(_message(fields[5][-1]))
    if fields[8]:
        return np.array(_integers(fields[8]))
    if fields[4]:
        return _text(fields[4])
    return _signed(fields[3][-1])


def _array(fields: dict[int, list]) -> np.ndarray:
    """A tensor: its numbers stand in one block of bytes, packed, or as varints one by one."""
    [kind] = fields[2]
    shape = _integers(fields[1])
    if fields[9]:
        flat = np.frombuffer(fields[9][-1], KINDS[kind])
    else:
        flat = np.array([], KINDS[kind])
        for number, packed in PACKED.items():
            if fields[number]:
                flat = np.frombuffer(fields[number][-1], packed)
        for number in (5, 7):
            if fields[number]:
                flat = np.array(_integers(fields[number]), KINDS[kind])
    return flat.reshape(shape)


def _integers(values: list[int | memoryview]) -> list[int]:
    found: list[int] = []
    for one in values:
        if isinstance(one, int):
            found.append(_signed(one))
            continue
        at = 0
        while at < len(one):
            number, at = _varint(one, at)
            found.append(_signed(number))
    return found


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _text(values: list[memoryview]) -> str:
    return bytes(values[-1]).decode() if values else ""


def _message(data: memoryview) -> dict[int, list]:
    """Each field's values: numbers for varints, bytes for what has a length."""
    found = defaultdict(list)
    for number, value in _fields(data):
        found[number].append(value)
    return found


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == BYTES:
            length, at = _varint(data, at)
        else:
            length = {EIGHT_BYTES: 8, FOUR_BYTES: 4}[kind]
        if at + length > len(data):
            raise ValueError(f"it ends within a field, after {len(data):,} bytes")
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    result = data[at]
    if result < 128:
        return result, at + 1
    result, shift = result & 127, 7
    while True:
        at += 1
        result |= (data[at] & 127) << shift
        if data[at] < 128:
            return result, at + 1
        shift += 7
