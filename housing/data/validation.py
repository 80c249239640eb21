"""Validate a frame against the table in `schema`: all problems, in sentences for its user."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from housing.data.column_names import find_column_problems
from housing.data.errors import DataError
from housing.data.files.number_parsing import find_texts
from housing.schema import COLUMNS, COORDINATE_NAMES, FEATURES, HOUSE_VALUE, TARGET, Feature
from housing.text import count_text

MAX_EXAMPLES = 3  # of rows, in one sentence
MAX_VALUE_CHARS = 40
MIN_USD_MEDIAN = 1_000  # of a column in dollars; none of the units we expect is near it
ALL_FEATURES = {**FEATURES, TARGET: HOUSE_VALUE}
SEPARATED_PATTERN = re.compile(r"[+-]?\d+([.,' ]\d+)+")
SEPARATOR_HINT = "write no thousands separators, and one decimal mark in the whole file"
ROW_ADVICE = "Rows are counted from 1, the first below the header"


class RowFault(NamedTuple):
    """The rows in which the same is wrong."""

    reason: str  # such as "Population is empty"
    values: pd.Series  # by row of the frame: the wrong number, or a text about the row
    expected: str = ""
    hint: str = ""
    is_gap: bool = False

    def describe(self) -> str:
        """Describe the fault in a sentence with its first rows, counted from 1."""
        examples = [
            f"row {row + 1}" + (f": {_format(value)}" if value != "" and not self.is_gap else "")
            for row, value in self.values.iloc[:MAX_EXAMPLES].items()
        ]
        ellipsis = ["…"] if len(self.values) > MAX_EXAMPLES else []
        rows = f"{count_text(len(self.values), 'row')} ({', '.join(examples + ellipsis)})"
        expected = f", expected {self.expected}" if self.expected else ""
        return f"{self.reason} in {rows}{expected}{f'; {self.hint}' if self.hint else ''}"


def _format(value: float | str) -> str:
    text = value if isinstance(value, str) else f"{value:.10g}"
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}…"


def validate(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame itself if it has no problem; else raise a DataError that lists all."""
    problems = find_problems(frame)
    if problems:
        raise DataError("the data cannot be used", problems, f"{ROW_ADVICE}.")
    return frame


def find_problems(frame: pd.DataFrame) -> list[str]:
    """Return one sentence per problem: the column, how many rows, their numbers and values.

    frame: (n, 9), float64, the columns of `schema.COLUMNS` in any order. The list is empty if the
    frame is valid.
    """
    problems = find_column_problems(list(frame), {})
    problems += [fault.describe() for fault in find_row_faults(frame)]
    return problems if len(frame) else [*problems, "there is no row"]


def find_row_faults(
    frame: pd.DataFrame,
    source_names: Mapping[str, str] | None = None,
    unusable_rows: Iterable[int] = (),
) -> list[RowFault]:
    """Return what is wrong in the rows of the columns that are expected; a row may be in several.

    frame: columns as `table_files` reads them. source_names: of `known_forms.Conversion`.
    unusable_rows: those that are known to be wrong; they are left out here.
    """
    frame = frame.drop(index=list(unusable_rows))
    frame = frame.loc[:, ~frame.columns.duplicated()]
    frame = frame[[name for name in COLUMNS if name in frame]]
    if frame.empty:
        return []
    texts = {name: find_texts(frame[name]) for name in frame}
    numbers = frame.apply(pd.to_numeric, errors="coerce").astype(float)
    labels = {name: _label(name, source_names or {}) for name in frame}
    faults = [
        RowFault(
            f"{labels[name]} is no number",
            values.map(repr),
            _accepted_range(ALL_FEATURES[name]),
            SEPARATOR_HINT if SEPARATED_PATTERN.fullmatch(str(values.iloc[0])) else "",
        )
        for name, values in texts.items()
        if len(values)
    ]
    checked_numbers = numbers.copy()  # valid ones in the place of texts, which have their fault
    for name, values in texts.items():
        checked_numbers.loc[values.index, name] = ALL_FEATURES[name].example
    try:
        _dataframe_schema(checked_numbers).validate(checked_numbers, lazy=True)
    except SchemaErrors as error:
        faults += _number_faults(error.failure_cases, numbers, labels)
    text_rows = {row for values in texts.values() for row in values.index}
    return [*faults, *_repetition_faults(numbers.drop(index=list(text_rows)))]


def _label(name: str, source_names: Mapping[str, str]) -> str:
    """Return a column's name in the file, or how it is made of the file's columns."""
    source_name = source_names.get(name, name)
    return f"{name} ({source_name})" if "/" in source_name else source_name


def _accepted_range(feature: Feature) -> str:
    return f"{feature.low:,g} to {feature.high:,g} ({feature.unit})"


def _dataframe_schema(frame: pd.DataFrame) -> pa.DataFrameSchema:
    return pa.DataFrameSchema({name: _column_schema(ALL_FEATURES[name]) for name in frame})


def _column_schema(feature: Feature) -> pa.Column:
    return pa.Column(
        float,
        [
            pa.Check(lambda values: ~np.isinf(values), error="is infinite"),
            pa.Check(
                lambda values: values.between(feature.low, feature.high) | np.isinf(values),
                error="is out of range",
            ),
        ],
    )


def _number_faults(
    failure_cases: pd.DataFrame, numbers: pd.DataFrame, labels: Mapping[str, str]
) -> list[RowFault]:
    """Summarize pandera's table of failure cases, a line a value, as one fault a check."""
    faults = []
    for (name, check), group in failure_cases.groupby(["column", "check"], sort=False):
        rows = pd.Index(group["index"].astype(int)).sort_values()
        is_gap = check == "not_nullable"
        faults.append(
            RowFault(
                f"{labels[name]} {'is empty' if is_gap else check}",
                numbers[name].loc[rows],
                _accepted_range(ALL_FEATURES[name]),
                "" if is_gap else _unit_hint(name, numbers),
                is_gap,
            )
        )
    return faults


def _repetition_faults(numbers: pd.DataFrame) -> list[RowFault]:
    repeated_rows = numbers.index[numbers.duplicated()]
    if not len(repeated_rows):
        return []
    values = pd.Series("", repeated_rows)
    for row in repeated_rows[:MAX_EXAMPLES]:
        is_equal = (numbers == numbers.loc[row]) | (numbers.isna() & numbers.loc[row].isna())
        values[row] = f"the same as row {is_equal.all(axis=1).idxmax() + 1}"
    return [RowFault("an earlier row is repeated", values)]


def _unit_hint(name: str, numbers: pd.DataFrame) -> str:
    """Return what seems to be meant by values of which most are outside the accepted range."""
    feature, median = ALL_FEATURES[name], numbers[name].median()
    if feature.low <= median <= feature.high:
        return ""
    if feature.unit.startswith("$") and median > feature.high:
        usd_per_unit = int(feature.unit.split()[0][1:].replace(",", ""))
        if median >= MIN_USD_MEDIAN:
            return f"it seems to be in dollars: divide it by {usd_per_unit:,}"
        return f"it seems to be in thousands of dollars: divide it by {usd_per_unit // 1_000:,}"
    if name in COORDINATE_NAMES and set(COORDINATE_NAMES) <= set(numbers):
        [other_name] = {*COORDINATE_NAMES} - {name}
        if feature.low <= numbers[other_name].median() <= feature.high:
            return f"it seems to be swapped with {other_name}"
        if feature.low <= -median <= feature.high:
            return "it seems to lack its minus sign"
    return ""
