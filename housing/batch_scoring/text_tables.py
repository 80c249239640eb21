"""Read tables of text: CSV in any dialect that `data.table_files` knows."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from housing.batch_scoring import conversion, text_columns
from housing.batch_scoring.row_features import SourceBatch
from housing.data.files import number_parsing, table_files
from housing.data.files.csv_dialect import CsvDialect
from housing.data.files.table_files import FileFormat, TableChunk


def text_schema(dialect: CsvDialect) -> pa.Schema:
    """Return the columns of a CSV file, as text."""
    return pa.schema([(name, pa.string()) for name in dialect.column_names])


def read_batches(
    path: Path, rows: int, schema: pa.Schema, dialect: CsvDialect, keeps_empty_text: bool
) -> Iterator[SourceBatch]:
    """Yield the rows of a CSV file in batches of at most some rows.

    schema: the types in which the columns are written again. keeps_empty_text: else it is null.
    """
    indices = conversion.needed_columns(schema.names)
    for chunk in table_files.iter_tables(path, rows, as_text=True):
        numbers = number_parsing.parse_frame(chunk.frame.iloc[:, indices], dialect.decimal)
        columns = [
            text_columns.convert_column(texts, field.type, dialect.decimal, keeps_empty_text)
            for texts, field in zip(_read_texts(chunk), schema, strict=True)
        ]
        yield SourceBatch(
            pa.RecordBatch.from_arrays(columns, schema=schema),
            conversion.extract_features(numbers, _describe_ragged_rows(chunk)),
            chunk.share_read,
        )


def _read_texts(chunk: TableChunk) -> Iterator[pa.Array]:
    """Yield the columns of a chunk of text; ragged rows have the values that they have room for."""
    ragged_values = {
        row: _split_line(line, chunk.file_format) for row, line in chunk.ragged_lines.items()
    }
    for number in range(chunk.frame.shape[1]):
        values = chunk.frame.iloc[:, number]
        if ragged_values:
            values = values.copy()
            for row, row_values in ragged_values.items():
                values[row] = row_values[number] if number < len(row_values) else ""
        yield pa.array(values, pa.string())


def _describe_ragged_rows(chunk: TableChunk) -> dict[int, str]:
    descriptions = {}
    for row, problem in chunk.ragged_rows.items():
        surplus = _split_line(chunk.ragged_lines[row], chunk.file_format)[chunk.frame.shape[1] :]
        note = f", {', '.join(map(repr, surplus))} left over" if surplus else ""
        descriptions[row] = f"the row has {problem}{note}"
    return descriptions


def _split_line(line: str, file_format: FileFormat) -> list[str]:
    assert file_format.dialect is not None, "only CSV has ragged rows"
    return next(csv.reader([line], delimiter=file_format.dialect.separator), [])
