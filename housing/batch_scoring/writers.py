"""Write tables batch by batch: Parquet, or text with a separator."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from housing.batch_scoring.formats import TableFormat

GZIP_LEVEL = 6  # as gzip's own command; Python's default takes twice the time for 1 % less
ARROW_CODECS = {".zst": "zstd", ".lz4": "lz4"}


class TextWriter:
    """Writes tables in UTF-8, with a header and decimal points; what is missing is empty.

    A number of 64 bits has the shortest text that reads as the same number.
    """

    def __init__(self, stream: IO[str], separator: str, column_names: list[str]) -> None:
        """stream: opened without translation of line ends."""
        self._writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
        self._writer.writerow(column_names)

    def write_table(self, table: pa.Table) -> None:
        """Write rows."""
        columns = [_format_values(column).to_pylist() for column in table.columns]
        self._writer.writerows(zip(*columns, strict=True))


@contextmanager
def open_writer(
    path: Path, table_format: TableFormat, schema: pa.Schema
) -> Iterator[TextWriter | pq.ParquetWriter]:
    """Open a file to write tables of a schema; its `write_table` writes the next rows."""
    with ExitStack() as stack:
        if not table_format.is_text:
            yield stack.enter_context(pq.ParquetWriter(path, schema))
            return
        file = stack.enter_context(path.open("wb"))
        stream = stack.enter_context(_open_packed(file, table_format.packing))
        text = stack.enter_context(io.TextIOWrapper(stream, encoding="utf-8", newline=""))
        yield TextWriter(text, table_format.separator, schema.names)


def find_unwritable_columns(schema: pa.Schema, table_format: TableFormat) -> list[pa.Field]:
    """Return the columns that a format cannot hold: lists and other nested values in text."""
    return [field for field in schema if table_format.is_text and not _has_text(field.type)]


def _has_text(data_type: pa.DataType) -> bool:
    try:
        _format_values(pa.chunked_array([], data_type))
    except pa.ArrowNotImplementedError:
        return False
    return True


def _format_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the text of each value, null for a missing one."""
    if pa.types.is_floating(column.type):  # not a number is a missing value, as pandas has it
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return pc.cast(column, pa.string())


def _open_packed(file: IO[bytes], packing: str) -> Any:
    """Open a stream whose bytes are compressed into the file; equal bytes give equal files."""
    match packing:
        case "":
            return file
        case ".gz":
            return gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0)
        case ".bz2":
            return bz2.open(file, "wb")
        case ".xz":
            return lzma.open(file, "wb")
    return pa.CompressedOutputStream(file, ARROW_CODECS[packing])
