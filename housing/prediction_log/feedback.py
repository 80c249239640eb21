"""True values of predictions: recording them in the log, each correction beside what it corrects.

A value that is there already is taken once, so a batch that was interrupted anywhere is sent again.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from housing.prediction_log.feedback_rows import FeedbackError, FeedbackRow, parse_row
from housing.prediction_log.prediction_lookup import find_predictions

# the service's predictions wait for one transaction at most
FEEDBACK_TRANSACTION_ROWS = 1_000

# yields a connection that may write to the log, under the lock that its writers share
ExclusiveConnection = Callable[[], AbstractContextManager[sqlite3.Connection]]


class FeedbackOutcome(StrEnum):
    """What became of a true value."""

    ACCEPTED = "accepted"  # the prediction had none
    UNCHANGED = "unchanged"  # the prediction has that value already
    CORRECTED = "corrected"  # it replaces another value, which is kept
    REFUSED = "refused"  # the row has a problem


class TrueValue(NamedTuple):
    """The true value of a prediction."""

    prediction_id: str
    truth: float  # in $100,000
    observed_at: str | None = None  # UTC, ISO 8601; None if that is not known


class RowProblem(NamedTuple):
    """Why a row was not taken."""

    row: int  # from 0
    error: FeedbackError


class FeedbackReport(NamedTuple):
    """What became of the rows that were sent."""

    counts: dict[FeedbackOutcome, int]  # of each outcome
    problems: list[RowProblem]  # of the refused rows, in their order


class FeedbackEntry(NamedTuple):
    """One row of the table, with the columns of schema.sql in their order."""

    number: int
    prediction_id: str
    truth: float
    received_at: str
    observed_at: str | None
    caller: str | None
    superseded_at: str | None


COLUMN_LIST = ", ".join(FeedbackEntry._fields)
HISTORY_QUERY = (
    f"SELECT {COLUMN_LIST} FROM feedback WHERE prediction_id = ? AND superseded_at IS NOT NULL "
    f"UNION ALL SELECT {COLUMN_LIST} FROM feedback "
    "WHERE prediction_id = ? AND superseded_at IS NULL ORDER BY number"
)


def take_feedback(
    rows: Iterable[object],
    log: Path,
    archive_folder: Path,
    open_exclusively: ExclusiveConnection,
    received_at: str,
    caller: str | None = None,
) -> FeedbackReport:
    """Record the true values of rows, as `feedback_rows.parse_row` takes them; skip wrong ones.

    A row may be a FeedbackError: the problem of one that could not be read. The arguments are those
    of `find_predictions` and `record_true_values`. Raises RuntimeError if a file cannot be read.
    """
    current_time = datetime.fromisoformat(received_at)
    feedback_rows: dict[int, FeedbackRow] = {}
    problems: dict[int, FeedbackError] = {}
    for number, row in enumerate(rows):
        try:
            if isinstance(row, FeedbackError):
                raise row
            feedback_rows[number] = parse_row(row, current_time)
        except FeedbackError as error:
            problems[number] = error
    references = [row.reference for row in feedback_rows.values()]
    predictions = find_predictions(log, archive_folder, references)
    true_values: list[TrueValue] = []
    for (number, row), prediction in zip(feedback_rows.items(), predictions, strict=True):
        if isinstance(prediction, FeedbackError):
            problems[number] = prediction
        else:
            true_values.append(TrueValue(prediction, row.truth, row.observed_at))
    outcomes = Counter(record_true_values(open_exclusively, true_values, received_at, caller))
    outcomes[FeedbackOutcome.REFUSED] = len(problems)
    return FeedbackReport(
        {outcome: outcomes[outcome] for outcome in FeedbackOutcome},
        [RowProblem(number, problems[number]) for number in sorted(problems)],
    )


def record_true_values(
    open_exclusively: ExclusiveConnection,
    true_values: Sequence[TrueValue],
    received_at: str,
    caller: str | None = None,
) -> list[FeedbackOutcome]:
    """Commit true values to the log; return what became of each.

    They are taken in their order: of several values of one prediction the last counts. Many are
    committed in several transactions, of which those before a failure stay.
    received_at: UTC, ISO 8601. caller: the name of the API key.
    """
    outcomes: list[FeedbackOutcome] = []
    for start in range(0, len(true_values), FEEDBACK_TRANSACTION_ROWS):
        chunk = true_values[start : start + FEEDBACK_TRANSACTION_ROWS]
        with open_exclusively() as connection, connection:  # the latter commits or rolls back
            connection.execute("BEGIN IMMEDIATE")
            outcomes += [_record(connection, value, received_at, caller) for value in chunk]
    return outcomes


def _record(
    connection: sqlite3.Connection, value: TrueValue, received_at: str, caller: str | None
) -> FeedbackOutcome:
    current = connection.execute(
        "SELECT number, truth, observed_at FROM feedback "
        "WHERE prediction_id = ? AND superseded_at IS NULL",
        (value.prediction_id,),
    ).fetchone()
    if current is not None:
        number, truth, observed_at = current
        if truth == value.truth and value.observed_at in (None, observed_at):
            return FeedbackOutcome.UNCHANGED
        connection.execute(
            "UPDATE feedback SET superseded_at = ? WHERE number = ?", (received_at, number)
        )
    connection.execute(
        "INSERT INTO feedback (prediction_id, truth, received_at, observed_at, caller) "
        "VALUES (?, ?, ?, ?, ?)",
        (value.prediction_id, value.truth, received_at, value.observed_at, caller),
    )
    return FeedbackOutcome.ACCEPTED if current is None else FeedbackOutcome.CORRECTED


def read_current_truths(
    connection: sqlite3.Connection, prediction_ids: Sequence[str]
) -> dict[str, float]:
    """Return the current true values of predictions, in $100,000, by id; those that have one."""
    rows = connection.execute(
        "SELECT prediction_id, truth FROM feedback WHERE superseded_at IS NULL "
        f"AND prediction_id IN ({', '.join('?' * len(prediction_ids))})",
        tuple(prediction_ids),
    )
    return dict(rows.fetchall())


def read_history(connection: sqlite3.Connection, prediction_id: str) -> list[FeedbackEntry]:
    """Return the true values of a prediction, the current one last; none if there is none."""
    rows = connection.execute(HISTORY_QUERY, (prediction_id, prediction_id))
    return [FeedbackEntry(*row) for row in rows]
