"""The service's log of requests and answers, read only: the newest, those to come, any query."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from housing import paths
from housing.prediction_log.filters import Clause, LogFilters, filter_clauses, request_clauses

OPTIONAL_COLUMNS = (
    "low",
    "high",
    "warnings",
    "run_id",
    "caller_id",
    "traceparent",
    "caller",
)  # columns
FOLLOW_INTERVAL_SECONDS = 0.25  # seconds between two looks for new rows
LOG_READ_TIMEOUT_SECONDS = (
    5.0  # seconds to wait where SQLite must; a reader of a log in use need not
)

LogRow = dict[str, Any]


def log_path() -> Path:
    """The file that the service logs to; it may not be there yet."""
    return Path(os.environ.get("HOUSING_DATABASE") or paths.var() / "logs.db")


def archive_paths() -> list[Path]:
    """The months that were moved out of the log into the folder where they go by default, the
    newest first."""
    return sorted((paths.var() / "archive").glob("logs-*.db"), reverse=True)


@contextmanager
def open_log(file: Path, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    """A log. Raises RuntimeError, also for what goes wrong as long as it is open."""
    address = f"{file.resolve().as_uri()}?mode={mode}"
    connection = None
    try:
        connection = sqlite3.connect(
            address, LOG_READ_TIMEOUT_SECONDS, isolation_level=None, uri=True
        )
        connection.row_factory = sqlite3.Row
        yield connection
    except sqlite3.Error as failed:
        what = "read" if mode == "ro" else "written"
        hint = "expected the service's log, an SQLite file that this user may open"
        if Path(f"{file}-journal").exists():
            hint = "its last archiving was cut short: `logs --archive` again mends it"
        raise RuntimeError(f"{file} cannot be {what}: {failed}; {hint}") from failed
    finally:
        if connection:
            connection.close()


def query(file: Path, statement: str, *values: Any) -> list[LogRow]:
    """What a log answers; nothing if it is not there, or nothing was ever logged."""
    if not file.exists():
        return []
    with open_log(file) as database:
        if not table_columns(database):
            return []
        return [dict(one) for one in database.execute(statement, values)]


def table_columns(connection: sqlite3.Connection) -> dict[str, str]:
    """Those of the table, with their types; none if there is no table yet."""
    found = connection.execute("PRAGMA table_info(prediction)")
    return {one["name"]: one["type"] for one in found}


def read_newest(file: Path, filters: LogFilters, limit: int) -> Iterator[LogRow]:
    """The newest answers that are wanted, the oldest of them first, each with all the columns."""
    if not file.exists():
        return
    with open_log(file) as database:
        yield from select_newest(database, filters, limit)


def select_newest(
    connection: sqlite3.Connection, filters: LogFilters, limit: int
) -> Iterator[LogRow]:
    """The same, of a log that is open."""
    known = table_columns(connection)
    if not known:
        return
    where, values = where_clause(filters, known)
    # sorts no more than times and row numbers, however long the list is; of a request's few rows
    # the index on the time would be a way round
    by = "+asked_at" if filters.request_id else "asked_at"
    found = (f"SELECT asked_at AS at, rowid AS number FROM prediction WHERE {where} "
             f"ORDER BY {by} DESC, rowid DESC LIMIT ?")  # fmt: skip
    cursor = connection.execute(
        f"SELECT {_select_list(known)} FROM ({found}) AS one "
        "CROSS JOIN prediction ON prediction.rowid = one.number ORDER BY one.at, one.number",
        (*values, limit),
    )
    yield from map(dict, cursor)


def _select_list(columns: Collection[str]) -> str:
    """The columns of the table, and those that it has not, empty."""
    missing = (f"NULL AS {one}" for one in OPTIONAL_COLUMNS if one not in columns)
    return ", ".join([*(f'prediction."{one}"' for one in columns), *missing])


def where_clause(
    filters: LogFilters, columns: Collection[str], new_rows_only: bool = False
) -> Clause:
    """What is wanted, as one condition on a table with the known columns.

    coming: on few rows that are looked at anyway, else on all of a log.
    """
    found = filter_clauses(filters, columns)
    if filters.request_id is not None:
        ways = request_clauses(filters.request_id, columns)
        values = tuple(it for one in ways for it in one.values)
        if new_rows_only:
            found.append(Clause(" OR ".join(one.sql for one in ways), values))
        else:  # each way by its own index
            some = " UNION ALL ".join(
                f"SELECT rowid FROM prediction WHERE {one.sql}" for one in ways
            )
            found.append(Clause(f"rowid IN ({some})", values))
    values = tuple(it for one in found for it in one.values)
    return Clause(" AND ".join(f"({one.sql})" for one in found) or "TRUE", values)


def follow(file: Path, filters: LogFilters, limit: int) -> Iterator[LogRow]:
    """The newest rows, and then, without an end, each new one."""
    tail = LogTail(file, filters)
    yield from tail.start(limit)
    while True:
        time.sleep(FOLLOW_INTERVAL_SECONDS)
        yield from tail.poll()


class LogTail:
    """Follows a log: the rows in the order in which they were committed, each once.

    The log may be missing yet, moved away, begun anew, or emptied by archiving.
    """

    def __init__(self, file: Path, filters: LogFilters) -> None:
        self.file, self.filters = file, filters
        self._inode = self._last_rowid = 0
        self._last_id = (
            ""  # of the row with that number: SQLite begins anew after the last row is gone
        )

    def start(self, limit: int) -> list[LogRow]:
        """The newest rows of now; `fresh` goes on from here."""
        return self._read_transaction(
            lambda database: list(select_newest(database, self.filters, limit))
        )

    def poll(self) -> list[LogRow]:
        """The rows since the last look."""
        return self._read_transaction(self._select_new)

    def _read_transaction(
        self, select_rows: Callable[[sqlite3.Connection], list[LogRow]]
    ) -> list[LogRow]:
        if not self.file.exists():
            return []
        with open_log(self.file) as database:
            database.execute("BEGIN")  # so that all below sees the same rows
            if not table_columns(database):
                return []
            rows = select_rows(database)
            last = database.execute("SELECT rowid, id FROM prediction ORDER BY rowid DESC LIMIT 1")
            self._last_rowid, self._last_id = last.fetchone() or (0, "")
            self._inode = self.file.stat().st_ino
        return rows

    def _select_new(self, connection: sqlite3.Connection) -> list[LogRow]:
        known = table_columns(connection)
        where, values = where_clause(self.filters, known, new_rows_only=True)
        new = (
            f"SELECT {_select_list(known)} FROM prediction NOT INDEXED WHERE rowid > ? AND {where} "
        )
        rows = connection.execute(
            f"{new} ORDER BY rowid", (self._resume_rowid(connection), *values)
        )
        return [dict(one) for one in rows]

    def _resume_rowid(self, connection: sqlite3.Connection) -> int:
        if self.file.stat().st_ino != self._inode:
            return 0
        [last] = connection.execute("SELECT max(rowid) FROM prediction").fetchone()
        if (last or 0) >= self._last_rowid:
            return self._last_rowid
        same = connection.execute(
            "SELECT rowid FROM prediction WHERE id = ?", (self._last_id,)
        ).fetchone()
        return same[0] if same else 0
