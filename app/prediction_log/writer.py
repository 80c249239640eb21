"""The log: predictions in SQLite and in a file of JSON lines, before the response leaves, and a
line of that file for every other request."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from flask import current_app

from app.prediction_log.json_lines import MAX_FILE_BYTES, RotatingFile
from housing.prediction_log import table
from housing.prediction_log.lock import FileLock
from housing.prediction_log.table import LogEntry

LONG_HOLD_SECONDS = 0.005  # a writer that held the lock for so long yields it for a moment
YIELD_SECONDS = 0.0005  # longer than the interval at which other writers poll the lock
LOG_WRITE_TIMEOUT_SECONDS = 1.0  # to wait for another writer; a request waits as long
LINE_TIMEOUT_SECONDS = 0.1  # a busy log is no reason to hold back what is no prediction
MAX_PENDING_LINES = 1_000  # while the log is busy or cannot be written; the oldest are dropped
MAX_TRANSACTION_ROWS = 2_000  # another writer waits for one transaction at most
ROWS_PER_INSERT = 50  # half the time of single rows, and one switch of Python's interpreter lock
WAL_RESTART_PAGES = 2_000  # pages of the write-ahead log after which it should start anew
MAX_WAL_PAGES = 10 * WAL_RESTART_PAGES  # SQLite itself checkpoints at a commit from here on
COLUMN_LIST = ", ".join(table.COLUMN_NAMES)

# Connections to logs that were moved away, kept open: closing one makes SQLite unlink the file
# "-wal" of that name, which may belong to a new log by then.
_replaced_connections: list[sqlite3.Connection] = []

logger = logging.getLogger(__name__)


class PredictionLogError(Exception):
    """Raised if the log cannot be written or read; a response that is not logged must not leave."""


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
        self._process_lock = FileLock(table.lock_path(database), LOG_WRITE_TIMEOUT_SECONDS)
        self._pending_lines: deque[bytes] = deque(maxlen=MAX_PENDING_LINES)

    def write(self, entries: Sequence[LogEntry], json_lines: bytes) -> None:
        """Commit the rows and append the lines: both or, with PredictionLogError raised, none.

        If there are more rows than MAX_TRANSACTION_ROWS, those committed before a failure stay.
        """
        last = max(0, len(entries) - 1) // MAX_TRANSACTION_ROWS * MAX_TRANSACTION_ROWS
        for start in range(0, last, MAX_TRANSACTION_ROWS):
            self._write_transaction(entries[start : start + MAX_TRANSACTION_ROWS], b"")
        self._write_transaction(entries[last:], json_lines)

    def write_line(self, line: bytes) -> None:
        """Append the line of a request that has no row.

        If the log is busy, the line is written with the next one; if it cannot be written, a
        warning is logged too. The service goes on in both cases.
        """
        is_busy = bool(self._pending_lines)
        self._pending_lines.append(line)
        if self._thread_lock.acquire(timeout=0 if is_busy else LINE_TIMEOUT_SECONDS):
            try:
                self._process_lock.acquire(0 if is_busy else LINE_TIMEOUT_SECONDS)
                try:
                    pending_lines = [*self._pending_lines]
                    self._json_lines.append(b"".join(pending_lines))
                    self._drop_pending(len(pending_lines))
                finally:
                    self._process_lock.release()
            except TimeoutError:
                pass
            except OSError as error:
                logger.warning("a request cannot be logged: %s", error)
            finally:
                self._thread_lock.release()

    def _drop_pending(self, count: int) -> None:
        for _ in range(count):
            self._pending_lines.popleft()

    def _write_transaction(self, entries: Sequence[LogEntry], json_lines: bytes) -> None:
        with self.exclusive_connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for start in range(0, len(entries), ROWS_PER_INSERT):
                rows = entries[start : start + ROWS_PER_INSERT]
                connection.execute(_insert_statement(len(rows)), [*chain.from_iterable(rows)])
            pending_lines = [*self._pending_lines]
            self._json_lines.append(b"".join([*pending_lines, json_lines]))
            try:
                connection.execute("COMMIT")
            except sqlite3.Error:
                self._json_lines.undo_append()
                raise
            self._drop_pending(len(pending_lines))

    def checkpoint(self) -> None:
        """Move committed rows from the write-ahead log into the database, while others write.

        SQLite itself would do so within a commit, and a batch of responses would wait for the
        disk. Raises PredictionLogError.
        """
        with self.exclusive_connection() as connection:  # opened while no process moves the files
            pass
        _, wal_pages, _ = self._checkpoint_wal(connection)
        if wal_pages > WAL_RESTART_PAGES:
            # it starts anew if nothing was written since the last page was moved
            with self.exclusive_connection() as connection:
                self._checkpoint_wal(connection)

    def _checkpoint_wal(self, connection: sqlite3.Connection) -> tuple[int, int, int]:
        try:
            return connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            raise PredictionLogError(str(error)) from error

    def find(self, prediction_id: str) -> LogEntry | None:
        """Return the row of that id, or None. Raises PredictionLogError if it cannot be read."""
        return next(iter(self._select("WHERE id = ?", prediction_id)), None)

    def find_recent(
        self, limit: int, status: int | None = None, client_request_id: str | None = None
    ) -> list[LogEntry]:
        """Return the last rows, newest first. Raises PredictionLogError if they cannot be read."""
        filters = {"status": status, "caller_id": client_request_id}
        filters = {name: value for name, value in filters.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in filters)
        where = f"WHERE {where} " if where else ""
        order = "ORDER BY asked_at DESC, id DESC LIMIT ?"
        return self._select(where + order, *filters.values(), limit)

    def check_writable(self) -> None:
        """Raise PredictionLogError if the log could not be written now.

        On a full disk everything but that works, so a page is written that changes nothing.
        """
        with self.exclusive_connection() as connection:
            connection.execute("PRAGMA user_version = 0")
            self._json_lines.check_free_space()

    def close(self) -> None:
        """Close all files; they are opened again at the next row."""
        with self._thread_lock:
            self._close_connection()
            self._json_lines.close()

    def _select(self, where_clause: str, *values: Any) -> list[LogEntry]:
        with self.reading_connection() as connection:
            statement = f"SELECT {COLUMN_LIST} FROM prediction {where_clause}"
            return [LogEntry._make(row) for row in connection.execute(statement, values)]

    @contextmanager
    def reading_connection(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection to read by. Raises PredictionLogError, also for errors meanwhile."""
        try:
            with self._thread_lock:
                yield self._open_connection()
        except (sqlite3.Error, OSError) as error:
            raise PredictionLogError(str(error)) from error

    @contextmanager
    def exclusive_connection(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection while all other writers wait; after a failure it is closed.

        Raises PredictionLogError, also for errors meanwhile.
        """
        if not self._thread_lock.acquire(timeout=LOG_WRITE_TIMEOUT_SECONDS):
            raise PredictionLogError(
                "another request of this process has waited to be logged for too long"
            )
        try:
            with self._process_lock:
                started = time.monotonic()
                yield self._open_connection()
            if time.monotonic() - started > LONG_HOLD_SECONDS:
                time.sleep(YIELD_SECONDS)
        except (sqlite3.Error, OSError) as error:
            self._close_connection()
            raise PredictionLogError(str(error)) from error
        finally:
            self._thread_lock.release()

    def _open_connection(self) -> sqlite3.Connection:
        """Return the connection, opened at first use and again if its file was moved away.

        Opened here, a log that cannot be opened is a 503 and no service that does not start.
        """
        if self._connection is not None:
            with suppress(FileNotFoundError):
                if os.stat(self.database).st_ino == self._inode:  # noqa: PTH116, half of Path's time
                    return self._connection
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
            table.create_or_migrate(connection)
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
    row_values = f"({', '.join('?' * len(table.COLUMN_NAMES))})"
    all_values = ", ".join([row_values] * row_count)
    return f"INSERT INTO prediction ({COLUMN_LIST}) VALUES {all_values}"


def open_prediction_log(config: Mapping[str, Any]) -> PredictionLog:
    """Return the prediction log named in the settings; its files are opened at first use."""
    return PredictionLog(
        Path(config["DATABASE"]), Path(config["LOG_FILE"]), config["LOG_SYNC"], config["LOG_BYTES"]
    )


def prediction_log() -> PredictionLog:
    """Return the log of the current app."""
    return current_app.extensions["log"]
