"""Days of the log: which a table has rows of, and how many, by the index of the times alone."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
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
) -> dict[date, int]:
    """Count the rows of a table by day, in order. Times that begin with no date are passed over."""
    return {
        time_range.day: _count_rows(connection, times, time_range)
        for time_range in _time_ranges(connection, times, period)
        if time_range.day
    }


def count_undated_rows(connection: sqlite3.Connection, possible_days: Period) -> int:
    """Return how many predictions were, by their times, asked on none of the possible days."""
    conditions = "asked_at IS NULL", "asked_at < :first", "asked_at >= :end"
    # a sum, as each of the parts is answered by the index
    counts = " + ".join(
        f"(SELECT count(*) FROM prediction WHERE {condition})" for condition in conditions
    )
    bounds = {"first": possible_days.first.isoformat(), "end": possible_days.end.isoformat()}
    [row_count] = connection.execute(f"SELECT {counts}", bounds).fetchone()
    return row_count + sum(
        _count_rows(connection, ASKED_AT, time_range)
        for time_range in _time_ranges(connection, ASKED_AT, possible_days)
        if time_range.day is None
    )


class _TimeRange(NamedTuple):
    """Times from the start on, before the end: those of a day, or some that begin with no date."""

    start: str
    end: str
    day: date | None


def _time_ranges(
    connection: sqlite3.Connection, times: TimeColumn, period: Period
) -> Iterator[_TimeRange]:
    """Yield the ranges that have rows, each with one look into the index."""
    query = (
        f"SELECT {times.column} FROM {times.table} "
        f"WHERE {times.column} >= ? AND {times.column} < ? ORDER BY {times.column} LIMIT 1"
    )
    start, period_end = period.first.isoformat(), period.end.isoformat()
    while (row := connection.execute(query, (start, period_end)).fetchone()) is not None:
        text = str(row[0])
        day = parse_day(text)
        if day is None:
            start, end = text, max(text[:10] + LAST_CHARACTER, text + "\0")
        else:
            start, end = day.isoformat(), next_day(day).isoformat()
        yield _TimeRange(start, end, day)
        start = end


def _count_rows(connection: sqlite3.Connection, times: TimeColumn, time_range: _TimeRange) -> int:
    [row_count] = connection.execute(
        f"SELECT count(*) FROM {times.table} WHERE {times.column} >= ? AND {times.column} < ?",
        (time_range.start, time_range.end),
    ).fetchone()
    return row_count
