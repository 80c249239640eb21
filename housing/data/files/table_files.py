"""Read CSV and Parquet files as people write them.

What a file is, its content says, not its ending: CSV with commas, semicolons, tabs, vertical bars
or spaces, decimal points or commas, in UTF-8, UTF-16, UTF-32 or Latin-1; Parquet; either of them
compressed or the only file of an archive (`file_content`).

- `describe_file(path)` tells what a file is.
- `read_table(path)` reads all of a file.
- `iter_tables(path, rows_per_chunk)` reads one of any size in bounded memory, chunk by chunk.
- `known_forms.convert_columns(frame)` gives it this project's columns, if it has a known form.

In the frames, a column of numbers is float64. One in which a value is no number has dtype object:
its numbers are floats, its other values the text in the file (`number_parsing.find_texts`), and
what is empty, or a usual word for it (NA, null), is NaN. With `as_text`, a CSV file's columns stay
text, and a Parquet file's as they are, so that a file can be written again as it was;
`number_parsing.parse_frame(frame, decimal)` makes the numbers then.

All errors name the file: MissingDataError (a LookupError too) if it is missing, DataError (a
ValueError) if it cannot be read.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from housing.data.errors import DataError
from housing.data.files.csv_dialect import CsvDialect, code_unit_bytes, recognize_dialect
from housing.data.files.csv_quotations import UnclosedQuotationError, check_quotations
from housing.data.files.file_content import (
    DAMAGE_ERRORS,
    SAMPLE_BYTES,
    Content,
    estimate_unpacked_size,
    explain_damage,
    make_seekable,
    open_content,
)
from housing.data.files.foreign_content import refuse_foreign_content
from housing.data.files.number_parsing import build_frame, parse_numbers, parse_values
from housing.text import count_text

CSV_BLOCK_BYTES = 1 << 20  # decoded at once; no row may be longer
READ_CHUNK_ROWS = 65_536
PARQUET_MAGIC = b"PAR1"
PARQUET_INDEX_PREFIX = "__index_level_"  # pandas' name for an index without one


class FileFormat(NamedTuple):
    """What the content of a file is, and how it is written."""

    is_parquet: bool
    packings: list[str]  # the outermost first; empty if it is not compressed
    dialect: CsvDialect | None  # None for Parquet

    def describe(self) -> str:
        """Describe what is unusual: "gzip, separated by semicolons"; empty if nothing is."""
        dialect_text = self.dialect.describe() if self.dialect else ""
        return ", ".join(filter(None, [*self.packings, dialect_text]))


class TableChunk(NamedTuple):
    """Rows of a file that follow each other."""

    frame: pd.DataFrame  # the index is the row's number, from 0 for the first row with values
    ragged_rows: dict[int, str]  # row's number -> what is wrong; in the frame such a row is empty
    file_format: FileFormat
    ragged_lines: dict[int, str]  # row's number -> its line in the file
    share_read: float = 1.0  # of the file, up to the end of these rows, as estimated: 0 to 1


def describe_file(path: Path) -> FileFormat:
    """Return what a file is."""
    with _open_table(path) as (_, file_format):
        return file_format


def read_table(path: Path, as_text: bool = False) -> TableChunk:
    """Read all rows of a CSV or Parquet file. Raises DataError if it has none."""
    chunks = list(iter_tables(path, READ_CHUNK_ROWS, as_text))
    if not chunks:
        raise DataError(f"{path} has no row, expected a row for each block group")
    frame = chunks[0].frame if len(chunks) == 1 else pd.concat([chunk.frame for chunk in chunks])
    ragged_rows = {row: text for chunk in chunks for row, text in chunk.ragged_rows.items()}
    ragged_lines = {row: line for chunk in chunks for row, line in chunk.ragged_lines.items()}
    return TableChunk(frame, ragged_rows, chunks[0].file_format, ragged_lines)


def iter_tables(
    path: Path, rows_per_chunk: int = READ_CHUNK_ROWS, as_text: bool = False
) -> Iterator[TableChunk]:
    """Yield the rows of a CSV or Parquet file in chunks of at most `rows_per_chunk` rows."""
    with _open_table(path) as (content, file_format):
        try:
            with explain_damage(path, content.packings):
                if file_format.dialect is None:
                    yield from _iter_parquet(content.stream, file_format, rows_per_chunk, as_text)
                elif file_format.dialect.has_rows:
                    yield from _iter_csv(content, file_format, rows_per_chunk, as_text)
        except UnclosedQuotationError as error:
            raise DataError(f"{path}, {error}") from error
        except DAMAGE_ERRORS as error:
            if file_format.is_parquet:
                raise DataError(f"{path} cannot be read as Parquet: {error}") from error
            raise DataError(
                f"{path} cannot be read as CSV ({error}): a quotation mark may not be closed, or a "
                f"row may be longer than {CSV_BLOCK_BYTES:,} bytes"
            ) from error


@contextmanager
def _open_table(path: Path) -> Iterator[tuple[Content, FileFormat]]:
    with open_content(path) as content:
        is_parquet, dialect = content.start.startswith(PARQUET_MAGIC), None
        try:
            if not is_parquet:
                refuse_foreign_content(content.start)
                dialect = recognize_dialect(content.start, len(content.start) < SAMPLE_BYTES)
        except ValueError as error:
            raise DataError(f"{path} {error}") from error
        yield content, FileFormat(is_parquet, content.packings, dialect)


def _iter_parquet(
    stream: IO[bytes], file_format: FileFormat, rows_per_chunk: int, as_text: bool
) -> Iterator[TableChunk]:
    first_row = 0
    with pq.ParquetFile(make_seekable(stream)) as file:
        for batch in file.iter_batches(rows_per_chunk, use_threads=False):
            names = ["" if _is_nameless_index(name) else name for name in batch.schema.names]
            columns = [
                column.to_pandas() if as_text else parse_values(column) for column in batch.columns
            ]
            index = pd.RangeIndex(first_row, first_row + len(batch))
            if len(batch):
                yield TableChunk(build_frame(names, columns, index), {}, file_format, {})
            first_row += len(batch)


def _is_nameless_index(name: str) -> bool:
    return name.startswith(PARQUET_INDEX_PREFIX)


def _iter_csv(
    content: Content, file_format: FileFormat, rows_per_chunk: int, as_text: bool
) -> Iterator[TableChunk]:
    dialect = file_format.dialect
    assert dialect is not None, "a CSV file has a dialect"
    ragged_rows: dict[int, pa_csv.InvalidRow] = {}
    first_row = 0
    reader = _open_csv(content.stream, dialect, ragged_rows)
    n_blocks = 0

    def count_blocks() -> Iterator[pa.RecordBatch]:
        nonlocal n_blocks
        for block in reader:
            n_blocks += 1
            yield block

    blocks, schema = count_blocks(), reader.schema
    for batch in _chunk_batches(blocks, schema, rows_per_chunk, ragged_rows):
        rows = _number_rows(len(batch), first_row, ragged_rows)
        next_row = int(rows[-1]) + 1 if len(rows) else first_row
        while next_row in ragged_rows:
            next_row += 1
        texts = [_decode(column) for column in batch.columns]
        check_quotations(texts, rows, dialect)
        columns = [
            text.to_pandas() if as_text else parse_numbers(text, dialect.decimal) for text in texts
        ]
        index = pd.RangeIndex(first_row, next_row)
        frame = build_frame(dialect.column_names, columns, pd.Index(rows)).reindex(index)
        if len(index):
            ragged = {row: ragged_rows.pop(row) for row in index if row in ragged_rows}
            problems = {
                row: f"{count_text(invalid.actual_columns, 'value')}, expected "
                f"{invalid.expected_columns}"
                for row, invalid in ragged.items()
            }
            lines = {row: invalid.text for row, invalid in ragged.items()}
            text_bytes = estimate_unpacked_size(content) / code_unit_bytes(dialect.encoding)
            share_read = min(n_blocks * CSV_BLOCK_BYTES / text_bytes, 1.0)
            yield TableChunk(frame, problems, file_format, lines, share_read)
        first_row = next_row


def _open_csv(
    stream: IO[bytes], dialect: CsvDialect, ragged_rows: dict[int, pa_csv.InvalidRow]
) -> pa_csv.CSVStreamingReader:
    """Open binary columns; ragged rows are put in `ragged_rows`, by their number.

    A line of white space is no row, as an empty one is none.
    """
    n_blank_lines = 0

    def skip_row(row: pa_csv.InvalidRow) -> str:
        nonlocal n_blank_lines
        if row.text.strip():
            ragged_rows[row.number - dialect.header_lines - 1 - n_blank_lines] = row
        else:
            n_blank_lines += 1
        return "skip"

    names = [str(number) for number in range(len(dialect.column_names))]
    return pa_csv.open_csv(
        stream,
        pa_csv.ReadOptions(
            use_threads=False,
            block_size=CSV_BLOCK_BYTES,
            skip_rows=dialect.header_lines,
            column_names=names,
            encoding=dialect.encoding,
        ),
        pa_csv.ParseOptions(
            delimiter=dialect.separator, newlines_in_values=True, invalid_row_handler=skip_row
        ),
        pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.binary())),
    )


def _chunk_batches(
    blocks: Iterator[pa.RecordBatch], schema: pa.Schema, rows: int, ragged_rows: Collection[int]
) -> Iterator[pa.RecordBatch]:
    """Yield batches of `rows` rows, fewer after as many ragged rows, and a last one of any size."""
    pending = schema.empty_table()
    for batch in blocks:
        pending = pa.concat_tables([pending, pa.Table.from_batches([batch])])
        while len(pending) >= rows:
            yield _to_batch(pending.slice(0, rows))
            pending = pending.slice(rows)
        if len(ragged_rows) >= rows:
            yield _to_batch(pending)
            pending = pending.slice(len(pending))
    yield _to_batch(pending)


def _to_batch(table: pa.Table) -> pa.RecordBatch:
    columns = [pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
               for column in table.columns]  # fmt: skip
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _number_rows(count: int, first_row: int, ragged_rows: Collection[int]) -> np.ndarray:
    """Return the (count,) numbers of the next rows, without those of ragged rows."""
    candidates = np.arange(first_row, first_row + count + len(ragged_rows))
    return candidates[~np.isin(candidates, list(ragged_rows))][:count]


def _decode(column: pa.Array) -> pa.Array:
    """Decode a column of UTF-8; if it is not, as Latin-1."""
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([value.decode("latin-1") for value in column.to_pylist()], pa.string())
