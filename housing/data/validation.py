"""Is a frame the data we know? One sentence for each problem, from the table in `schema`."""

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from housing.schema import COLUMNS, FEATURES, HOUSE_VALUE, TARGET, Feature


def validate(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame itself, if it has no problem; else a ValueError that lists all of them."""
    found = find_problems(frame)
    if found:
        raise ValueError("the data cannot be used:\n" + "\n".join(f"- {one}" for one in found))
    return frame


def find_problems(frame: pd.DataFrame) -> list[str]:
    """One sentence per problem: the column, how many rows, an example. Empty if all is well.

    frame: (n, 9), float64, the columns of `schema.COLUMNS` in any order.
    """
    found = [f"column {name} is missing" for name in COLUMNS if name not in frame]
    found += [f"column {name} is not expected" for name in frame if name not in COLUMNS]
    if not len(frame):
        return [*found, "there is no row"]
    try:
        _dataframe_schema(frame).validate(frame, lazy=True)
    except SchemaErrors as failed:
        found += _describe_failures(failed.failure_cases, frame)
    return found


def _dataframe_schema(frame: pd.DataFrame) -> pa.DataFrameSchema:
    table = {**FEATURES, TARGET: HOUSE_VALUE}
    return pa.DataFrameSchema(
        {name: _column_schema(table[name]) for name in COLUMNS if name in frame},
        checks=pa.Check(lambda rows: ~rows.duplicated(), error="repeats an earlier row"),
    )


def _column_schema(feature: Feature) -> pa.Column:
    within = f"outside {feature.low:,g} to {feature.high:,g} {feature.unit}"
    return pa.Column(
        float,
        [
            pa.Check(lambda values: ~np.isinf(values), error="infinite"),
            pa.Check(
                lambda values: values.between(feature.low, feature.high) | np.isinf(values),
                error=within,
            ),
        ],
    )


def _describe_failures(failure_cases: pd.DataFrame, frame: pd.DataFrame) -> list[str]:
    """pandera's table of failure cases, a line a value, as one sentence a problem."""
    wrong_type = set(failure_cases.column[failure_cases.check.str.startswith("dtype")])
    found = [
        f"{name} has dtype {frame[name].dtype}, expected float64 (for example {_example_value(frame[name])})"
        for name in COLUMNS
        if name in wrong_type
    ]
    of_rows = failure_cases[
        failure_cases["index"].notna()
    ]  # a check that could not run names no row
    for (column, problem), group in of_rows.groupby(["column", "check"], sort=False):
        if problem == "repeats an earlier row" or column in wrong_type:
            continue
        reason = "empty" if problem == "not_nullable" else problem
        row = group["index"].iloc[0]
        found.append(
            f"{column} is {reason} in {_format_row_count(len(group))} (row {row}: {frame[column].loc[row]:g})"
        )
    repeats = of_rows["index"][of_rows.check == "repeats an earlier row"].unique()
    if len(repeats):
        found.append(f"{_format_row_count(len(repeats))} repeat an earlier row (row {repeats[0]})")
    return found


def _example_value(values: pd.Series) -> str:
    odd = values[pd.to_numeric(values, errors="coerce").isna() & values.notna()]
    return repr((odd if len(odd) else values).iloc[0])


def _format_row_count(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
