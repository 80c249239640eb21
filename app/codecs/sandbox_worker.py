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
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

MAX_MEMORY_BYTES = 1 << 30  # of address space, for the whole life of the process
MAX_CPU_SECONDS = 3  # for one table; the largest that is accepted takes 0.1
MAX_HEADER_BYTES = 1_000_000  # of a message; the names and types of a table's columns are the most
MAX_THRIFT_SIZE = 1_000_000  # bytes of a string, and elements of a list, in a file's metadata
MAX_NAME_LENGTH = 100  # characters of a column's name and type that are sent back
MessageStream = BinaryIO | io.BufferedRWPair  # the latter is what a socket's makefile returns
MESSAGE_STRUCT = struct.Struct("<QQ")  # the sizes of a message's header and body


class ReadRequest(NamedTuple):
    """The header of a request, whose body is the table."""

    is_parquet: bool  # else it is an Arrow IPC stream
    column_names: list[str]  # the columns to read
    max_rows: int
    max_bytes: int  # of a Parquet file when it is unpacked
    max_columns: int  # a table with more is neither described nor read


class TableSummary(NamedTuple):
    """The header of a response: what a table says of itself, and which values are missing."""

    row_count: int  # of a table whose columns are wrong, and of a stream that is too long: so far
    unpacked_bytes: int  # 0 for a stream, whose rows are its size
    column_count: int
    column_types: list[tuple[str, str]]  # names and types; no type stands for numbers
    first_missing_rows: dict[str, int]  # the first row without a value, by the column's name


def main() -> None:
    """Read tables until stdin ends; the header of the response is null for a damaged one."""
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
        except (pyarrow.ArrowException, OSError, ValueError, MemoryError, LookupError):
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
    """Return a summary of a table, and the float64 values of its columns one after another.

    There are values only if the table keeps the limits of the request, has each of the columns
    once, of numbers, and if no value is missing. Raises what pyarrow raises.
    """
    import numpy as np

    summary, table = (_read_parquet if request.is_parquet else _read_arrow)(body, request)
    if table is None:
        return summary, b""
    table.validate(full=True)  # pyarrow trusts the lengths and offsets of what it reads
    if table.num_rows != summary.row_count:
        raise ValueError("the file does not have as many rows as its metadata says")
    columns = {name: table[name] for name in request.column_names}
    summary.first_missing_rows.update(first_missing_rows(columns))
    if summary.first_missing_rows:
        return summary, b""
    values = np.array([column.to_numpy() for column in columns.values()], dtype=np.float64)
    return summary, values.tobytes()


def first_missing_rows(columns: Mapping[str, pa.ChunkedArray]) -> dict[str, int]:
    """Return the first row without a value, by the name of each column that lacks values."""
    incomplete_columns = {name: column for name, column in columns.items() if column.null_count}
    return {
        name: column.is_null().to_pylist().index(True)
        for name, column in incomplete_columns.items()
    }


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
    return summary, file.read(columns=request.column_names, use_threads=False)


def _read_arrow(body: bytes, request: ReadRequest) -> tuple[TableSummary, pa.Table | None]:
    """Return a summary of an Arrow IPC stream, and its columns unless it breaks a limit."""
    import pyarrow as pa

    stream = pa.ipc.open_stream(body, options=pa.ipc.IpcReadOptions(use_threads=False))
    summary = _summarize(stream.schema, 0, 0, request)
    if not _has_columns(summary, request):
        return summary, None
    if summary.column_count > len(request.column_names):
        indices = [stream.schema.get_field_index(name) for name in request.column_names]
        options = pa.ipc.IpcReadOptions(included_fields=indices, use_threads=False)
        stream = pa.ipc.open_stream(body, options=options)
    batches: list[pa.RecordBatch] = []
    for batch in stream:
        batches.append(batch)
        summary = summary._replace(row_count=summary.row_count + batch.num_rows)
        if summary.row_count > request.max_rows:
            return summary, None
    return summary, pa.Table.from_batches(batches, stream.schema)


def _summarize(
    schema: pa.Schema, row_count: int, unpacked_bytes: int, request: ReadRequest
) -> TableSummary:
    import pyarrow.types

    column_types: list[tuple[str, str]] = []
    for field in schema if len(schema) <= request.max_columns else ():
        is_number = pyarrow.types.is_integer(field.type) or pyarrow.types.is_floating(field.type)
        type_name = "" if is_number else str(field.type)[:MAX_NAME_LENGTH]
        column_types.append((field.name[:MAX_NAME_LENGTH], type_name))
    return TableSummary(row_count, unpacked_bytes, len(schema), column_types, {})


def _has_columns(summary: TableSummary, request: ReadRequest) -> bool:
    """Return whether a table has each of the columns once, of numbers."""
    names = [name for name, type_name in summary.column_types if not type_name]
    return all(names.count(name) == 1 for name in request.column_names)


if __name__ == "__main__":
    main()
