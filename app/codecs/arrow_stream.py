"""Arrow IPC streams, decoded without trust in any length or offset that they hold.

pyarrow trusts a stream: one that claims more rows than it holds is answered with the memory behind
it. Here every number is looked up within the bytes that were received.

Source: the Arrow columnar format, "Encapsulated message format", Message.fbs and Schema.fbs; the
numbers of fields below are theirs.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from app.codecs import columns
from app.codecs.flatbuffer import FlatbufferTable, FlatbufferVector, unpack_number
from app.problem_details import check_row_count, request_error
from housing.schema import FEATURE_NAMES

MAX_RECORD_BATCHES = 1_000  # of one stream
MAX_NAME_BYTES = 400  # bytes of a column's name that are read
CONTINUATION_MARKER = 0xFFFFFFFF
SUPPORTED_METADATA_VERSIONS = 3, 4  # V4 and V5
SCHEMA_MESSAGE, DICTIONARY_MESSAGE, RECORD_BATCH_MESSAGE = 1, 2, 3  # types of messages
# by the number of the type in Schema.fbs
TYPE_NAMES = ("nothing", "null", "int", "float", "binary", "string", "bool", "decimal", "date",
         "time", "timestamp", "interval", "list", "struct", "union", "fixed_size_binary",
         "fixed_size_list", "map", "duration", "large_binary", "large_string", "large_list",
         "run_end_encoded", "binary_view", "string_view", "list_view",
         "large_list_view")  # fmt: skip
INTEGER_DTYPES = {  # by bit width and signedness
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
    dtype: str  # as numpy names it; empty if the column holds no numbers
    node_index: int  # its index among the columns of a record batch
    first_buffer_index: int  # the index of its first buffer in a record batch


class ArrowMessage(NamedTuple):
    """A message of the stream."""

    metadata: FlatbufferTable
    body_start: int  # offset in the stream
    body_end: int  # offset in the stream, where the next message starts


class StreamDecoder:
    """Collects the rows of a stream, message by message."""

    def __init__(self, max_rows: int, allow_extra_columns: bool) -> None:
        self.max_rows, self.allow_extra_columns = max_rows, allow_extra_columns
        self.feature_columns: list[ArrowColumn] = []  # in the order of `schema.FEATURE_NAMES`
        self.row_batches: list[np.ndarray] = []  # each (n, 8)
        self.row_count = 0
        self.first_missing_rows: dict[str, int] = {}  # by the name of the column

    def add_message(self, message: ArrowMessage, body: memoryview) -> None:
        """Decode the next message. Raises RequestError, ValueError or struct.error."""
        message_type = message.metadata.read_number(1, "<B")
        if not self.feature_columns and message_type == SCHEMA_MESSAGE:
            self.feature_columns = _feature_columns(
                message.metadata.child_table(2), self.allow_extra_columns
            )
        elif self.feature_columns and message_type == RECORD_BATCH_MESSAGE:
            self._add_record_batch(message.metadata.child_table(2), body)
        else:
            raise _unexpected_message_error(message_type)

    def _add_record_batch(self, batch: FlatbufferTable, body: memoryview) -> None:
        length = batch.read_number(0, "<q")
        check_row_count(max(self.row_count + length, 1), self.max_rows)
        if len(self.row_batches) == MAX_RECORD_BATCHES:
            raise request_error(
                422, f"the stream has more than {MAX_RECORD_BATCHES:,} record batches"
            )
        if batch.field_offset(3):
            raise request_error(415, "the Arrow stream is compressed, expected one that is not")
        if length < 0:
            raise ValueError("the length of a batch is negative")
        rows = np.empty((length, len(FEATURE_NAMES)))
        for index, column in enumerate(self.feature_columns):
            rows[:, index] = _column_values(batch, length, body, column)
            missing_row = _first_missing_row(batch, length, body, column)
            if missing_row is not None:
                self.first_missing_rows.setdefault(column.name, self.row_count + missing_row)
        self.row_batches.append(rows)
        self.row_count += length


def decode_stream(body: bytes, max_rows: int, allow_extra_columns: bool) -> np.ndarray:
    """Return (n, 8) float64, as `tables.decode_table` does.

    Raises RequestError, or ValueError or struct.error if the body is no stream.
    """
    decoder = StreamDecoder(max_rows, allow_extra_columns)
    offset = 0
    while message := _read_message(body, offset):
        decoder.add_message(message, memoryview(body)[message.body_start : message.body_end])
        offset = message.body_end
    if not decoder.feature_columns:
        raise ValueError("there is no schema")
    check_row_count(decoder.row_count, max_rows)
    columns.check_no_missing_values(decoder.first_missing_rows)
    batches = decoder.row_batches
    return batches[0] if len(batches) == 1 else np.concatenate(batches)


def _read_message(stream: bytes, offset: int) -> ArrowMessage | None:
    """Return the message that starts at an offset of the stream; None at its end."""
    if offset == len(stream):
        return None
    marker, metadata_size = struct.unpack_from("<Ii", stream, offset)
    if marker != CONTINUATION_MARKER or metadata_size < 0:
        raise ValueError("no message starts there")
    if metadata_size == 0:
        return None
    metadata_start = offset + 8
    body_start = metadata_start + metadata_size
    buffer = stream[metadata_start:body_start]
    metadata = FlatbufferTable(buffer, unpack_number("<I", buffer, 0))
    body_length = metadata.read_number(3, "<q")
    if metadata.read_number(0, "<h") not in SUPPORTED_METADATA_VERSIONS:
        raise ValueError("the message is of another version")
    if body_length < 0 or body_start + body_length > len(stream):
        raise ValueError("a message is longer than the stream")
    return ArrowMessage(metadata, body_start, body_start + body_length)


def _unexpected_message_error(message_type: int) -> Exception:
    if message_type == DICTIONARY_MESSAGE:
        return request_error(
            415, "the Arrow stream has a dictionary, expected columns of plain numbers"
        )
    return ValueError(f"a message of type {message_type} is not expected here")


def _feature_columns(schema: FlatbufferTable, allow_extra_columns: bool) -> list[ArrowColumn]:
    """Return the eight columns in the order of `schema.FEATURE_NAMES`. Raises RequestError."""
    if schema.read_number(0, "<h"):
        raise request_error(415, "the Arrow stream is big-endian, expected little-endian")
    fields = schema.vector(1, 4)
    columns.check_column_count(fields.length)
    all_columns: list[ArrowColumn] = []
    buffer_index = 0
    for node_index in range(fields.length):
        field = schema.table_at(fields.offset + 4 * node_index)
        all_columns.append(_parse_column(field, node_index, buffer_index))
        buffer_index += BUFFER_COUNTS.get(all_columns[-1].type_name, 0)
    columns.check_columns(
        [(column.name, "" if column.dtype else column.type_name) for column in all_columns],
        allow_extra_columns,
    )
    for column in all_columns:
        if column.type_name not in BUFFER_COUNTS:
            raise request_error(
                422, f"{column.name} is a column of {column.type_name}, expected numbers"
            )
    by_name = {column.name: column for column in all_columns}
    return [by_name[name] for name in FEATURE_NAMES]


def _parse_column(field: FlatbufferTable, node_index: int, buffer_index: int) -> ArrowColumn:
    name_start, name_size = field.vector(0, 1)
    name_end = name_start + min(name_size, MAX_NAME_BYTES)
    name = field.buffer[name_start:name_end].decode(errors="replace")
    type_name = TYPE_NAMES[min(field.read_number(2, "<B"), len(TYPE_NAMES) - 1)]
    dtype = ""
    if field.field_offset(4):
        type_name = "dictionary"
    elif type_name == "int":
        int_type = field.child_table(3)
        bit_width, is_signed = int_type.read_number(0, "<i"), bool(int_type.read_number(1, "<B"))
        dtype = INTEGER_DTYPES[bit_width, is_signed]
    elif type_name == "float":
        dtype = FLOAT_DTYPES[field.child_table(3).read_number(0, "<H")]
    return ArrowColumn(name, type_name, dtype, node_index, buffer_index)


def _column_values(
    batch: FlatbufferTable, length: int, body: memoryview, column: ArrowColumn
) -> np.ndarray:
    """Return the (length,) values of a column; those that are missing are arbitrary."""
    values = _column_buffer(batch, body, column.first_buffer_index + 1)
    return np.frombuffer(values, column.dtype, length) if length else np.empty(0)


def _first_missing_row(
    batch: FlatbufferTable, length: int, body: memoryview, column: ArrowColumn
) -> int | None:
    """Return the first row of a batch in which a column has no value; None if it has all.

    The validity bitmap decides, not the number of missing values, which may be wrong.
    """
    value_count, missing_count = _unpack_pair(batch.buffer, batch.vector(1, 16), column.node_index)
    if value_count != length or not -1 <= missing_count <= length:
        raise ValueError("a column is not as long as its batch")
    bitmap = _column_buffer(batch, body, column.first_buffer_index)
    if len(bitmap) * 8 < length and (missing_count > 0 or len(bitmap)):
        raise ValueError("the validity bitmap of a column is too short")
    if not len(bitmap) or not length:
        return None
    is_valid = np.unpackbits(np.frombuffer(bitmap, np.uint8), count=length, bitorder="little")
    return None if is_valid.all() else int(is_valid.argmin())


def _column_buffer(batch: FlatbufferTable, body: memoryview, buffer_index: int) -> memoryview:
    offset, size = _unpack_pair(batch.buffer, batch.vector(2, 16), buffer_index)
    if offset < 0 or size < 0 or offset + size > len(body):
        raise ValueError("a buffer lies outside of its batch")
    return body[offset : offset + size]


def _unpack_pair(buffer: bytes, vector: FlatbufferVector, index: int) -> tuple[int, int]:
    """Return the two numbers of an element: a column's counts, or a buffer's offset and size."""
    if index >= vector.length:
        raise ValueError("a batch lacks some of its columns")
    return struct.unpack_from("<qq", buffer, vector.offset + 16 * index)
