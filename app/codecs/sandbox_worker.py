"""The process that reads Arrow and Parquet: a crafted table may end it without harm to a worker.

It runs as a script, so that it loads pyarrow and nothing of the service. Requests come in by stdin,
responses go out by stdout. Its memory and the processor time of each table are limited.
"""

from __future__ import annotations

import io
import json
import os
import resource
import struct
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa

    ArrowReader: TypeAlias = pa.ipc.RecordBatchStreamReader | pa.ipc.RecordBatchFileReader

MAX_MEMORY_BYTES = 1 << 30  # of address space, for the whole life of the process
MAX_CPU_SECONDS = 3  # for one table; the largest that is accepted takes 0.1
MAX_HEADER_BYTES = 1_000_000  # of a message; the names and types of a table's columns are the most
MAX_THRIFT_SIZE = 1_000_000  # bytes of a string, and elements of a list, in a file's metadata
MAX_NAME_LENGTH = 100  # characters of a column's name and type that are sent back
MAX_TEXT_LENGTH = 1_000  # characters of a value of text that are sent back
OUT_OF_MEMORY = "out of memory"  # the header of a response
ARROW_FILE_MAGIC = b"ARROW1"  # a stream has no magic
MessageStream = BinaryIO | io.BufferedRWPair  # the latter is what a socket's makefile returns
MESSAGE_STRUCT = struct.Struct("<QQ")  # the sizes of a message's header and body


class ReadRequest(NamedTuple):
    """The header of a request, whose body is the table."""

    is_parquet: bool  # else it is an Arrow IPC stream or file
    number_columns: list[str]  # the columns to read
    text_columns: list[str]
    required_columns: list[str]  # the others may be absent
    max_rows: int
    max_bytes: int  # of a Parquet file when it is unpacked
    max_columns: int  # a table with more is neither described nor read
    max_missing_cells: int  # so many numbers are listed; the values have a NaN for each

    def column_names(self) -> list[str]:
        """Return the names of the columns to read."""
        return [*self.number_columns, *self.text_columns]


class TableSummary(NamedTuple):
    """The header of a response: what a table says of itself, and which values are missing."""

    row_count: int  # of Arrow whose columns are wrong, or that is too long: so far
    unpacked_bytes: int  # 0 for Arrow, whose rows are its size
    column_count: int
    column_types: list[tuple[str, str]]  # names and types; no type stands for what is to be read
    missing_cells: list[tuple[int, int]]  # the row and column of the first ones, row by row


def main() -> None:
    """Read tables until stdin ends; the header of the response is null for a damaged one.

    It is OUT_OF_MEMORY for one that takes too much, or that claims to.
    """
    requests, responses = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what pyarrow may print is no response
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others map more than they use
    import pyarrow.parquet

    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    write_message(responses, None)  # signals that the process is ready
    while True:
        try:
            header, body = read_message(requests)
        except EOFError:
            return
        _extend_cpu_limit()
        try:
            write_message(responses, *read_columns(body, ReadRequest(*header)))
        except MemoryError:
            write_message(responses, OUT_OF_MEMORY)
        except (pyarrow.ArrowException, OSError, ValueError, LookupError):
            write_message(responses, None)


def write_message(stream: MessageStream, header: Any, body: bytes = b"") -> None:
    """Write the header as JSON and the body, after the size of each."""
    header_json = json.dumps(header).encode()
    stream.write(MESSAGE_STRUCT.pack(len(header_json), len(body)) + header_json)
    stream.write(body)
    stream.flush()


def read_message(stream: MessageStream) -> tuple[Any, bytes]:
    """Return the header and the body of the next message. Raises EOFError if the stream ends."""
    header_size, body_size = MESSAGE_STRUCT.unpack(_read_exactly(stream, MESSAGE_STRUCT.size))
    if header_size > MAX_HEADER_BYTES:
        raise EOFError
    return json.loads(_read_exactly(stream, header_size)), _read_exactly(stream, body_size)


def _read_exactly(stream: MessageStream, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _extend_cpu_limit() -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(usage.ru_utime + usage.ru_stime) + 1 + MAX_CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def read_columns(body: bytes, request: ReadRequest) -> tuple[TableSummary, bytes]:
    """Return a summary of a table, and the values of its columns that the request names.

    First come the float64 values of the columns of numbers, one after another; then JSON, a list of
    texts and nulls for each column of text. There are values only if the table keeps the limits of
    the request and has its columns once, each of its kind. Raises what pyarrow raises.
    """
    import numpy as np

    summary, table = (_read_parquet if request.is_parquet else _read_arrow)(body, request)
    if table is None:
        return summary, b""
    table.validate(full=True)  # pyarrow trusts the lengths and offsets of what it reads
    if table.num_rows != summary.row_count:
        raise ValueError("the file does not have as many rows as its metadata says")
    present = table.column_names
    columns = [table[name] for name in request.number_columns if name in present]
    values = np.array([_to_float64(column).to_numpy() for column in columns])
    if any(column.null_count for column in columns):
        is_missing = np.column_stack([column.is_null().to_numpy() for column in columns])
        summary.missing_cells.extend(np.argwhere(is_missing)[: request.max_missing_cells].tolist())
    texts = [_to_texts(table[name]) for name in request.text_columns if name in present]
    return summary, values.tobytes() + json.dumps(texts).encode()


def _to_texts(column: pa.ChunkedArray) -> list[str | None]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))  # else its zone is looked up
    return pc.utf8_slice_codeunits(column.cast("string"), 0, MAX_TEXT_LENGTH).to_pylist()


def _to_float64(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.types

    if pyarrow.types.is_float64(column.type):
        return column
    if pyarrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pyarrow.types.is_decimal(column.type):
        column = column.cast("string")  # a direct cast misses the nearest float by a bit
    return column.cast("float64", safe=False)


def _read_parquet(body: bytes, request: ReadRequest) -> tuple[TableSummary, pa.Table | None]:
    """Return a summary of a Parquet file, and its columns unless it breaks a limit."""
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(
        io.BytesIO(body),
        thrift_string_size_limit=MAX_THRIFT_SIZE,
        thrift_container_size_limit=MAX_THRIFT_SIZE,
    )
    metadata = file.metadata
    row_groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    unpacked_bytes = sum(max(row_group.total_byte_size, 0) for row_group in row_groups)
    summary = _summarize(file.schema_arrow, metadata.num_rows, unpacked_bytes, request)
    if (
        not _has_columns(summary, request)
        or not 1 <= summary.row_count <= request.max_rows
        or unpacked_bytes > request.max_bytes
    ):
        return summary, None
    names = _present_columns(summary, request)
    return summary, file.read(columns=names, use_threads=False)


def _read_arrow(body: bytes, request: ReadRequest) -> tuple[TableSummary, pa.Table | None]:
    """Return a summary of an Arrow IPC stream or file, and its columns unless it breaks a limit."""
    import pyarrow as pa

    reader = _open_arrow(body)
    summary = _summarize(reader.schema, 0, 0, request)
    if not _has_columns(summary, request):
        return summary, None
    names = _present_columns(summary, request)
    if summary.column_count > len(names):
        indices = [reader.schema.get_field_index(name) for name in names]
        reader = _open_arrow(body, indices)
    batches: list[pa.RecordBatch] = []
    for batch in _iterate_batches(reader):
        if batch.num_rows:  # many without rows would take the memory
            batches.append(batch)
        summary = summary._replace(row_count=summary.row_count + batch.num_rows)
        if summary.row_count > request.max_rows:
            return summary, None
    return summary, pa.Table.from_batches(batches, reader.schema)


def _open_arrow(body: bytes, column_indices: list[int] | None = None) -> ArrowReader:
    import pyarrow as pa

    options = pa.ipc.IpcReadOptions(included_fields=column_indices, use_threads=False)
    open_reader = pa.ipc.open_file if body.startswith(ARROW_FILE_MAGIC) else pa.ipc.open_stream
    return open_reader(body, options=options)


def _iterate_batches(reader: ArrowReader) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    if isinstance(reader, pa.ipc.RecordBatchFileReader):
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index)
    else:
        yield from reader


def _summarize(
    schema: pa.Schema, row_count: int, unpacked_bytes: int, request: ReadRequest
) -> TableSummary:
    """Return what a schema says of a table, without the columns that are its index in pandas."""
    column_types: list[tuple[str, str]] = []
    if len(schema) <= request.max_columns:
        index_names = _pandas_index_names(schema) - set(request.column_names())
        column_types = [
            (field.name[:MAX_NAME_LENGTH], _describe_type(field, request))
            for field in schema
            if field.name not in index_names
        ]
    return TableSummary(row_count, unpacked_bytes, len(schema), column_types, [])


def _pandas_index_names(schema: pa.Schema) -> set[str]:
    """Return the columns in which pandas saved an index, as the metadata of the schema says."""
    if not schema.metadata:
        return set()
    try:
        names = (schema.pandas_metadata or {})["index_columns"]
        return {name for name in names if isinstance(name, str)}  # a range has no column
    except (ValueError, TypeError, LookupError):
        return set()  # another program's, or damaged: no column is an index


def _describe_type(field: pa.Field, request: ReadRequest) -> str:
    """Return the name of a column's type; an empty one for what is to be read from the column.

    Numbers may be encoded in any way; whole numbers and times are read as text, too.
    """
    from pyarrow import types

    data_type = field.type
    value_type = data_type.value_type if types.is_dictionary(data_type) else data_type
    if field.name in request.text_columns:
        is_text = types.is_string(value_type) or types.is_large_string(value_type)
        is_time = types.is_timestamp(value_type) or types.is_date(value_type)
        is_readable = is_text or is_time or types.is_integer(value_type)
    else:
        is_numeric = types.is_floating(value_type) or types.is_integer(value_type)
        is_readable = is_numeric or types.is_decimal(value_type)
    if is_readable or types.is_null(value_type):
        return ""
    return str(data_type)[:MAX_NAME_LENGTH]


def _has_columns(summary: TableSummary, request: ReadRequest) -> bool:
    """Return whether a table has the columns that it must have, and none twice or of other kind."""
    names = [name for name, _ in summary.column_types]
    readable_names = _present_columns(summary, request)
    return (
        bool(readable_names)
        and set(request.required_columns) <= set(readable_names)
        and all(names.count(name) == (name in readable_names) for name in request.column_names())
    )


def _present_columns(summary: TableSummary, request: ReadRequest) -> list[str]:
    """Return the columns to read that a table has."""
    readable_names = [name for name, type_name in summary.column_types if not type_name]
    return [name for name in request.column_names() if name in readable_names]


if __name__ == "__main__":
    main()
