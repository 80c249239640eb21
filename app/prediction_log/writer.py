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

from app.prediction_log.file_lock import Alone
from app.prediction_log.json_lines import FILE_SIZE, Lines

# columns since the first log, with their kinds
ADDED = {
    "low": "REAL", "high": "REAL", "warnings": "TEXT", "run_id": "TEXT",
    "caller_id": "TEXT", "traceparent": "TEXT", "caller": "TEXT",
}  # fmt: skip
LONG = 0.005  # seconds; who held the log so long leaves it to others for a moment
LET_IN = 0.0005  # seconds; more than others sleep before they look again
PATIENCE = 1.0  # seconds to wait for another writer; a request waits as long
PART = 2_000  # rows a transaction: another writer waits no longer than for these

_moved: list[sqlite3.Connection] = []  # to logs that somebody has moved away


class Entry(NamedTuple):
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


NAMES = ", ".join(Entry._fields)
TOGETHER = 50  # rows of one statement: half the time of one by one, and one turn of the interpreter
JOURNAL = 2_000  # pages of the journal (WAL) after which it is to begin anew
LONGEST = 10 * JOURNAL  # pages after which a commit sees to that, if nobody else does


class Unlogged(Exception):
    """Raised if an answer could not be logged; it must not leave then."""


class Log:
    """One connection and one file; writers of this process and of others wait for each other.

    A lock beside the database keeps the processes apart: SQLite's own waiting sleeps in growing
    steps, which costs a fifth of the throughput and the worst of the tail.
    """

    def __init__(
        self, database: Path, file: Path, synchronous: str = "NORMAL", size: int = FILE_SIZE
    ) -> None:
        self.database, self.synchronous = database, synchronous
        self._lines = Lines(file, size)
        self._mutex = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._alone = Alone(Path(f"{database}.lock"), PATIENCE)

    def write(self, entries: Sequence[Entry], lines: bytes) -> None:
        """Commits the rows and appends the lines: both or, with Unlogged raised, no row.

        Of a list that is longer than a transaction may be, what is committed before it fails stays.
        """
        last = max(0, len(entries) - 1) // PART * PART
        for at in range(0, last, PART):
            self._write(entries[at : at + PART], b"")
        self._write(entries[last:], lines)

    def _write(self, entries: Sequence[Entry], lines: bytes) -> None:
        with self._held() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for at in range(0, len(entries), TOGETHER):
                some = entries[at : at + TOGETHER]
                connection.execute(_insert(len(some)), [*chain.from_iterable(some)])
            if lines:
                self._lines.append(lines)
            try:
                connection.execute("COMMIT")
            except sqlite3.Error:
                if lines:
                    self._lines.take_back()
                raise

    def tend(self) -> None:
        """Moves committed rows from the journal into the database, while others write on.

        SQLite itself would do so within a commit, and a group of answers would wait for the disk.
        Raises Unlogged.
        """
        with self._held() as connection:  # opened while nobody moves the files
            pass
        _, pages, _ = self._checkpoint(connection)
        if pages > JOURNAL:  # it begins anew if nobody has written since the last page was moved
            with self._held() as connection:
                self._checkpoint(connection)

    def _checkpoint(self, connection: sqlite3.Connection) -> tuple[int, int, int]:
        try:
            return connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as failed:
            raise Unlogged(str(failed)) from failed

    def find(self, name: str) -> dict[str, Any] | None:
        """The row of that id; None if there is none. Raises Unlogged if it cannot be read."""
        return next(iter(self._read("WHERE id = ?", name)), None)

    def recent(
        self, limit: int, status: int | None = None, caller_id: str | None = None
    ) -> list[dict[str, Any]]:
        """The last rows, newest first. Raises Unlogged if they cannot be read."""
        wanted = {"status": status, "caller_id": caller_id}
        wanted = {name: it for name, it in wanted.items() if it is not None}
        where = " AND ".join(f"{name} = ?" for name in wanted)
        where = f"WHERE {where} " if where else ""
        order = "ORDER BY asked_at DESC, id DESC LIMIT ?"
        return self._read(where + order, *wanted.values(), limit)

    def check(self) -> None:
        """Raises Unlogged if the log could not be written now: on a full disk all but that works,
        so it writes a page that changes nothing."""
        with self._held() as connection:
            connection.execute("PRAGMA user_version = 0")
            self._lines.check()

    def close(self) -> None:
        """Gives all files back; opened again at the next row."""
        with self._mutex:
            self._drop()
            self._lines.close()

    def _read(self, where: str, *values: Any) -> list[dict[str, Any]]:
        try:
            with self._mutex:
                rows = self._open().execute(f"SELECT {NAMES} FROM prediction {where}", values)
                return [dict(zip(Entry._fields, row, strict=True)) for row in rows]
        except (sqlite3.Error, OSError) as failed:
            raise Unlogged(str(failed)) from failed

    @contextmanager
    def _held(self) -> Iterator[sqlite3.Connection]:
        """The connection, with all other writers kept out. After a failure it is opened anew."""
        if not self._mutex.acquire(timeout=PATIENCE):
            raise Unlogged("another answer of this process has waited to be logged for too long")
        try:
            with self._alone():
                began = time.monotonic()
                yield self._open()
            if time.monotonic() - began > LONG:
                time.sleep(LET_IN)
        except (sqlite3.Error, OSError) as failed:
            self._drop()
            raise Unlogged(str(failed)) from failed
        finally:
            self._mutex.release()

    def _open(self) -> sqlite3.Connection:
        """Opened at first use, so that a log that cannot be opened is a 503 and no dead service;
        and anew if its file was moved away."""
        if self._connection is not None:
            with suppress(FileNotFoundError):
                if os.stat(self.database).st_ino == self._inode:  # noqa: PTH116, half of Path's time
                    return self._connection
            # not closed: SQLite would unlink the file -wal of that name, which may be a new log's
            _moved.append(self._connection)
            self._connection = None
        self.database.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self.database, timeout=PATIENCE, check_same_thread=False, isolation_level=None
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {self.synchronous}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {LONGEST}")
            connection.executescript(Path(__file__).with_name("schema.sql").read_text())
            _widen(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._inode = connection, os.stat(self.database).st_ino  # noqa: PTH116
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


@cache
def _insert(rows: int) -> str:
    values = f"({', '.join('?' * len(Entry._fields))})"
    return f"INSERT INTO prediction ({NAMES}) VALUES {', '.join([values] * rows)}"


def _widen(connection: sqlite3.Connection) -> None:
    """Gives the table of an older log the columns that it has not."""
    known = {one[1] for one in connection.execute("PRAGMA table_info(prediction)")}
    for name, kind in ADDED.items():
        if name not in known:
            connection.execute(f"ALTER TABLE prediction ADD COLUMN {name} {kind}")
    connection.execute("CREATE INDEX IF NOT EXISTS prediction_caller_id ON prediction (caller_id) "
                       "WHERE caller_id IS NOT NULL")  # fmt: skip


def made(config: Mapping[str, Any]) -> Log:
    """The log that is told of."""
    told = (config[one] for one in ("LOG_SYNC", "LOG_BYTES"))
    return Log(Path(config["DATABASE"]), Path(config["LOG_FILE"]), *told)


def init_app(app: Flask) -> None:
    """Gives the app its log."""
    app.extensions["log"] = made(app.config)


def log() -> Log:
    """The current app's."""
    return current_app.extensions["log"]
