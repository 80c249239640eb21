"""Read the tables to be scored batch by batch, each with its features.

Plain Parquet with the eight features is read without pandas, which takes a worker 0.5 s to import.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from housing.batch_scoring import row_features
from housing.batch_scoring.formats import TableFormat
from housing.batch_scoring.row_features import RowFeatures, SourceBatch

PARQUET_MAGIC = b"PAR1"


class SourceColumns(NamedTuple):
    """The columns of a file."""

    schema: pa.Schema
    is_text: bool  # CSV: each value is text, which may be a number


class SourceTable(NamedTuple):
    """An open file."""

    schema: pa.Schema  # of the columns as they are written again
    batches: Iterator[SourceBatch]


def read_columns(path: Path) -> SourceColumns:
    """Return the columns of a file.

    Raises ValueError or LookupError that names the file and why it cannot be read.
    """
    if _is_plain_parquet(path):
        with _open_parquet(path) as file:
            return SourceColumns(file.schema_arrow, is_text=False)
    from housing.batch_scoring import text_tables
    from housing.data.files import table_files

    file_format = table_files.describe_file(path)
    if file_format.dialect is not None:
        return SourceColumns(text_tables.text_schema(file_format.dialect), is_text=True)
    with _open_packed_parquet(path) as file:
        return SourceColumns(file.schema_arrow, is_text=False)


@contextmanager
def open_table(path: Path, rows: int, target_format: TableFormat) -> Iterator[SourceTable]:
    """Open a file to read batches of at most some rows.

    The columns of a CSV file stay the text that they are if they are written as text again; in
    Parquet those that hold nothing but numbers are numbers. Raises as `read_columns` does.
    """
    if _is_plain_parquet(path):
        with _open_parquet(path) as file:
            yield SourceTable(file.schema_arrow, _read_parquet(file, rows))
        return
    from housing.batch_scoring import text_columns, text_tables
    from housing.data.files import table_files

    dialect = table_files.describe_file(path).dialect
    if dialect is None:
        with _open_packed_parquet(path) as file:
            yield SourceTable(file.schema_arrow, _read_parquet(file, rows))
        return
    schema = text_tables.text_schema(dialect)
    if not target_format.is_text:
        schema = text_columns.infer_schema(path, schema, dialect.decimal)
    batches = text_tables.read_batches(path, rows, schema, dialect, target_format.is_text)
    yield SourceTable(schema, batches)


def _is_plain_parquet(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC


@contextmanager
def _open_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    with _explain_parquet_errors(path):
        # not pre-buffered: a row group may be larger than the memory
        file = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
    with file:
        yield file


@contextmanager
def _open_packed_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    from housing.data.files import file_content

    with ExitStack() as stack:
        with _explain_parquet_errors(path):
            content = stack.enter_context(file_content.open_content(path))
            with file_content.explain_damage(path, content.packings):
                stream = stack.enter_context(file_content.make_seekable(content.stream))
            file = stack.enter_context(pq.ParquetFile(stream, pre_buffer=False))
        yield file


@contextmanager
def _explain_parquet_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: it cannot be read as Parquet: {error}") from error


def _read_parquet(file: pq.ParquetFile, rows: int) -> Iterator[SourceBatch]:
    total_rows, rows_read = file.metadata.num_rows, 0
    has_features = row_features.has_features(file.schema_arrow.names)
    for batch in file.iter_batches(rows, use_threads=False):
        rows_read += len(batch)
        features = RowFeatures(batch) if has_features else _convert_batch(batch)
        yield SourceBatch(batch, features, rows_read / total_rows)


def _convert_batch(batch: pa.RecordBatch) -> RowFeatures:
    from housing.batch_scoring import conversion

    return conversion.convert_batch(batch)
