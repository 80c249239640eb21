"""The log: each request and answer, in SQLite and in a file of JSON lines, before it leaves."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask, current_app

from app.prediction_log.file_lock import FileLock
from app.prediction_log.json_lines import MAX_FILE_BYTES, RotatingFile

# columns since the first log, with their kinds
MIGRATED_COLUMNS = {
    "low": "REAL", "high": "REAL", "warnings": "TEXT", "run_id": "TEXT",
    "caller_id": "TEXT", "traceparent": "TEXT", "caller": "TEXT",
}  # fmt: skip
LONG_HOLD_SECONDS = 0.005  # seconds; who held the log so long leaves it to others for a moment
YIELD_SECONDS = 0.0005  # seconds; more than others sleep before they look again
LOG_WRITE_TIMEOUT_SECONDS = 1.0  # seconds to wait for another writer; a request waits as long
MAX_TRANSACTION_ROWS = 2_000  # rows a transaction: another writer waits no longer than for these

_replaced_connections: list[sqlite3.Connection] = []  # to logs that somebody has moved away


class LogEntry(NamedTuple):
    """One row; the columns of schema.sql."""

    id: str
    request_id: str
    asked_at: str
    status: int
    input: str | None
    prediction: float | None
    model_name: str | None
    model_version: str | None
    latency_ms: float
    problem: str | None
    low: float | None = None
    high: float | None = None
    warnings: str | None = None
    run_id: str | None = None
    caller_id: str | None = None
    traceparent: str | None = None
    caller: str | None = None


COLUMN_LIST = ", ".join(LogEntry._fields)
ROWS_PER_INSERT = (
    50  # rows of one statement: half the time of one by one, and one turn of the interpreter
)
WAL_RESTART_PAGES = 2_000  # pages of the journal (WAL) after which it is to begin anew
MAX_WAL_PAGES = (
    10 * WAL_RESTART_PAGES
)  # pages after which a commit sees to that, if nobody else does


class PredictionLogError(Exception):
    """Raised if an answer could not be logged; it must not leave then."""


class PredictionLog:
    """One connection and one file; writers of this process and of others wait for each other.

    A lock beside the database keeps the processes apart: SQLite's own waiting sleeps in growing
    steps, which costs a fifth of the throughput and the worst of the tail.
    """

    def __init__(
        self,
        database: Path,
        json_lines_file: Path,
        synchronous: str = "NORMAL",
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        self.database, self.synchronous = database, synchronous
        self._json_lines = RotatingFile(json_lines_file, max_file_bytes)
        self._thread_lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._process_lock = FileLock(Path(f"{database}.lock"), LOG_WRITE_TIMEOUT_SECONDS)

    def write(self, entries: Sequence[LogEntry], json_lines: bytes) -> None:
        """Commits the rows and appends the lines: both or, with Unlogged raised, no row.

        Of a list that is longer than a transaction may be, what is committed before it fails stays.
        """
        last = max(0, len(entries) - 1) // MAX_TRANSACTION_ROWS * MAX_TRANSACTION_ROWS
        for at in range(0, last, MAX_TRANSACTION_ROWS):
            self._write_transaction(entries[at : at + MAX_TRANSACTION_ROWS], b"")
        self._write_transaction(entries[last:], json_lines)

    def _write_transaction(self, entries: Sequence[LogEntry], json_lines: bytes) -> None:
        with self._exclusive_connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for at in range(0, len(entries), ROWS_PER_INSERT):
                some = entries[at : at + ROWS_PER_INSERT]
                connection.execute(_insert_statement(len(some)), [*chain.from_iterable(some)])
            if json_lines:
                self._json_lines.append(json_lines)
            try:
                connection.execute("COMMIT")
            except sqlite3.Error:
                if json_lines:
                    self._json_lines.undo_append()
                raise

    def checkpoint(self) -> None:
        """Moves committed rows from the journal into the database, while others write on.

        SQLite itself would do so within a commit, and a group of answers would wait for the disk.
        Raises Unlogged.
        """
        with self._exclusive_connection() as connection:  # opened while nobody moves the files
            pass
        _, pages, _ = self._checkpoint_wal(connection)
        if (
            pages > WAL_RESTART_PAGES
        ):  # it begins anew if nobody has written since the last page was moved
            with self._exclusive_connection() as connection:
                self._checkpoint_wal(connection)

    def _checkpoint_wal(self, connection: sqlite3.Connection) -> tuple[int, int, int]:
        try:
            return connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as failed:
            raise PredictionLogError(str(failed)) from failed

    def find(self, prediction_id: str) -> dict[str, Any] | None:
        """The row of that id; None if there is none. Raises Unlogged if it cannot be read."""
        return next(iter(self._select("WHERE id = ?", prediction_id)), None)

    def find_recent(
        self, limit: int, status: int | None = None, client_request_id: str | None = None
    ) -> list[dict[str, Any]]:
        """The last rows, newest first. Raises Unlogged if they cannot be read."""
        wanted = {"status": status, "caller_id": client_request_id}
        wanted = {name: it for name, it in wanted.items() if it is not None}
        where = " AND ".join(f"{name} = ?" for name in wanted)
        where = f"WHERE {where} " if where else ""
        order = "ORDER BY asked_at DESC, id DESC LIMIT ?"
        return self._select(where + order, *wanted.values(), limit)

    def check_writable(self) -> None:
        """Raises Unlogged if the log could not be written now: on a full disk all but that works,
        so it writes a page that changes nothing."""
        with self._exclusive_connection() as connection:
            connection.execute("PRAGMA user_version = 0")
            self._json_lines.check_free_space()

    def close(self) -> None:
        """Gives all files back; opened again at the next row."""
        with self._thread_lock:
            self._close_connection()
            self._json_lines.close()

    def _select(self, where_clause: str, *values: Any) -> list[dict[str, Any]]:
        try:
            with self._thread_lock:
                rows = self._open_connection().execute(
                    f"SELECT {COLUMN_LIST} FROM prediction {where_clause}", values
                )
                return [dict(zip(LogEntry._fields, row, strict=True)) for row in rows]
        except (sqlite3.Error, OSError) as failed:
            raise PredictionLogError(str(failed)) from failed

    @contextmanager
    def _exclusive_connection(self) -> Iterator[sqlite3.Connection]:
        """The connection, with all other writers kept out. After a failure it is opened anew."""
        if not self._thread_lock.acquire(timeout=LOG_WRITE_TIMEOUT_SECONDS):
            raise PredictionLogError(
                "another answer of this process has waited to be logged for too long"
            )
        try:
            with self._process_lock():
                began = time.monotonic()
                yield self._open_connection()
            if time.monotonic() - began > LONG_HOLD_SECONDS:
                time.sleep(YIELD_SECONDS)
        except (sqlite3.Error, OSError) as failed:
            self._close_connection()
            raise PredictionLogError(str(failed)) from failed
        finally:
            self._thread_lock.release()

    def _open_connection(self) -> sqlite3.Connection:
        """Opened at first use, so that a log that cannot be opened is a 503 and no dead service;
        and anew if its file was moved away."""
        if self._connection is not None:
            with suppress(FileNotFoundError):
                if os.stat(self.database).st_ino == self._inode:  # noqa: PTH116, half of Path's time
                    return self._connection
            # not closed: SQLite would unlink the file -wal of that name, which may be a new log's
            _replaced_connections.append(self._connection)
            self._connection = None
        self.database.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self.database,
            timeout=LOG_WRITE_TIMEOUT_SECONDS,
            check_same_thread=False,
            isolation_level=None,
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {self.synchronous}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {MAX_WAL_PAGES}")
            connection.executescript(Path(__file__).with_name("schema.sql").read_text())
            _add_missing_columns(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._inode = connection, os.stat(self.database).st_ino  # noqa: PTH116
        return connection

    def _close_connection(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


@cache
def _insert_statement(row_count: int) -> str:
    values = f"({', '.join('?' * len(LogEntry._fields))})"
    return f"INSERT INTO prediction ({COLUMN_LIST}) VALUES {', '.join([values] * row_count)}"


def _add_missing_columns(connection: sqlite3.Connection) -> None:
    """Gives the table of an older log the columns that it has not."""
    known = {one[1] for one in connection.execute("PRAGMA table_info(prediction)")}
    for name, kind in MIGRATED_COLUMNS.items():
        if name not in known:
            connection.execute(f"ALTER TABLE prediction ADD COLUMN {name} {kind}")
    connection.execute("CREATE INDEX IF NOT EXISTS prediction_caller_id ON prediction (caller_id) "
                       "WHERE caller_id IS NOT NULL")  # fmt: skip


def open_log(config: Mapping[str, Any]) -> PredictionLog:
    """The log that is told of."""
    told = (config[one] for one in ("LOG_SYNC", "LOG_BYTES"))
    return PredictionLog(Path(config["DATABASE"]), Path(config["LOG_FILE"]), *told)


def init_app(app: Flask) -> None:
    """Gives the app its log."""
    app.extensions["log"] = open_log(app.config)


def prediction_log() -> PredictionLog:
    """The current app's."""
    return current_app.extensions["log"]
