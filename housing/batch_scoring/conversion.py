"""Make the eight features of columns of text, or of another known form (`data.known_forms`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import pyarrow as pa

from housing.batch_scoring.row_features import ReadingProblems, RowFeatures, has_features
from housing.data import known_forms
from housing.data.column_names import find_near_name
from housing.data.files import number_parsing
from housing.schema import FEATURE_NAMES, FEATURES

AVERAGE_OF_HOUSEHOLDS = "AveRooms"  # the first feature that no households leave without a value
MAX_QUOTED_CHARACTERS = 40  # of a value in a problem


def extract_features(frame: pd.DataFrame, ragged_rows: Mapping[int, str]) -> RowFeatures:
    """Return the features of a frame of a known form.

    frame, ragged_rows: as of a `data.table_files.TableChunk` with parsed numbers.
    """
    labels: dict[str, str] = {}
    row_problems: dict[int, str] = {}
    texts: dict[str, dict[int, str]] = {name: {} for name in FEATURE_NAMES}
    if not has_features(frame.columns):
        conversion = known_forms.convert_columns(frame)
        labels = _label_features(conversion.source_names)
        frame, row_problems = conversion.frame, conversion.row_problems
    columns = []
    for name in FEATURE_NAMES:
        values, unit = frame[name], FEATURES[name].unit
        for row, value in number_parsing.find_texts(values).items():
            texts[name][row] = (
                f"{labels.get(name, name)} is {_quote(value)}, expected a number ({unit})"
            )
        columns.append(pa.array(pd.to_numeric(values, errors="coerce"), pa.float64()))
    for row, problem in row_problems.items():
        if not any(row in row_texts for row_texts in texts.values()):
            texts[AVERAGE_OF_HOUSEHOLDS][row] = problem
    problems = ReadingProblems(
        labels,
        {name: _scatter(rows, frame.index) for name, rows in texts.items() if rows},
        _scatter(ragged_rows, frame.index) if ragged_rows else None,
    )
    return RowFeatures(pa.RecordBatch.from_arrays(columns, FEATURE_NAMES), problems)


def convert_batch(batch: pa.RecordBatch) -> RowFeatures:
    """Return the features of a batch of columns of another form."""
    names = batch.schema.names
    indices = needed_columns(names)
    columns = [number_parsing.parse_values(batch.column(index)) for index in indices]
    index = pd.RangeIndex(len(batch))
    frame = number_parsing.build_frame([names[number] for number in indices], columns, index)
    return extract_features(frame, {})


def find_missing_columns(column_names: Sequence[str]) -> list[str]:
    """Return which columns are missing, a clause each."""
    if _convert_names(column_names):
        spellings = {known_forms.normalize_name(name) for name in column_names}
        missing_names = [
            name
            for name in known_forms.CENSUS_NAMES
            if known_forms.normalize_name(name) not in spellings
        ]
    else:
        missing_names = [name for name in FEATURE_NAMES if name not in column_names]
    other_names = [name for name in column_names if name not in FEATURES]
    return [f"column {name} is missing{_name_hint(name, other_names)}" for name in missing_names]


def describe_conversion(column_names: Sequence[str]) -> list[str]:
    """Return what is computed of columns of another form, such as "AveRooms = a / b"; else none."""
    return [
        f"{name} = {source}"
        for name, source in _convert_names(column_names).items()
        if name in known_forms.AVERAGE_NAMES
    ]


def needed_columns(column_names: Sequence[str]) -> list[int]:
    """Return the indices of the columns that the features are made of."""
    if has_features(column_names):
        return [index for index, name in enumerate(column_names) if name in FEATURES]
    normalized_names = {known_forms.normalize_name(name) for name in known_forms.CENSUS_NAMES}
    return [
        index
        for index, name in enumerate(column_names)
        if known_forms.normalize_name(name) in normalized_names
    ]


def _name_hint(missing_name: str, column_names: Sequence[str]) -> str:
    """Return which column may be meant by a missing one, or nothing."""
    near_name = find_near_name(missing_name, column_names)
    return f" (the file has {near_name}: rename it)" if near_name else ""


def _convert_names(column_names: Sequence[str]) -> dict[str, str]:
    """Return how columns are made of those of another form; empty for no known form."""
    empty_frame = pd.DataFrame(columns=list(column_names), dtype=float)
    return known_forms.convert_columns(empty_frame).source_names


def _label_features(source_names: Mapping[str, str]) -> dict[str, str]:
    return {name: f"{name} ({source})" for name, source in source_names.items()}


def _scatter(texts: Mapping[int, str], index: pd.Index) -> pa.Array:
    return pa.array([texts.get(row) for row in index], pa.string())


def _quote(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= MAX_QUOTED_CHARACTERS else text[:MAX_QUOTED_CHARACTERS] + "…")
