"""Bodies that are tables: Arrow IPC streams and files, Parquet and CSV.

pyarrow reads CSV here and writes all of them. Arrow and Parquet are read by a process of its own
(sandbox.py), as a crafted table may harm the process that reads it. pyarrow is imported at first
use: it takes as much memory as the rest of a worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from app.codecs import csv_body, sandbox, value_checks
from app.codecs.columns import FEATURE_COLUMNS
from app.codecs.content_encoding import GZIP_MAGIC
from app.codecs.sandbox_worker import ARROW_FILE_MAGIC
from app.codecs.value_checks import ParsedTable
from app.messages import JSON_MEDIA_TYPE
from app.problem_details import request_error
from housing.schema import FEATURE_NAMES


class FileFormat(NamedTuple):
    """A format that a body may have in spite of its media type."""

    magic: bytes  # how it begins
    name: str
    way_out: str


ARROW_MEDIA_TYPE = "application/vnd.apache.arrow.stream"
ARROW_FILE_MEDIA_TYPE = "application/vnd.apache.arrow.file"
PARQUET_MEDIA_TYPE = "application/vnd.apache.parquet"
CSV_MEDIA_TYPE = "text/csv"
TABLE_FORMATS = {
    ARROW_MEDIA_TYPE: "an Arrow IPC stream",
    ARROW_FILE_MEDIA_TYPE: "an Arrow IPC file (Feather version 2)",
    PARQUET_MEDIA_TYPE: "a Parquet file",
    CSV_MEDIA_TYPE: "CSV with a header",
}
# what clients send that do not know the registered media types above
MEDIA_TYPE_ALIASES = {
    "application/feather": ARROW_FILE_MEDIA_TYPE,
    "application/x-feather": ARROW_FILE_MEDIA_TYPE,
    "application/parquet": PARQUET_MEDIA_TYPE,
    "application/x-parquet": PARQUET_MEDIA_TYPE,
    "application/csv": CSV_MEDIA_TYPE,
    "text/x-csv": CSV_MEDIA_TYPE,
}
# read beside the worker: the answer takes time, however short the body is
SANDBOXED_MEDIA_TYPES = tuple(
    media_type
    for media_type in (*TABLE_FORMATS, *MEDIA_TYPE_ALIASES)
    if MEDIA_TYPE_ALIASES.get(media_type, media_type) != CSV_MEDIA_TYPE
)
FOREIGN_FORMATS = (
    FileFormat(b"PAR1", "a Parquet file", f"its media type is {PARQUET_MEDIA_TYPE}"),
    FileFormat(ARROW_FILE_MAGIC, "an Arrow file", f"its media type is {ARROW_FILE_MEDIA_TYPE}"),
    FileFormat(b"FEA1", "Feather version 1", "write version 2"),
    FileFormat(GZIP_MAGIC, "compressed by gzip", "name it by the header Content-Encoding: gzip"),
    FileFormat(b"\x28\xb5\x2f\xfd", "compressed by zstd", "send it uncompressed"),
    FileFormat(b"PK\x03\x04", "a zip archive or an Excel workbook", "save the table as CSV"),
)
MAGICS = {
    ARROW_MEDIA_TYPE: ARROW_FILE_MAGIC,  # a stream has none; a file in its place is read as one
    ARROW_FILE_MEDIA_TYPE: ARROW_FILE_MAGIC,
    PARQUET_MEDIA_TYPE: b"PAR1",
}
MAX_QUOTED_CHARS = 60  # of a content type that an error repeats
MAX_TABLE_ROWS = 100_000  # of one request; of JSON it is `json_body.MAX_JSON_ROWS`


def resolve_media_type(header_value: str) -> str:
    """Return the media type of a header or media range, an alias by its registered name."""
    media_type = header_value.partition(";")[0].strip().lower()
    return MEDIA_TYPE_ALIASES.get(media_type, media_type)


def supported_media_type(content_type: str) -> str:
    """Return the media type of a body, JSON or a table. Raises RequestError (415) for any other."""
    media_type = resolve_media_type(content_type)
    if media_type != JSON_MEDIA_TYPE and media_type not in TABLE_FORMATS:
        actual = repr(content_type[:MAX_QUOTED_CHARS]) if content_type else "'nothing'"
        expected = ", ".join([JSON_MEDIA_TYPE, *TABLE_FORMATS])
        raise request_error(415, f"the content type is {actual}, expected one of {expected}")
    return media_type


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
    with readable_table(media_type, body):
        if media_type == CSV_MEDIA_TYPE:
            return csv_body.decode_csv(body, max_rows, allow_extra_columns)
        is_parquet = media_type == PARQUET_MEDIA_TYPE
        table = sandbox.read_table(body, is_parquet, max_rows, FEATURE_COLUMNS, allow_extra_columns)
        rows = np.column_stack([table.numbers[name] for name in FEATURE_NAMES])
        parsed_table = ParsedTable(rows, dict.fromkeys(table.missing_cells, "missing"))
    value_checks.check_values(parsed_table)
    return rows


@contextmanager
def readable_table(media_type: str, body: bytes) -> Iterator[None]:
    """Raise RequestError if a body is of another format, or cannot be read in the block."""
    require_pyarrow()
    _check_magic(media_type, body)
    try:
        yield
    except MemoryError:
        raise request_error(413, "the table takes more memory than a request may") from None
    except (OSError, ValueError, LookupError):
        raise request_error(
            400, f"the body is not {TABLE_FORMATS[media_type]} that can be read"
        ) from None


def _check_magic(media_type: str, body: bytes) -> None:
    """Raise RequestError for a body that begins as a file of another format does."""
    for file_format in FOREIGN_FORMATS:
        if body.startswith(file_format.magic) and file_format.magic != MAGICS.get(media_type):
            raise request_error(
                400,
                f"the body is {file_format.name}, not {TABLE_FORMATS[media_type]}; "
                f"{file_format.way_out}",
            )


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
    elif media_type == ARROW_FILE_MEDIA_TYPE:
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
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
