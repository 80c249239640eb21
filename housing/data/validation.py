"""Validate a frame against the table in `schema`, with one sentence for each problem."""

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from housing.schema import COLUMNS, FEATURES, HOUSE_VALUE, TARGET, Feature
from housing.text import count_text

DUPLICATE_CHECK = "repeats an earlier row"


def validate(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame itself if it has no problem; else raise a ValueError that lists all."""
    problems = find_problems(frame)
    if problems:
        raise ValueError(
            "the data cannot be used:\n" + "\n".join(f"- {problem}" for problem in problems)
        )
    return frame


def find_problems(frame: pd.DataFrame) -> list[str]:
    """Return one sentence per problem: the column, how many rows, an example.

    frame: (n, 9), float64, the columns of `schema.COLUMNS` in any order. The list is empty if the
    frame is valid.
    """
    problems = [f"column {name} is missing" for name in COLUMNS if name not in frame]
    problems += [f"column {name} is not expected" for name in frame if name not in COLUMNS]
    if not len(frame):
        return [*problems, "there is no row"]
    try:
        _dataframe_schema(frame).validate(frame, lazy=True)
    except SchemaErrors as error:
        problems += _describe_failures(error.failure_cases, frame)
    return problems


def _dataframe_schema(frame: pd.DataFrame) -> pa.DataFrameSchema:
    features = {**FEATURES, TARGET: HOUSE_VALUE}
    return pa.DataFrameSchema(
        {name: _column_schema(features[name]) for name in COLUMNS if name in frame},
        checks=pa.Check(lambda rows: ~rows.duplicated(), error=DUPLICATE_CHECK),
    )


def _column_schema(feature: Feature) -> pa.Column:
    out_of_range = f"outside {feature.low:,g} to {feature.high:,g} {feature.unit}"
    return pa.Column(
        float,
        [
            pa.Check(lambda values: ~np.isinf(values), error="infinite"),
            pa.Check(
                lambda values: values.between(feature.low, feature.high) | np.isinf(values),
                error=out_of_range,
            ),
        ],
    )


def _describe_failures(failure_cases: pd.DataFrame, frame: pd.DataFrame) -> list[str]:
    """Summarize pandera's table of failure cases, a line a value, as one sentence a problem."""
    is_dtype_check = failure_cases.check.str.startswith("dtype")
    wrong_dtype = set(failure_cases.column[is_dtype_check])
    problems = [
        f"{name} has dtype {frame[name].dtype}, expected float64 "
        f"(for example {_example_value(frame[name])})"
        for name in COLUMNS
        if name in wrong_dtype
    ]
    # a check that could not run has no row number
    row_failures = failure_cases[failure_cases["index"].notna()]
    is_duplicate = row_failures.check == DUPLICATE_CHECK
    of_values = row_failures[~is_duplicate & ~row_failures.column.isin(wrong_dtype)]
    for (column, check), group in of_values.groupby(["column", "check"], sort=False):
        problem = "empty" if check == "not_nullable" else check
        count, row = count_text(len(group), "row"), group["index"].iloc[0]
        problems.append(f"{column} is {problem} in {count} (row {row}: {frame[column].loc[row]:g})")
    duplicates = row_failures["index"][is_duplicate].unique()
    if len(duplicates):
        count = count_text(len(duplicates), "row")
        problems.append(f"{count} repeat an earlier row (row {duplicates[0]})")
    return problems


def _example_value(values: pd.Series) -> str:
    """Return a value that is no number, or the first one if all are numbers."""
    not_numbers = values[pd.to_numeric(values, errors="coerce").isna() & values.notna()]
    return repr((not_numbers if len(not_numbers) else values).iloc[0])
