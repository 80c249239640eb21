"""Reading the prediction log, without changing it: the newest rows, new ones as they come, SQL."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from housing import paths
from housing.prediction_log import months
from housing.prediction_log.filters import CURRENT_TRUTH, LogFilters, where_clause
from housing.prediction_log.table import MIGRATED_COLUMNS, column_types, has_feedback

FOLLOW_INTERVAL_SECONDS = 0.25  # between two looks for new rows
LOG_READ_TIMEOUT_SECONDS = 5.0  # where SQLite must wait; a reader of a log in use need not

LogRow = dict[str, Any]


def log_path() -> Path:
    """Return the file that the service logs to; it may not exist yet."""
    return Path(os.environ.get("HOUSING_DATABASE") or paths.var() / "logs.db")


@contextmanager
def open_log(file: Path, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    """Open a log, read-only by default. Raises RuntimeError, also for errors while it is open."""
    uri = f"{file.resolve().as_uri()}?mode={mode}"
    connection = None
    try:
        connection = sqlite3.connect(uri, LOG_READ_TIMEOUT_SECONDS, isolation_level=None, uri=True)
        connection.row_factory = sqlite3.Row
        yield connection
    except sqlite3.Error as error:
        action = "read" if mode == "ro" else "written"
        hint = "expected the service's log, an SQLite file that this user may open"
        if Path(f"{file}-journal").exists():
            hint = "its last archiving was interrupted: run `logs --archive` again to repair it"
        raise RuntimeError(f"{file} cannot be {action}: {error}; {hint}") from error
    finally:
        if connection:
            connection.close()


@contextmanager
def open_table(file: Path) -> Iterator[sqlite3.Connection | None]:
    """Open a log to read its rows as tuples; None if there is none, or nothing was logged yet."""
    if not file.exists():
        yield None
        return
    with open_log(file) as connection:
        connection.row_factory = None
        yield connection if column_types(connection) else None


def query(file: Path, statement: str, *values: Any) -> list[LogRow]:
    """Return the rows of a query; none if there is no log, or nothing was logged yet."""
    if not file.exists():
        return []
    with open_log(file) as connection:
        if not column_types(connection):
            return []
        return [dict(row) for row in connection.execute(statement, values)]


def read_newest(file: Path, filters: LogFilters, limit: int) -> Iterator[LogRow]:
    """Yield the newest rows that match, the oldest of them first, each with all columns."""
    if not file.exists():
        return
    with open_log(file) as connection:
        yield from select_newest(connection, filters, limit)


def select_newest(
    connection: sqlite3.Connection, filters: LogFilters, limit: int
) -> Iterator[LogRow]:
    """Yield what `read_newest` does, of a log that is open."""
    columns = column_types(connection)
    if not columns:
        return
    feedback_table = find_feedback_table(connection)
    condition, values = where_clause(filters, columns, feedback_table)
    # The inner query sorts only times and row numbers, however long the list is. For the few rows
    # of one request, "+" keeps SQLite from walking the index on the time.
    sort_key = "+asked_at" if filters.request_id else "asked_at"
    newest = (
        f"SELECT asked_at AS at, rowid AS number FROM prediction WHERE {condition} "
        f"ORDER BY {sort_key} DESC, rowid DESC LIMIT ?"
    )
    cursor = connection.execute(
        f"SELECT {_select_list(columns)}{', label.truth AS truth' if feedback_table else ''} "
        f"FROM ({newest}) AS newest CROSS JOIN prediction ON prediction.rowid = newest.number "
        + (f"LEFT JOIN {feedback_table} AS label ON {CURRENT_TRUTH} " if feedback_table else "")
        + "ORDER BY newest.at, newest.number",
        (*values, limit),
    )
    yield from map(dict, cursor)


def find_feedback_table(connection: sqlite3.Connection) -> str:
    """Return SQL's name of the table of true values; empty if there is none.

    Those of an archived month are in the log, which is attached to the connection.
    """
    [(_, _, file)] = connection.execute("PRAGMA database_list").fetchall()
    log = log_path()
    schema = "main"
    if months.file_month(Path(file)) and log.is_file():
        connection.execute("ATTACH ? AS log", (f"{log.resolve().as_uri()}?mode=ro",))
        schema = "log"
    return f"{schema}.feedback" if has_feedback(connection, schema) else ""


def _select_list(columns: Collection[str]) -> str:
    """Return the columns of the table and, as NULL, those that an older log lacks."""
    present = (f'prediction."{name}"' for name in columns)
    absent = (f"NULL AS {name}" for name in MIGRATED_COLUMNS if name not in columns)
    return ", ".join([*present, *absent])


def follow(file: Path, filters: LogFilters, limit: int) -> Iterator[LogRow]:
    """Yield the newest rows and then, without an end, each new one."""
    tail = LogTail(file, filters)
    yield from tail.read(newest=limit)
    while True:
        time.sleep(FOLLOW_INTERVAL_SECONDS)
        yield from tail.read()


class LogTail:
    """Follows a log: the rows in the order in which they were committed, each once.

    The log may not exist yet, and it may be moved away, started anew, or emptied by archiving.
    """

    def __init__(self, file: Path, filters: LogFilters) -> None:
        self.file, self.filters = file, filters
        self._inode = self._last_rowid = 0
        # the id of the row with that number: SQLite reuses the number once the last row is deleted
        self._last_id = ""

    def read(self, newest: int | None = None) -> list[LogRow]:
        """Return so many of the newest rows, or else those since the last call."""
        if not self.file.exists():
            return []
        with open_log(self.file) as connection:
            connection.execute("BEGIN")  # so that all queries below see the same rows
            if not column_types(connection):
                return []
            if newest is None:
                rows = self._select_new(connection)
            else:
                rows = list(select_newest(connection, self.filters, newest))
            last_row = connection.execute(
                "SELECT rowid, id FROM prediction ORDER BY rowid DESC LIMIT 1"
            ).fetchone()
            self._last_rowid, self._last_id = last_row or (0, "")
            self._inode = self.file.stat().st_ino
        return rows

    def _select_new(self, connection: sqlite3.Connection) -> list[LogRow]:
        columns = column_types(connection)
        feedback_table = "feedback" if has_feedback(connection) else ""
        condition, values = where_clause(self.filters, columns, feedback_table)
        rows = connection.execute(
            f"SELECT {_select_list(columns)} FROM prediction NOT INDEXED "
            f"WHERE rowid > ? AND {condition} ORDER BY rowid",
            (self._resume_rowid(connection), *values),
        )
        return [dict(row) for row in rows]

    def _resume_rowid(self, connection: sqlite3.Connection) -> int:
        """Return the number of the last row that was read, 0 if it is gone."""
        if self.file.stat().st_ino != self._inode:
            return 0
        [max_rowid] = connection.execute("SELECT max(rowid) FROM prediction").fetchone()
        if (max_rowid or 0) >= self._last_rowid:
            return self._last_rowid
        last_row = connection.execute(
            "SELECT rowid FROM prediction WHERE id = ?", (self._last_id,)
        ).fetchone()
        return last_row[0] if last_row else 0
