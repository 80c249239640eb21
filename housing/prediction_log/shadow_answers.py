"""What the challenger answered beside the champion: a table in a file of its own, `shadow.db`.

Needs the standard library only, as every worker of the service imports it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from housing.prediction_log.reader import open_log

SCHEMA_FILE = Path(__file__).with_name("shadow.sql")
WRITE_TIMEOUT_SECONDS = 5.0  # to wait for another process that writes
MAX_DELETED_ROWS = 1_000  # at once


class ShadowAnswer(NamedTuple):
    """One row of the table, with the columns of shadow.sql in their order."""

    prediction_id: str
    model_name: str
    model_version: str
    prediction: float | None  # None: the challenger failed
    low: float | None
    high: float | None
    latency_us: float
    answered_at: str
    problem: str | None = None


class ModelKey(NamedTuple):
    """The name and the version of a model."""

    name: str
    version: str


COLUMN_LIST = ", ".join(ShadowAnswer._fields)


def shadow_path(log: Path) -> Path:
    """Return the file beside a prediction log that holds the challenger's answers."""
    return log.with_name("shadow.db")


def open_for_writing(file: Path) -> sqlite3.Connection:
    """Open the file and create the table. Raises sqlite3.Error, or OSError for its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(file, WRITE_TIMEOUT_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(SCHEMA_FILE.read_text())
    except BaseException:
        connection.close()
        raise
    return connection


def write(connection: sqlite3.Connection, answers: Sequence[ShadowAnswer], max_rows: int) -> None:
    """Commit some answers and delete the oldest, so that about max_rows are kept.

    What a model has answered before stays. Raises sqlite3.Error; nothing was written then.
    """
    placeholders = ", ".join("?" * len(ShadowAnswer._fields))
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(
            f"INSERT INTO shadow ({COLUMN_LIST}) VALUES ({placeholders}) "
            "ON CONFLICT (prediction_id, model_name, model_version) DO NOTHING",
            answers,
        )
        connection.execute(
            "DELETE FROM shadow WHERE number IN (SELECT number FROM shadow WHERE number <= "
            "(SELECT max(number) FROM shadow) - ? ORDER BY number LIMIT ?)",
            (max_rows, MAX_DELETED_ROWS),
        )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def has_answers(connection: sqlite3.Connection) -> bool:
    """Return whether the table is there; a moment after the file it is not yet."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'shadow'"
    return connection.execute(query).fetchone() is not None


def find(file: Path, prediction_id: str) -> list[ShadowAnswer]:
    """Return what challengers answered in place of a prediction, the oldest first.

    Raises sqlite3.Error if the file cannot be read.
    """
    if not file.exists():
        return []
    uri = f"{file.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, WRITE_TIMEOUT_SECONDS, uri=True)) as connection:
        if not has_answers(connection):
            return []
        rows = connection.execute(
            f"SELECT {COLUMN_LIST} FROM shadow WHERE prediction_id = ? ORDER BY number",
            (prediction_id,),
        )
        return [ShadowAnswer._make(row) for row in rows]


def newest_challenger(file: Path) -> ModelKey | None:
    """Return the model that answered last; None if none has. Raises RuntimeError."""
    if not file.exists():
        return None
    with open_log(file) as connection:
        if not has_answers(connection):
            return None
        row = connection.execute(
            "SELECT model_name, model_version FROM shadow ORDER BY number DESC LIMIT 1"
        ).fetchone()
    return ModelKey(*row) if row else None
