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
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet

MAX_MEMORY_BYTES = 1 << 30  # of address space, for the whole life of the process
MAX_CPU_SECONDS = 3  # for one file; the largest that is accepted takes 0.1
MAX_THRIFT_SIZE = 1_000_000  # bytes of a string, and elements of a list, in a file's metadata
MAX_TABLE_COLUMNS = 1_000  # a file with more is neither described nor read
MAX_NAME_LENGTH = 100  # characters of a column's name and type that are sent back
SIZE_STRUCT = struct.Struct("<Q")


def main() -> None:
    """Read files until stdin ends; `write_response` describes what is written for each."""
    requests, responses = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what pyarrow may print is no response
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others map more than they use
    import pyarrow.parquet

    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    write_response(responses, {}, b"")  # tells that the process is ready
    while True:
        size = requests.read(SIZE_STRUCT.size)
        if len(size) < SIZE_STRUCT.size:
            return
        request = json.loads(requests.read(SIZE_STRUCT.unpack(size)[0]))
        body = requests.read(request["size"])
        _extend_cpu_limit()
        try:
            summary, values = read_columns(
                body, request["names"], request["rows"], request["bytes"]
            )
        except (pyarrow.ArrowException, OSError, ValueError, MemoryError, LookupError):
            summary, values = {"torn": True}, b""
        write_response(responses, summary, values)


def _extend_cpu_limit() -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(usage.ru_utime + usage.ru_stime) + 1 + MAX_CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def read_columns(
    body: bytes, names: list[str], max_rows: int, max_bytes: int
) -> tuple[dict[str, Any], bytes]:
    """Return a summary of a file, and the float64 values of the named columns one after another.

    There are values only if the file has each of the columns once, of numbers, 1 to max_rows rows
    and, unpacked, no more than max_bytes, and if no value is missing. Raises what pyarrow raises.
    """
    import numpy as np
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(
        io.BytesIO(body),
        thrift_string_size_limit=MAX_THRIFT_SIZE,
        thrift_container_size_limit=MAX_THRIFT_SIZE,
    )
    summary = _summarize(file)
    numeric_columns = [name for name, type_name in summary["kinds"] if not type_name]
    if (
        any(numeric_columns.count(name) != 1 for name in names)
        or not 1 <= summary["rows"] <= max_rows
        or summary["bytes"] > max_bytes
    ):
        return summary, b""
    table = file.read(columns=names, use_threads=False)
    table.validate(full=True)
    if table.num_rows != summary["rows"]:
        raise ValueError("the file does not have as many rows as its metadata says")
    for name in names:
        if table[name].null_count:
            summary["empty"][name] = table[name].is_null().to_pylist().index(True)
    if summary["empty"]:
        return summary, b""
    values = [table[name].to_numpy().astype(np.float64).tobytes() for name in names]
    return summary, b"".join(values)


def _summarize(file: pyarrow.parquet.ParquetFile) -> dict[str, Any]:
    """Return the counts of a file and its columns' names and types; no type stands for numbers."""
    metadata = file.metadata
    row_groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    columns: list[tuple[str, str]] = []
    if metadata.num_columns <= MAX_TABLE_COLUMNS:
        for field in file.schema_arrow:
            type_name = "" if is_numeric(field.type) else str(field.type)[:MAX_NAME_LENGTH]
            columns.append((field.name[:MAX_NAME_LENGTH], type_name))
    return {
        "rows": metadata.num_rows,
        "bytes": sum(max(row_group.total_byte_size, 0) for row_group in row_groups),
        "columns": metadata.num_columns,
        "kinds": columns,
        "empty": {},  # the first row without a value, by the name of the column
    }


def is_numeric(data_type: pa.DataType) -> bool:
    """Return whether a column of this type holds integers or floats."""
    import pyarrow.types

    return pyarrow.types.is_integer(data_type) or pyarrow.types.is_floating(data_type)


def write_response(stream: BinaryIO, file_summary: dict[str, Any], values: bytes) -> None:
    """Write the size of the summary as JSON, the size of the values, and then both."""
    summary_json = json.dumps(file_summary).encode()
    sizes = SIZE_STRUCT.pack(len(summary_json)) + SIZE_STRUCT.pack(len(values))
    stream.write(sizes + summary_json + values)
    stream.flush()


if __name__ == "__main__":
    main()
