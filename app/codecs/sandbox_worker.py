"""The process that reads Parquet: a crafted file may end it without harm to a worker.

It runs as a script, so that it loads pyarrow and nothing of the service: a file comes in by stdin,
its columns go out by stdout. Its memory and the processor time of each file are limited.
"""

from __future__ import annotations

import io
import json
import os
import resource
import struct
import sys
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet

MAX_MEMORY_BYTES = 1 << 30  # of address space, for the whole life of the process
MAX_CPU_SECONDS = 3  # for one file; the largest that is accepted takes 0.1
MAX_THRIFT_SIZE = 1_000_000  # bytes of a string, and elements of a list, in a file's metadata
MAX_NAME_LENGTH = 100  # characters of a column's name and type that are sent back
SIZE_STRUCT = struct.Struct("<Q")


class ReadRequest(NamedTuple):
    """What comes before each file: its size, the columns to read, and its limits."""

    body_size: int  # in bytes
    column_names: list[str]
    max_rows: int
    max_bytes: int  # of the file when it is unpacked
    max_columns: int  # a file with more is neither described nor read


class FileSummary(NamedTuple):
    """What the metadata of a file say of it, and which values are missing."""

    row_count: int
    unpacked_bytes: int
    column_count: int
    column_types: list[tuple[str, str]]  # names and types; no type stands for numbers
    first_missing_rows: dict[str, int]  # the first row without a value, by the column's name


def main() -> None:
    """Read files until stdin ends; `write_response` describes what is written for each."""
    requests, responses = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what pyarrow may print is no response
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others map more than they use
    import pyarrow.parquet

    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    write_response(responses, None, b"")  # signals that the process is ready
    while True:
        size = requests.read(SIZE_STRUCT.size)
        if len(size) < SIZE_STRUCT.size:
            return
        request = ReadRequest(*json.loads(requests.read(SIZE_STRUCT.unpack(size)[0])))
        body = requests.read(request.body_size)
        _extend_cpu_limit()
        summary: FileSummary | None
        try:
            summary, values = read_columns(body, request)
        except (pyarrow.ArrowException, OSError, ValueError, MemoryError, LookupError):
            summary, values = None, b""
        write_response(responses, summary, values)


def _extend_cpu_limit() -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(usage.ru_utime + usage.ru_stime) + 1 + MAX_CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def read_columns(body: bytes, request: ReadRequest) -> tuple[FileSummary, bytes]:
    """Return a summary of a file, and the float64 values of its columns one after another.

    There are values only if the file keeps the limits of the request, has each of the columns
    once, of numbers, and if no value is missing. Raises what pyarrow raises.
    """
    import numpy as np
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(
        io.BytesIO(body),
        thrift_string_size_limit=MAX_THRIFT_SIZE,
        thrift_container_size_limit=MAX_THRIFT_SIZE,
    )
    summary = _summarize(file, request.max_columns)
    numeric_columns = [name for name, type_name in summary.column_types if not type_name]
    if (
        any(numeric_columns.count(name) != 1 for name in request.column_names)
        or not 1 <= summary.row_count <= request.max_rows
        or summary.unpacked_bytes > request.max_bytes
    ):
        return summary, b""
    table = file.read(columns=request.column_names, use_threads=False)
    table.validate(full=True)
    if table.num_rows != summary.row_count:
        raise ValueError("the file does not have as many rows as its metadata says")
    for name in request.column_names:
        if table[name].null_count:
            summary.first_missing_rows[name] = table[name].is_null().to_pylist().index(True)
    if summary.first_missing_rows:
        return summary, b""
    values = [table[name].to_numpy().astype(np.float64).tobytes() for name in request.column_names]
    return summary, b"".join(values)


def _summarize(file: pyarrow.parquet.ParquetFile, max_columns: int) -> FileSummary:
    metadata = file.metadata
    row_groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    column_types: list[tuple[str, str]] = []
    if metadata.num_columns <= max_columns:
        for field in file.schema_arrow:
            type_name = "" if is_numeric(field.type) else str(field.type)[:MAX_NAME_LENGTH]
            column_types.append((field.name[:MAX_NAME_LENGTH], type_name))
    return FileSummary(
        row_count=metadata.num_rows,
        unpacked_bytes=sum(max(row_group.total_byte_size, 0) for row_group in row_groups),
        column_count=metadata.num_columns,
        column_types=column_types,
        first_missing_rows={},
    )


def is_numeric(data_type: pa.DataType) -> bool:
    """Return whether a column of this type holds integers or floats."""
    import pyarrow.types

    return pyarrow.types.is_integer(data_type) or pyarrow.types.is_floating(data_type)


def write_response(stream: BinaryIO, summary: FileSummary | None, values: bytes) -> None:
    """Write the size of the summary as JSON, the size of the values, and then both.

    summary: None, as JSON null, for a file that pyarrow cannot read.
    """
    summary_json = json.dumps(summary).encode()
    sizes = SIZE_STRUCT.pack(len(summary_json)) + SIZE_STRUCT.pack(len(values))
    stream.write(sizes + summary_json + values)
    stream.flush()


if __name__ == "__main__":
    main()
