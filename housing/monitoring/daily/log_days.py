"""Days of the log: which a table has rows of, and how many, by the index of the times alone."""

from __future__ import annotations

import re
import sqlite3
from datetime import date, timedelta
from typing import NamedTuple

DAY_PATTERN = re.compile(r"\d{4}-\d\d-\d\d")
LAST_CHARACTER = "\U0010ffff"  # sorts behind all others


class Period(NamedTuple):
    """Some days: from the first one up to the end, which is the day after the last."""

    first: date
    end: date


class TimeColumn(NamedTuple):
    """A column of ISO times in UTC that has an index."""

    table: str
    column: str


class DayTally(NamedTuple):
    """The rows of a day in one table."""

    row_count: int
    last_number: int  # the largest row number


ASKED_AT = TimeColumn("prediction", "asked_at")
RECEIVED_AT = TimeColumn("feedback", "received_at")


def next_day(day: date) -> date:
    """Return the day after a day."""
    return day + timedelta(days=1)


def parse_day(time: str) -> date | None:
    """Return the day that an ISO time begins with; None if there is no such day."""
    if not DAY_PATTERN.match(time):
        return None
    try:
        return date.fromisoformat(time[:10])
    except ValueError:
        return None


def tally_days(
    connection: sqlite3.Connection, times: TimeColumn, period: Period
) -> dict[date, DayTally]:
    """Count the rows of a table by day, in order. Times that begin with no date are passed over."""
    tallies: dict[date, DayTally] = {}
    name, column = times
    rows_between = f"FROM {name} WHERE {column} >= ? AND {column} < ?"
    first_query = f"SELECT {column} {rows_between} ORDER BY {column} LIMIT 1"
    start, end = period.first.isoformat(), period.end.isoformat()
    while (row := connection.execute(first_query, (start, end)).fetchone()) is not None:
        text = str(row[0])
        day = parse_day(text)
        if day is None:
            start = max(text[:10] + LAST_CHARACTER, text + "\0")
            continue
        start = next_day(day).isoformat()
        tally = connection.execute(
            f"SELECT count(*), max(rowid) {rows_between}", (day.isoformat(), start)
        )
        tallies[day] = DayTally(*tally.fetchone())
    return tallies


def count_rows_outside(connection: sqlite3.Connection, period: Period) -> int:
    """Return how many predictions were, by their times, asked before or after a period."""
    conditions = "asked_at IS NULL", "asked_at < :first", "asked_at >= :end"
    # a sum, as each of the parts is answered by the index
    counts = " + ".join(
        f"(SELECT count(*) FROM prediction WHERE {condition})" for condition in conditions
    )
    bounds = {"first": period.first.isoformat(), "end": period.end.isoformat()}
    [row_count] = connection.execute(f"SELECT {counts}", bounds).fetchone()
    return row_count
