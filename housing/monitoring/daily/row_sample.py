"""A sample of the rows of a day, and its numbers: which rows are counted by their values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import orjson
import pandas as pd

from housing.monitoring.daily.day_scan import NO_CALLER, parse_number
from housing.monitoring.daily.log_files import DayFile
from housing.schema import FEATURE_NAMES

MAX_DAILY_ROWS = 5_000  # that are counted by their values, of each version
# Rows that are looked at, at most, where many of them are repeats of others.
MAX_DAILY_CANDIDATES = 4 * MAX_DAILY_ROWS
NUMBER_COLUMNS = [*FEATURE_NAMES, "prediction", "low", "high"]

_feature_values = itemgetter(*FEATURE_NAMES)


class AnsweredRow(NamedTuple):
    """A prediction, as it was logged."""

    rowid: int
    input: str
    prediction: float
    low: float | None
    high: float | None
    warnings: str | None
    caller: str | None


class LoggedRow(Protocol):
    """What is needed of a row of the log to count it by its values."""


def draw_rows(
    day: date, day_files: Sequence[DayFile], row_numbers: Sequence[np.ndarray]
) -> list[AnsweredRow]:
    """Return a random sample of at most MAX_DAILY_ROWS of some rows of a day, in random order.

    It is the same at each call, wherever the rows are, and knows nothing of their values. But
    repeats of the same input by the same caller come once: they would not be independent.
    row_numbers: (n,) for each file, in the order of their times.
    """
    file_numbers = np.repeat(np.arange(len(day_files)), [len(numbers) for numbers in row_numbers])
    numbers = np.concatenate([np.empty(0, np.int64), *row_numbers])
    order = np.random.default_rng(day.toordinal()).permutation(len(numbers))[:MAX_DAILY_CANDIDATES]
    rows: dict[tuple, AnsweredRow] = {}
    for start in range(0, len(order), MAX_DAILY_ROWS):
        candidates = order[start : start + MAX_DAILY_ROWS]
        for row in _fetch_rows(day_files, file_numbers[candidates], numbers[candidates]):
            rows.setdefault((row.caller, row.input), row)
        if len(rows) >= MAX_DAILY_ROWS:
            break
    return list(rows.values())[:MAX_DAILY_ROWS]
