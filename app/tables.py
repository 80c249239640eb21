"""Bodies that are tables: Arrow IPC streams, Parquet and CSV, read and written by pyarrow.

pyarrow is imported at the first of them: it takes as much memory as the rest of a worker.
"""

from __future__ import annotations

import io
import re
import struct
from typing import TYPE_CHECKING

import numpy as np

from app import contract
from app.problems import (
    MOST_PROBLEMS,
    OneProblem,
    Refused,
    check_count,
    refused,
    unknown,
    unlike,
)
from housing.schema import FEATURES, NAMES

if TYPE_CHECKING:
    import pyarrow as pa

ARROW, PARQUET, CSV = (
    "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet", "text/csv"
)  # fmt: skip
KINDS = {ARROW: "an Arrow IPC stream", PARQUET: "a Parquet file", CSV: "CSV with a header"}
MOST_ROWS = 100_000  # in one request; as JSON it is `contract.MOST_ROWS`
INDEX = "__index_level_"  # what pandas names an index that it writes along
NO_NUMBER = re.compile(r"column #(\d+): Row #(\d+): .*invalid value '(.*)'", re.DOTALL)
BATCH_HEADER = 3  # the number of a record batch among Arrow's messages


def read(kind: str, body: bytes, most_rows: int, more: bool = False) -> np.ndarray:
    """(n, 8) float64 in the order of `schema.NAMES`, each in its range.

    The columns may come in any order, as integers or floats. more: whether there may be other
    columns, which are left out. Raises Refused.
    """
    import pyarrow as pa

    try:
        table = {ARROW: _arrow, PARQUET: _parquet, CSV: _csv}[kind](body, most_rows, more)
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        EOFError,
        IndexError,
        MemoryError,
        struct.error,
    ) as wrong:
        if isinstance(wrong, MemoryError):
            raise refused(413, "the table takes more memory than a request may") from None
        raise refused(400, f"the body is not {KINDS[kind]} that can be read") from None
    check_count(table.num_rows, most_rows)
    empty = [name for name in NAMES if table.column(name).null_count]
    if empty:
        raise Refused(422, [_missing(table, name) for name in empty])
    columns = [table.column(name).to_numpy() for name in NAMES]
    rows = np.column_stack([one.astype(np.float64) for one in columns])
    contract.check_ranges(rows)
    return rows


def write(kind: str, columns: dict[str, list | np.ndarray]) -> bytes:
    """The columns as a table of that kind."""
    import pyarrow as pa

    table, file = pa.table(columns), io.BytesIO()
    if kind == ARROW:
        with pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    elif kind == PARQUET:
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, file)
    else:
        import pyarrow.csv

        if "warnings" in columns:
            texts = ["; ".join(one) for one in columns["warnings"]]
            table = table.set_column(table.schema.get_field_index("warnings"), "warnings", [texts])
        pyarrow.csv.write_csv(table, file)
    return file.getvalue()


def _arrow(body: bytes, most_rows: int, more: bool) -> pa.Table:
    import pyarrow as pa

    _check_batches(body, most_rows)
    with pa.ipc.open_stream(body) as stream:
        _check_columns(stream.schema, more)
        return stream.read_all().select(NAMES)


def _parquet(body: bytes, most_rows: int, more: bool) -> pa.Table:
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(io.BytesIO(body))
    about = file.metadata
    check_count(about.num_rows, most_rows)
    size = sum(about.row_group(at).total_byte_size for at in range(about.num_row_groups))
    if size > 100 * len(NAMES) * most_rows:
        raise refused(413, f"the table takes {size:,} bytes when it is unpacked")
    _check_columns(file.schema_arrow, more)
    return file.read(columns=NAMES, use_threads=False)


def _csv(body: bytes, most_rows: int, more: bool) -> pa.Table:
    import pyarrow as pa
    import pyarrow.csv

    if body.count(b"\n") > most_rows + 1:
        check_count(body.count(b"\n") - 1, most_rows)
    header = body.partition(b"\n")[0].decode().strip("\r").replace('"', "")
    _check_names(header.split(","), more)
    numbers = pyarrow.csv.ConvertOptions(
        column_types={name: pa.float64() for name in NAMES}, include_columns=NAMES,
        null_values=[""], strings_can_be_null=False,
    )  # fmt: skip
    options = pyarrow.csv.ReadOptions(use_threads=False)
    try:
        return pyarrow.csv.read_csv(io.BytesIO(body), options, convert_options=numbers)
    except pa.ArrowInvalid as wrong:
        place = NO_NUMBER.search(str(wrong))
        if not place:
            raise
        name, row = header.split(",")[int(place[1])], int(place[2]) - 2  # 1 is the header
        raise Refused(422, [unlike(name, row, repr(place[3][:60]))]) from None


def _check_columns(schema: pa.Schema, more: bool) -> None:
    """Raises Refused unless there are the eight columns, of numbers, and no others but if more."""
    import pyarrow as pa

    _check_names(schema.names, more)
    for name in NAMES:
        kind = schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            sentence = f"{name} is a column of {kind}, expected numbers ({FEATURES[name].unit})"
            raise Refused(422, [OneProblem(field=name, row=None, problem=sentence)])


def _check_names(names: list[str], more: bool) -> None:
    problems = []
    for name in NAMES:
        if names.count(name) != 1:
            found = "missing" if name not in names else "there more than once"
            sentence = f"the column {name} is {found}, expected {', '.join(NAMES)}"
            problems.append(OneProblem(field=name, row=None, problem=sentence))
    for name in names:
        if name not in NAMES and not more and not name.startswith(INDEX):
            problems.append(unknown(name))
    if problems:
        raise Refused(422, problems[:MOST_PROBLEMS])


def _missing(table: pa.Table, name: str) -> OneProblem:
    row = table.column(name).is_null().to_pylist().index(True)
    return unlike(name, row, "missing")


def _check_batches(body: bytes, most_rows: int) -> None:
    """Raises Refused for more rows than may be, or packed buffers, before anything is unpacked:
    a few bytes can stand for gigabytes. Reads the messages' headers, which are flatbuffers.

    Source: the Arrow columnar format, "Encapsulated message format" and Message.fbs.
    """
    at, rows = 0, 0
    while at + 8 <= len(body):
        marker, size = struct.unpack_from("<Ii", body, at)
        if marker != 0xFFFFFFFF or size <= 0:
            return  # the end, or what pyarrow will refuse
        header = body[at + 8 : at + 8 + size]
        message = struct.unpack_from("<I", header)[0]
        if header[_field(header, message, 1)] == BATCH_HEADER:
            place = _field(header, message, 2)
            batch = place + struct.unpack_from("<I", header, place)[0]
            length = _field(header, batch, 0)
            rows += struct.unpack_from("<q", header, length)[0] if length else 0
            check_count(max(rows, 1), most_rows)
            if _field(header, batch, 3):
                raise refused(415, "the Arrow stream is compressed, expected one that is not")
        length = _field(header, message, 3)
        at += 8 + size + (struct.unpack_from("<q", header, length)[0] if length else 0)


def _field(buffer: bytes, table: int, number: int) -> int:
    """Where a field of a flatbuffer's table lies; 0 if it has its default."""
    shape = table - struct.unpack_from("<i", buffer, table)[0]
    if 4 + 2 * number >= struct.unpack_from("<H", buffer, shape)[0]:
        return 0
    offset = struct.unpack_from("<H", buffer, shape + 4 + 2 * number)[0]
    return table + offset if offset else 0
