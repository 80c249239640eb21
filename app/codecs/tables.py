"""Bodies that are tables: Arrow IPC streams, Parquet and CSV.

pyarrow reads CSV here, and writes all of them; what is crafted to harm it is in the other two. It
is imported at first use: it takes as much memory as the rest of a worker.
"""

from __future__ import annotations

import io
import re
import struct
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from app.codecs import arrow_stream, columns, json_body, sandbox
from app.problem_details import Refused, check_count, refused, short, unlike
from housing.schema import NAMES

if TYPE_CHECKING:
    import pyarrow as pa

ARROW, PARQUET, CSV = (
    "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet", "text/csv"
)  # fmt: skip
KINDS = {ARROW: "an Arrow IPC stream", PARQUET: "a Parquet file", CSV: "CSV with a header"}
MOST_ROWS = 100_000  # in one request; as JSON it is `contract.MOST_ROWS`
NO_NUMBER = re.compile(r"column #(\d+): Row #(\d+): .*invalid value '(.*)'", re.DOTALL)


def check_there() -> None:
    """Raises Refused where pyarrow is not installed: the service itself needs none."""
    if find_spec("pyarrow") is None:
        raise refused(415, "this service has no pyarrow, which reads and writes tables; send JSON")


def read(kind: str, body: bytes, most_rows: int, more: bool = False) -> np.ndarray:
    """(n, 8) float64 in the order of `schema.NAMES`, each in its range.

    The columns may come in any order, as integers or floats. more: whether there may be other
    columns, which are left out. Raises Refused.
    """
    check_there()
    try:
        rows = {ARROW: arrow_stream.read, PARQUET: sandbox.read, CSV: _csv}[kind](
            body, most_rows, more
        )
    except MemoryError:
        raise refused(413, "the table takes more memory than a request may") from None
    except (OSError, ValueError, LookupError, struct.error):
        raise refused(400, f"the body is not {KINDS[kind]} that can be read") from None
    json_body.check_ranges(rows)
    return rows


def write(kind: str, told: dict[str, list | np.ndarray]) -> bytes:
    """Columns, by name, as a table of that kind."""
    import pyarrow as pa

    table, file = pa.table(told), io.BytesIO()
    if kind == ARROW:
        with pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    elif kind == PARQUET:
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, file)
    else:
        import pyarrow.csv

        if "warnings" in told:
            texts = ["; ".join(one) for one in told["warnings"]]
            table = table.set_column(table.schema.get_field_index("warnings"), "warnings", [texts])
        pyarrow.csv.write_csv(table, file)
    return file.getvalue()


def _csv(body: bytes, most_rows: int, more: bool) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.csv

    if body.count(b"\n") > most_rows + 1:
        check_count(body.count(b"\n") - 1, most_rows)
    header = body.partition(b"\n")[0]
    columns.check_width(header.count(b",") + 1)
    names = header.decode("utf-8-sig").strip("\r").replace('"', "").split(",")
    columns.check([(name, "") for name in names], more)
    numbers = pyarrow.csv.ConvertOptions(
        column_types={name: pa.float64() for name in NAMES}, include_columns=NAMES,
        null_values=[""], strings_can_be_null=False,
    )  # fmt: skip
    options = pyarrow.csv.ReadOptions(use_threads=False)
    try:
        table = pyarrow.csv.read_csv(io.BytesIO(body), options, convert_options=numbers)
    except pa.ArrowException as wrong:
        place = NO_NUMBER.search(str(wrong))
        if not place:
            raise ValueError("pyarrow cannot read it") from None
        name, row = names[int(place[1])], int(place[2]) - 2  # 1 is the header
        raise Refused(422, [unlike(name, row, short(place[3]))]) from None
    check_count(table.num_rows, most_rows)
    columns.check_complete(_empty(table))
    return np.column_stack([table[name].to_numpy() for name in NAMES])


def _empty(table: pa.Table) -> dict[str, int]:
    """The columns that lack values, and the first row of each that does."""
    lacking = [name for name in NAMES if table[name].null_count]
    return {name: table[name].is_null().to_pylist().index(True) for name in lacking}
