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
        return _integers(fields[8])
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
                flat = _integers(fields[number]).astype(KINDS[kind])
    return flat.reshape(shape)


def _integers(values: list[int | np.ndarray | memoryview]) -> np.ndarray:
    """One by one, in runs, or packed."""
    parts = [np.zeros(0, np.int64)]
    for one in values:
        if isinstance(one, memoryview):
            data = np.frombuffer(one, np.uint8)
            last = np.flatnonzero(data < 128)
            if len(data) and data[-1] > 127:
                raise ValueError("it ends within a number")
            parts.append(_numbers(data, np.concatenate([[0], last[:-1] + 1]), last))
        else:
            parts.append(np.array([_signed(one)]) if isinstance(one, int) else one)
    return np.concatenate(parts)


def _run(data: memoryview, key: int) -> tuple[np.ndarray, int]:
    """The varints that follow each other, each after this same key; and where they end.

    Trees have a hundred thousand: read one by one they would take most of the time of a load.
    """
    found = np.frombuffer(data, np.uint8)
    last = np.flatnonzero(found < 128)
    last = last[: len(last) // 2 * 2]
    first = np.concatenate([[0], last[:-1] + 1])[: len(last)]
    keyed = (found[first[::2]] == key) & (first[::2] == last[::2])
    count = int(np.argmin(keyed)) if not keyed.all() else len(keyed)
    numbers = _numbers(found, first[1::2][:count], last[1::2][:count])
    return numbers, int(last[2 * count - 1]) + 1 if count else 0


def _numbers(data: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Varints from their first to their last bytes."""
    made = np.zeros(len(first), np.uint64)
    longest = int((last - first).max(initial=0))
    if longest > 9:
        raise ValueError("a number has more than ten bytes")
    for at in range(longest + 1):
        more = first + at <= last
        made[more] |= (data[first[more] + at] & 127).astype(np.uint64) << np.uint64(7 * at)
    return made.view(np.int64)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _text(values: list[memoryview]) -> str:
    return bytes(values[-1]).decode() if values else ""


def _message(data: memoryview) -> dict[int, list]:
    """Each field's values: numbers and runs of them for varints, bytes for what has a length."""
    found = defaultdict(list)
    for number, value in _fields(data):
        found[number].append(value)
    return found


def _fields(data: memoryview) -> Iterator[tuple[int, int | np.ndarray | memoryview]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield number, value
            if key < 128 and at < len(data) and data[at] == key:
                values, size = _run(data[at:], key)
                yield number, values
                at += size
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
