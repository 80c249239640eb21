"""Rows of feedback in files: CSV and Parquet as `table_files` reads them, JSON and JSON lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from housing.data.errors import DataError
from housing.data.files import table_files
from housing.data.files.file_content import explain_damage, open_content
from housing.data.files.table_files import TableChunk
from housing.prediction_log.feedback_rows import (
    FEEDBACK_FIELDS,
    FeedbackError,
    describe_missing_columns,
    describe_unknown_field,
    parse_json,
    parse_texts,
)

UNNAMED_INDEX_PREFIX = "Unnamed: "  # pandas' name for an index without one


def read_rows(file: Path) -> list[Any]:
    """Return the rows of a file, for `feedback.take_feedback`.

    A row that cannot be read is a FeedbackError. Raises DataError if the file cannot be used.
    """
    with open_content(file) as content:
        encoding = json.detect_encoding(content.start)
        start = content.start.decode(encoding, errors="replace").lstrip("\ufeff \t\r\n")
        if start.startswith(("{", "[")):
            with explain_damage(file, content.packings):
                return _parse_json_file(file, content.stream.read(), encoding)
    chunk = table_files.read_table(file, as_text=True)
    names = list(chunk.frame.columns)
    _check_columns(file, names)
    return list(_iter_table_rows(chunk, names))


def _parse_json_file(file: Path, data: bytes, encoding: str) -> list[Any]:
    try:
        text = data.decode(encoding)
        try:
            rows = parse_json(text)
        except json.JSONDecodeError:
            if not _has_json_lines(text):
                raise
            rows = [row for line in text.splitlines() if line.strip() for row in _parse_line(line)]
    except ValueError as error:
        raise DataError(f"{file} is not JSON: {error}") from error
    if not rows:
        raise DataError(f"{file} has no row, expected a true value in each")
    return rows


def _has_json_lines(text: str) -> bool:
    """Return whether the first line of a text is JSON of its own."""
    try:
        parse_json(next(line for line in text.splitlines() if line.strip()))
    except ValueError:
        return False
    return True


def _parse_line(line: str) -> list[Any]:
    try:
        return parse_json(line)
    except ValueError as error:
        return [FeedbackError(f"the line is not JSON: {error}")]


def _check_columns(file: Path, names: Sequence[str]) -> None:
    """Raise DataError unless a table has the columns of feedback, and no others."""
    problems = [
        f"the column {name} is there more than once"
        for name, count in Counter(names).items()
        if count > 1 and name in FEEDBACK_FIELDS
    ]
    problems += [
        describe_unknown_field(name)
        for name in dict.fromkeys(names)
        if name and name not in FEEDBACK_FIELDS and not name.startswith(UNNAMED_INDEX_PREFIX)
    ]
    problems += [problem for _, problem in describe_missing_columns(names)]
    if problems:
        raise DataError(f"{file} has other columns than feedback", problems)


def _iter_table_rows(chunk: TableChunk, names: Sequence[str]) -> Iterator[Any]:
    dialect = chunk.file_format.dialect
    columns = [
        (name, chunk.frame.iloc[:, number])
        for number, name in enumerate(names)
        if name in FEEDBACK_FIELDS
    ]
    values = zip(*(column.tolist() for _, column in columns), strict=True)
    for number, row in zip(chunk.frame.index, values, strict=True):
        if number in chunk.ragged_rows:
            yield FeedbackError(chunk.ragged_rows[number])
            continue
        fields = {
            name: _to_plain_value(value) for (name, _), value in zip(columns, row, strict=True)
        }
        yield parse_texts(fields, dialect.decimal) if dialect else fields


def _to_plain_value(value: Any) -> Any:
    """Return a value of a frame as JSON would have it; None for a missing one."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value
