"""True values of predictions: recording them in the log, each correction beside what it corrects.

A value that is there already is taken once, so a batch that was interrupted anywhere is sent again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import NamedTuple

# the service's predictions wait for one transaction at most
FEEDBACK_TRANSACTION_ROWS = 1_000

# yields a connection that may write to the log, under the lock that its writers share
ExclusiveConnection = Callable[[], AbstractContextManager[sqlite3.Connection]]


class FeedbackOutcome(StrEnum):
    """What became of a true value."""

    ACCEPTED = "accepted"  # the prediction had none
    UNCHANGED = "unchanged"  # the prediction has that value already
    CORRECTED = "corrected"  # it replaces another value, which is kept


class TrueValue(NamedTuple):
    """The true value of a prediction."""

    prediction_id: str
    truth: float  # in $100,000
    observed_at: str | None = None  # UTC, ISO 8601; None if that is not known


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


def read_history(connection: sqlite3.Connection, prediction_id: str) -> list[FeedbackEntry]:
    """Return the true values of a prediction, the current one last; none if there is none."""
    rows = connection.execute(HISTORY_QUERY, (prediction_id, prediction_id))
    return [FeedbackEntry(*row) for row in rows]
