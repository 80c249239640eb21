"""A sample of the rows of a day: those that are counted by their values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from housing.monitoring.daily.log_files import DayFile
from housing.monitoring.daily.log_values import caller_name, parse_inputs, parse_numbers
from housing.prediction_log.labelled import LabelledRow
from housing.schema import FEATURE_NAMES

MAX_DAILY_ROWS = 5_000  # of each version
MAX_DAILY_CANDIDATES = 4 * MAX_DAILY_ROWS  # that are read, where many are repeats of others
NO_WARNINGS = (None, "", "[]")


class AnsweredRow(NamedTuple):
    """A prediction, as it was logged."""

    input: str
    caller: str | None
    prediction: float
    low: float | None
    high: float | None
    warnings: str | None


def draw_rows(
    day: date, day_files: Sequence[DayFile], row_numbers: Sequence[np.ndarray]
) -> list[AnsweredRow]:
    """Return a random sample of at most MAX_DAILY_ROWS of some rows of a day.

    It is the same each time, whichever file a row is in, and independent of the values. Of the rows
    in which a caller repeats an input only one counts: they are not independent.
    row_numbers: (n,) for each file, in the order of their times.
    """
    file_numbers = np.repeat(np.arange(len(day_files)), [len(numbers) for numbers in row_numbers])
    numbers = np.concatenate([np.empty(0, np.int64), *row_numbers])
    order = np.random.default_rng(day.toordinal()).permutation(len(numbers))[:MAX_DAILY_CANDIDATES]
    rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    start = 0
    while start < len(order) and len(rows) < MAX_DAILY_ROWS:
        candidates = order[start : start + MAX_DAILY_ROWS - len(rows)]
        start += len(candidates)
        for file_number, day_file in enumerate(day_files):
            in_file = numbers[candidates[file_numbers[candidates] == file_number]]
            cursor = day_file.select_rows(AnsweredRow._fields, np.sort(in_file).tolist())
            rows |= {row[:2]: row for row in cursor}
    return list(map(AnsweredRow._make, rows.values()))


def drop_repeats(rows: Iterable[LabelledRow]) -> list[LabelledRow]:
    """Return labelled rows without those that say nothing new: same caller, input and value."""
    return list({(row.caller, row.input, row.truth): row for row in rows}.values())


def parse_rows(rows: Sequence[AnsweredRow] | Sequence[LabelledRow]) -> pd.DataFrame:
    """Return the numbers of some rows, as `row_counts.count_rows` takes them.

    The column truth is there if the rows are labelled. Damaged rows are left out.
    """
    if not rows:
        return pd.DataFrame(
            columns=[*FEATURE_NAMES, "prediction", "low", "high", "warned", "caller"]
        )
    columns = dict(zip(type(rows[0])._fields, zip(*rows, strict=True), strict=True))
    frame = pd.DataFrame(parse_inputs(columns["input"]), columns=FEATURE_NAMES)
    required = [*FEATURE_NAMES, "prediction"]
    for name in ("prediction", "low", "high"):
        frame[name] = parse_numbers(columns[name])
    if "truth" in columns:
        frame["truth"] = parse_numbers(columns["truth"])
        required.append("truth")
    frame["warned"] = [warnings not in NO_WARNINGS for warnings in columns["warnings"]]
    frame["caller"] = [caller_name(caller) for caller in columns["caller"]]
    return frame[np.isfinite(frame[required].to_numpy()).all(axis=1)].reset_index(drop=True)
