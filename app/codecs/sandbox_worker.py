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

MEMORY = 1 << 30  # bytes it may ever have
SECONDS = 3  # of the processor, for one file; the largest that is accepted takes 0.1
METADATA = 1_000_000  # bytes of a name, and names of a list, in a file's metadata
COLUMNS = 1_000  # more are not told apart, nor read
SIZE = struct.Struct("<Q")


def main() -> None:
    """Reads files until there are no more; what it writes is of the form of `tell`."""
    files, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what pyarrow may print is no answer
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others map more than they use
    import pyarrow.parquet

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    tell(answers, {}, b"")
    while True:
        head = files.read(SIZE.size)
        if len(head) < SIZE.size:
            return
        asked = json.loads(files.read(SIZE.unpack(head)[0]))
        body = files.read(asked["size"])
        spent = resource.getrusage(resource.RUSAGE_SELF)
        until = int(spent.ru_utime + spent.ru_stime) + 1 + SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
        try:
            told, values = unpack(body, asked["names"], asked["rows"], asked["bytes"])
        except (pyarrow.ArrowException, OSError, ValueError, MemoryError, LookupError):
            told, values = {"torn": True}, b""
        tell(answers, told, values)


def unpack(body: bytes, names: list[str], rows: int, size: int) -> tuple[dict, bytes]:
    """What a file says of itself; and the float64 values of the named columns, one after another,
    if it has them all, no more rows than `rows` and, unpacked, no more bytes than `size`.

    Raises what pyarrow does.
    """
    import numpy as np
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(
        io.BytesIO(body), thrift_string_size_limit=METADATA, thrift_container_size_limit=METADATA
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
    if about.num_columns > COLUMNS:
        return told, b""
    told["kinds"] = [(one.name[:100], "" if is_number(one.type) else str(one.type)[:100])
                     for one in file.schema_arrow]  # fmt: skip
    wanted = [("" if told["kinds"].count((name, "")) == 1 else name) for name in names]
    if any(wanted) or not 1 <= told["rows"] <= rows or told["bytes"] > size:
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


def is_number(kind: object) -> bool:
    """Whether a column of this type can be asked about."""
    import pyarrow.types

    return pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)


def tell(answers: BinaryIO, told: dict, values: bytes) -> None:
    """The size of what is told, as JSON, and the size of the values; and then both."""
    text = json.dumps(told).encode()
    answers.write(SIZE.pack(len(text)) + SIZE.pack(len(values)) + text + values)
    answers.flush()


if __name__ == "__main__":
    main()
