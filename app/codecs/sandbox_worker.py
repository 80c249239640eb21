"""What reads Parquet: a process of its own, which a crafted file may end without harm to a worker.

It is run as a script, so that it loads pyarrow and nothing of the service: a file comes in by
stdin, what it holds goes out by stdout. Its memory and the time of each file are limited.
"""

import io
import json
import os
import resource
import struct
import sys
from typing import BinaryIO

MAX_MEMORY_BYTES = 1 << 30  # bytes it may ever have
MAX_CPU_SECONDS = 3  # of the processor, for one file; the largest that is accepted takes 0.1
MAX_THRIFT_SIZE = 1_000_000  # bytes of a name, and names of a list, in a file's metadata
MAX_TABLE_COLUMNS = 1_000  # more are not told apart, nor read
SIZE_STRUCT = struct.Struct("<Q")


def main() -> None:
    """Reads files until there are no more; what it writes is of the form of `tell`."""
    files, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what pyarrow may print is no answer
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others map more than they use
    import pyarrow.parquet

    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    write_response(answers, {}, b"")
    while True:
        head = files.read(SIZE_STRUCT.size)
        if len(head) < SIZE_STRUCT.size:
            return
        asked = json.loads(files.read(SIZE_STRUCT.unpack(head)[0]))
        body = files.read(asked["size"])
        spent = resource.getrusage(resource.RUSAGE_SELF)
        until = int(spent.ru_utime + spent.ru_stime) + 1 + MAX_CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
        try:
            told, values = read_columns(body, asked["names"], asked["rows"], asked["bytes"])
        except (pyarrow.ArrowException, OSError, ValueError, MemoryError, LookupError):
            told, values = {"torn": True}, b""
        write_response(answers, told, values)


def read_columns(
    body: bytes, names: list[str], max_rows: int, max_bytes: int
) -> tuple[dict, bytes]:
    """What a file says of itself; and the float64 values of the named columns, one after another,
    if it has them all, no more rows than `rows` and, unpacked, no more bytes than `size`.

    Raises what pyarrow does.
    """
    import numpy as np
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(
        io.BytesIO(body),
        thrift_string_size_limit=MAX_THRIFT_SIZE,
        thrift_container_size_limit=MAX_THRIFT_SIZE,
    )
    about = file.metadata
    groups = [about.row_group(at) for at in range(about.num_row_groups)]
    told = {
        "rows": about.num_rows,
        "bytes": sum(max(one.total_byte_size, 0) for one in groups),
        "columns": about.num_columns,
        "kinds": [],
        "empty": {},
    }
    if about.num_columns > MAX_TABLE_COLUMNS:
        return told, b""
    told["kinds"] = [(one.name[:100], "" if is_numeric(one.type) else str(one.type)[:100])
                     for one in file.schema_arrow]  # fmt: skip
    wanted = [("" if told["kinds"].count((name, "")) == 1 else name) for name in names]
    if any(wanted) or not 1 <= told["rows"] <= max_rows or told["bytes"] > max_bytes:
        return told, b""
    table = file.read(columns=names, use_threads=False)
    table.validate(full=True)
    if table.num_rows != told["rows"]:
        raise ValueError("a file has not the rows that it says")
    for name in names:
        if table[name].null_count:
            told["empty"][name] = table[name].is_null().to_pylist().index(True)
    values = [table[name].to_numpy().astype(np.float64).tobytes() for name in names]
    return told, b"".join(values) if not told["empty"] else b""


def is_numeric(data_type: object) -> bool:
    """Whether a column of this type can be asked about."""
    import pyarrow.types

    return pyarrow.types.is_integer(data_type) or pyarrow.types.is_floating(data_type)


def write_response(stream: BinaryIO, file_summary: dict, values: bytes) -> None:
    """The size of what is told, as JSON, and the size of the values; and then both."""
    text = json.dumps(file_summary).encode()
    stream.write(SIZE_STRUCT.pack(len(text)) + SIZE_STRUCT.pack(len(values)) + text + values)
    stream.flush()


if __name__ == "__main__":
    main()
