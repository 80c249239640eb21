"""Bodies that are tables: Arrow IPC streams, Parquet and CSV.

pyarrow reads CSV here and writes all three. Arrow and Parquet are read by a process of its own
(sandbox.py), as a crafted table may harm the process that reads it. pyarrow is imported at first
use: it takes as much memory as the rest of a worker.
"""

from __future__ import annotations

import io
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from app.codecs import columns, json_body, sandbox
from app.codecs.sandbox_worker import first_missing_rows
from app.problem_details import (
    RequestError,
    check_row_count,
    invalid_value_error,
    request_error,
    shorten,
)
from housing.schema import FEATURE_NAMES

if TYPE_CHECKING:
    import pyarrow as pa

ARROW_MEDIA_TYPE = "application/vnd.apache.arrow.stream"
PARQUET_MEDIA_TYPE = "application/vnd.apache.parquet"
CSV_MEDIA_TYPE = "text/csv"
TABLE_FORMATS = {
    ARROW_MEDIA_TYPE: "an Arrow IPC stream",
    PARQUET_MEDIA_TYPE: "a Parquet file",
    CSV_MEDIA_TYPE: "CSV with a header",
}
# read beside the worker: the answer takes time, however short the body is
SANDBOXED_MEDIA_TYPES = (ARROW_MEDIA_TYPE, PARQUET_MEDIA_TYPE)
MAX_TABLE_ROWS = 100_000  # of one request; of JSON it is `json_body.MAX_JSON_ROWS`
# how pyarrow names a value that is no number
INVALID_NUMBER_PATTERN = re.compile(r"column #(\d+): Row #(\d+): .*invalid value '(.*)'", re.DOTALL)


def require_pyarrow() -> None:
    """Raise RequestError where pyarrow is not installed: the service itself does not need it."""
    if find_spec("pyarrow") is None:
        raise request_error(
            415, "this service has no pyarrow, which reads and writes tables; send JSON"
        )


def decode_table(
    media_type: str, body: bytes, max_rows: int, allow_extra_columns: bool = False
) -> np.ndarray:
    """Return a table's (n, 8) float64 in the order of `schema.FEATURE_NAMES`, each in its range.

    The columns may come in any order, as integers or floats. allow_extra_columns: whether other
    columns are ignored, not refused. Raises RequestError.
    """
    require_pyarrow()
    try:
        if media_type == CSV_MEDIA_TYPE:
            rows = _decode_csv(body, max_rows, allow_extra_columns)
        else:
            is_parquet = media_type == PARQUET_MEDIA_TYPE
            rows = sandbox.decode_table(body, is_parquet, max_rows, allow_extra_columns)
    except MemoryError:
        raise request_error(413, "the table takes more memory than a request may") from None
    except (OSError, ValueError, LookupError):
        raise request_error(
            400, f"the body is not {TABLE_FORMATS[media_type]} that can be read"
        ) from None
    json_body.check_ranges(rows)
    return rows


def encode_table(media_type: str, columns_by_name: dict[str, list | np.ndarray]) -> bytes:
    """Return columns as a table of the media type; CSV has the warnings of a row as one text."""
    import pyarrow as pa

    # with its type given, the schema is the same whether or not there are warnings
    types = {"warnings": pa.list_(pa.string())}
    table = pa.table(
        {name: pa.array(values, types.get(name)) for name, values in columns_by_name.items()}
    )
    file = pa.BufferOutputStream()
    if media_type == ARROW_MEDIA_TYPE:
        with pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    elif media_type == PARQUET_MEDIA_TYPE:
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, file)
    else:
        import pyarrow.csv

        if "warnings" in columns_by_name:
            texts = ["; ".join(warnings) for warnings in columns_by_name["warnings"]]
            table = table.set_column(table.schema.get_field_index("warnings"), "warnings", [texts])
        pyarrow.csv.write_csv(table, file)
    return file.getvalue().to_pybytes()


def _decode_csv(body: bytes, max_rows: int, allow_extra_columns: bool) -> np.ndarray:
    if body.count(b"\n") > max_rows + 1:
        check_row_count(body.count(b"\n") - 1, max_rows)
    header = body.partition(b"\n")[0]
    columns.check_column_count(header.count(b",") + 1)
    names = header.decode("utf-8-sig").strip("\r").replace('"', "").split(",")
    columns.check_columns([(name, "") for name in names], allow_extra_columns)
    table = _parse_csv(body, names)
    check_row_count(table.num_rows, max_rows)
    features = {name: table[name] for name in FEATURE_NAMES}
    columns.check_no_missing_values(first_missing_rows(features))
    return np.column_stack([column.to_numpy() for column in features.values()])


def _parse_csv(body: bytes, column_names: list[str]) -> pa.Table:
    """Return the feature columns. Raises RequestError that names a value that is no number."""
    import pyarrow as pa
    import pyarrow.csv

    convert_options = pyarrow.csv.ConvertOptions(
        column_types={name: pa.float64() for name in FEATURE_NAMES},
        include_columns=FEATURE_NAMES,
        null_values=[""],
        strings_can_be_null=False,
    )
    read_options = pyarrow.csv.ReadOptions(use_threads=False)
    try:
        return pyarrow.csv.read_csv(io.BytesIO(body), read_options, convert_options=convert_options)
    except pa.ArrowException as error:
        match = INVALID_NUMBER_PATTERN.search(str(error))
        if not match:
            raise ValueError("pyarrow cannot read the CSV") from None
        name, row = column_names[int(match[1])], int(match[2]) - 2  # row 1 is the header
        raise RequestError(422, [invalid_value_error(name, row, shorten(match[3]))]) from None
