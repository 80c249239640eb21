"""Arrow IPC streams, read without trust in any length or place that they tell.

pyarrow believes a stream: one that claims more rows than it holds is answered with the memory
behind it. Here each place is looked up in the bytes that came, and numpy sees nothing beyond them.

Source: the Arrow columnar format, "Encapsulated message format", Message.fbs and Schema.fbs.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from app.codecs import columns
from app.problem_details import check_row_count, request_error
from housing.schema import FEATURE_NAMES

MAX_RECORD_BATCHES = 1_000  # of one stream
MAX_NAME_BYTES = 400  # bytes of a column's name that are looked at
SCHEMA_MESSAGE, DICTIONARY_MESSAGE, RECORD_BATCH_MESSAGE = 1, 2, 3  # kinds of messages
TYPE_NAMES = ("nothing", "null", "int", "float", "binary", "string", "bool", "decimal", "date",
         "time", "timestamp", "interval", "list", "struct", "union", "fixed_size_binary",
         "fixed_size_list", "map", "duration", "large_binary", "large_string", "large_list",
         "run_end_encoded", "binary_view", "string_view", "list_view",
         "large_list_view")  # fmt: skip
INTEGER_DTYPES = {
    (8, True): "<i1", (16, True): "<i2", (32, True): "<i4", (64, True): "<i8",
    (8, False): "<u1", (16, False): "<u2", (32, False): "<u4", (64, False): "<u8",
}  # fmt: skip
FLOAT_DTYPES = ("<f2", "<f4", "<f8")  # half, single and double precision
BUFFER_COUNTS = {"null": 0, "int": 2, "float": 2, "bool": 2, "decimal": 2, "date": 2, "time": 2,
           "timestamp": 2, "interval": 2, "duration": 2, "fixed_size_binary": 2, "binary": 3,
           "string": 3, "large_binary": 3, "large_string": 3}  # fmt: skip


class ArrowColumn(NamedTuple):
    """A field of the schema."""

    name: str
    type_name: str
    dtype: str  # as numpy names it; nothing if it holds no numbers
    node_index: int  # its place among a batch's columns
    first_buffer_index: int  # and the first of its buffers


class FlatbufferTable(NamedTuple):
    """A table of a flatbuffer: the message that it lies in, and where."""

    buffer: bytes
    offset: int

    def field_offset(self, field_number: int) -> int:
        """Where a field lies; 0 if it has its default."""
        shape = self.offset - _unpack_number("<i", self.buffer, self.offset)
        if 4 + 2 * field_number >= _unpack_number("<H", self.buffer, shape):
            return 0
        offset = _unpack_number("<H", self.buffer, shape + 4 + 2 * field_number)
        return self.offset + offset if offset else 0

    def read_number(self, field_number: int, struct_format: str) -> int:
        """A field that is a number."""
        place = self.field_offset(field_number)
        return _unpack_number(struct_format, self.buffer, place) if place else 0

    def child_table(self, field_number: int) -> FlatbufferTable:
        """A field that is a table."""
        return FlatbufferTable(self.buffer, _follow(self.buffer, self.field_offset(field_number)))

    def vector(self, field_number: int, element_size: int) -> tuple[int, int]:
        """Where a field that is a list begins, and how many it has; size: bytes of each."""
        if not self.field_offset(field_number):
            return 0, 0
        at = _follow(self.buffer, self.field_offset(field_number))
        count = _unpack_number("<I", self.buffer, at)
        if at + 4 + count * element_size > len(self.buffer):
            raise ValueError("a list is longer than its message")
        return at + 4, count


def read(body: bytes, max_rows: int, allow_extra_columns: bool) -> np.ndarray:
    """Return (n, 8) float64, as `tables.read` does.

    Raises RequestError, or ValueError or struct.error if the body is no stream.
    """
    feature_columns: list[ArrowColumn] = []
    parts: list[np.ndarray] = []
    empty: dict[str, int] = {}
    at = rows = batches = 0
    while message := _message(body, at):
        header, start, at = message
        kind = header.read_number(1, "<B")
        if not feature_columns and kind == SCHEMA_MESSAGE:
            feature_columns = _columns(header.child_table(2), allow_extra_columns)
        elif feature_columns and kind == RECORD_BATCH_MESSAGE:
            batch, batches = header.child_table(2), batches + 1
            length = batch.read_number(0, "<q")
            check_row_count(max(rows + length, 1), max_rows)
            if batches > MAX_RECORD_BATCHES:
                raise request_error(
                    422, f"the stream has more than {MAX_RECORD_BATCHES:,} record batches"
                )
            parts.append(
                _rows(batch, length, memoryview(body)[start:at], feature_columns, empty, rows)
            )
            rows += length
        else:
            raise _out_of_place(kind)
    if not feature_columns:
        raise ValueError("there is no schema")
    check_row_count(rows, max_rows)
    columns.check_no_missing_values(empty)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _message(body: bytes, at: int) -> tuple[FlatbufferTable, int, int] | None:
    """The message that begins there, where its body begins and where it ends; None at the end."""
    if at == len(body):
        return None
    marker, size = struct.unpack_from("<Ii", body, at)
    if marker != 0xFFFFFFFF or size < 0:
        raise ValueError("no message begins there")
    if size == 0:
        return None
    buffer, start = body[at + 8 : at + 8 + size], at + 8 + size
    header = FlatbufferTable(buffer, _unpack_number("<I", buffer, 0))
    length = header.read_number(3, "<q")
    if header.read_number(0, "<h") not in (3, 4):  # the versions V4 and V5
        raise ValueError("the message is of another version")
    if length < 0 or start + length > len(body):
        raise ValueError("a message is longer than the stream")
    return header, start, start + length


def _out_of_place(kind: int) -> Exception:
    if kind == DICTIONARY_MESSAGE:
        return request_error(
            415, "the Arrow stream has a dictionary, expected columns of plain numbers"
        )
    return ValueError(f"a message of kind {kind} is not to be here")


def _columns(schema: FlatbufferTable, more: bool) -> list[ArrowColumn]:
    """Return the eight columns in the order of `schema.FEATURE_NAMES`. Raises RequestError."""
    if schema.read_number(0, "<h"):
        raise request_error(415, "the Arrow stream is big-endian, expected little-endian")
    start, count = schema.vector(1, 4)
    columns.check_column_count(count)
    feature_columns: list[ArrowColumn] = []
    buffer = 0
    for node in range(count):
        field = FlatbufferTable(schema.buffer, _follow(schema.buffer, start + 4 * node))
        feature_columns.append(_column(field, node, buffer))
        buffer += BUFFER_COUNTS.get(feature_columns[-1].type_name, 0)
    columns.check_columns(
        [(column.name, "" if column.dtype else column.type_name) for column in feature_columns],
        more,
    )
    for column in feature_columns:
        if column.type_name not in BUFFER_COUNTS:
            raise request_error(
                422, f"{column.name} is a column of {column.type_name}, expected numbers"
            )
    by_name = {column.name: column for column in feature_columns}
    return [by_name[name] for name in FEATURE_NAMES]


def _column(field: FlatbufferTable, node: int, buffer: int) -> ArrowColumn:
    start, size = field.vector(0, 1)
    name = field.buffer[start : start + min(size, MAX_NAME_BYTES)].decode(errors="replace")
    kind, number = TYPE_NAMES[min(field.read_number(2, "<B"), len(TYPE_NAMES) - 1)], ""
    if field.field_offset(4):
        kind = "dictionary"
    elif kind == "int":
        about = field.child_table(3)
        number = INTEGER_DTYPES[about.read_number(0, "<i"), bool(about.read_number(1, "<B"))]
    elif kind == "float":
        number = FLOAT_DTYPES[field.child_table(3).read_number(0, "<H")]
    return ArrowColumn(name, kind, number, node, buffer)


def _rows(
    batch: FlatbufferTable,
    length: int,
    body: memoryview,
    feature_columns: list[ArrowColumn],
    empty: dict[str, int],
    row: int,
) -> np.ndarray:
    """(length, 8). empty: gets the first row, counted from `row`, at which a column has none."""
    if batch.field_offset(3):
        raise request_error(415, "the Arrow stream is compressed, expected one that is not")
    nodes, buffers = batch.vector(1, 16), batch.vector(2, 16)
    if length < 0:
        raise ValueError("a batch has less than no rows")
    rows = np.empty((length, len(FEATURE_NAMES)))
    for place, column in enumerate(feature_columns):
        many, nulls = _pair(batch.buffer, nodes, column.node_index)
        if many != length or not -1 <= nulls <= length:
            raise ValueError("a column is not as long as its batch")
        bits = _bytes(body, *_pair(batch.buffer, buffers, column.first_buffer_index))
        values = _bytes(body, *_pair(batch.buffer, buffers, column.first_buffer_index + 1))
        rows[:, place] = np.frombuffer(values, column.dtype, length) if length else 0
        if len(bits) * 8 < length and (nulls > 0 or len(bits)):
            raise ValueError("a column does not tell which values it lacks")
        if len(bits) and length:
            there = np.unpackbits(np.frombuffer(bits, np.uint8), count=length, bitorder="little")
            if not there.all():
                empty.setdefault(column.name, row + int(there.argmin()))
    return rows


def _pair(buffer: bytes, vector: tuple[int, int], place: int) -> tuple[int, int]:
    """Two numbers that a batch tells of a column, or of a buffer."""
    start, count = vector
    if place >= count:
        raise ValueError("a batch has not all its columns")
    return struct.unpack_from("<qq", buffer, start + 16 * place)


def _bytes(body: memoryview, offset: int, size: int) -> memoryview:
    if offset < 0 or size < 0 or offset + size > len(body):
        raise ValueError("a buffer lies outside of its batch")
    return body[offset : offset + size]


def _follow(buffer: bytes, place: int) -> int:
    """Where the field at this place says that its content lies."""
    if not place:
        raise ValueError("a message lacks a field")
    return place + _unpack_number("<I", buffer, place)


def _unpack_number(form: str, buffer: bytes, at: int) -> int:
    if at < 0:
        raise ValueError("a place lies before its message")
    return struct.unpack_from(form, buffer, at)[0]
