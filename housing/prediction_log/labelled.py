"""Reading the predictions whose true value is known, also those of archived months."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from housing.prediction_log import months, table
from housing.prediction_log.reader import open_log

# Knuth's multiplicative hash spreads the numbers of a period over the range of 32 bits: a sample
# of the smallest is the same at each reading, and has no part in the order of arrival.
SAMPLE_ORDER = "number * 2654435761 % 4294967296"


class LabelledRow(NamedTuple):
    """A prediction and its current true value."""

    number: int  # of the true value, in the order of arrival
    truth: float  # in $100,000
    received_at: str  # UTC, ISO 8601, as all times here
    observed_at: str | None
    id: str  # of the prediction, as the columns below
    asked_at: str
    input: str  # JSON
    prediction: float
    model_name: str
    model_version: str
    low: float | None
    high: float | None
    warnings: str | None
    caller: str | None


class ChangedDays(NamedTuple):
    """The days whose labelled rows have changed since a true value."""

    days: list[str]  # of arrival, like 2026-11-30, in order; UTC
    last_number: int  # of the last true value that was looked at


FEEDBACK_FIELDS = LabelledRow._fields[:4]
PREDICTION_FIELDS = LabelledRow._fields[4:]


def read_labelled_rows(
    log: Path,
    archives: Sequence[Path],
    since: str = "",
    until: str = "~",
    max_rows: int | None = None,
) -> Iterator[LabelledRow]:
    """Yield the predictions whose current true value arrived from `since` on, before `until`.

    They come file by file. A row that is archived meanwhile is yielded once.
    archives: as `months.archive_paths` returns them. since, until: starts of ISO times.
    max_rows: so many of them at most, the same sample each time. Raises RuntimeError if a file
    cannot be read.
    """
    if not log.exists():
        return
    with open_log(log) as connection:
        if not table.has_feedback(connection):
            return
        connection.row_factory = None
        connection.execute("BEGIN")  # so that all queries of the log see the same rows
        connection.execute(
            f"CREATE TEMP TABLE label AS SELECT prediction_id, {', '.join(FEEDBACK_FIELDS)} "
            "FROM main.feedback WHERE superseded_at IS NULL AND received_at >= ? "
            f"AND received_at < ? ORDER BY {'number' if max_rows is None else SAMPLE_ORDER} "
            "LIMIT ?",
            (since, until, -1 if max_rows is None else max_rows),
        )
        yield from _join_predictions(connection, "main", months.IdRange("", "~"))
        # what remains was moved before this reading began, and is in its month by now
        connection.execute(
            "DELETE FROM label WHERE EXISTS "
            "(SELECT 1 FROM main.prediction WHERE prediction.id = label.prediction_id)"
        )
        connection.execute("COMMIT")
        connection.execute("CREATE INDEX temp.label_id ON label (prediction_id)")
        for file in archives:
            month = months.file_month(file)
            if month is not None:
                yield from _read_month(connection, file, months.month_ids(month))


def find_changed_days(log: Path, after_number: int = 0) -> ChangedDays:
    """Return the days of arrival whose current true values have changed since a number.

    A correction changes its own day, and that of the value that it replaces.
    """
    if not log.exists():
        return ChangedDays([], 0)
    with open_log(log) as connection:
        if not table.has_feedback(connection):
            return ChangedDays([], 0)
        connection.execute("BEGIN")
        days = connection.execute(
            "SELECT substr(received_at, 1, 10) AS day FROM feedback WHERE number > :number "
            "UNION SELECT substr(older.received_at, 1, 10) FROM feedback AS newer "
            "JOIN feedback AS older ON older.prediction_id = newer.prediction_id "
            "AND older.superseded_at IS NOT NULL WHERE newer.number > :number ORDER BY day",
            {"number": after_number},
        ).fetchall()
        [last_number] = connection.execute("SELECT max(number) FROM feedback").fetchone()
    return ChangedDays([day for [day] in days], last_number or 0)


def _read_month(
    connection: sqlite3.Connection, file: Path, ids: months.IdRange
) -> Iterator[LabelledRow]:
    is_needed = connection.execute(
        "SELECT 1 FROM label WHERE prediction_id >= ? AND prediction_id < ? LIMIT 1", ids
    )
    if is_needed.fetchone() is None:
        return
    connection.execute("ATTACH ? AS month", (f"{file.resolve().as_uri()}?mode=ro",))
    try:
        yield from _join_predictions(connection, "month", ids)
    finally:
        connection.execute("DETACH month")


def _join_predictions(
    connection: sqlite3.Connection, schema: str, ids: months.IdRange
) -> Iterator[LabelledRow]:
    """Yield the labelled rows whose predictions are in one of the open databases."""
    columns = table.column_types(connection, schema)
    if not columns:
        return
    fields = [f"label.{name}" for name in FEEDBACK_FIELDS]
    fields += [f"prediction.{name}" if name in columns else "NULL" for name in PREDICTION_FIELDS]
    cursor = connection.execute(
        f"SELECT {', '.join(fields)} FROM label CROSS JOIN {schema}.prediction AS prediction "
        "ON prediction.id = label.prediction_id "
        "WHERE label.prediction_id >= ? AND label.prediction_id < ?",
        ids,
    )
    yield from map(LabelledRow._make, cursor)
