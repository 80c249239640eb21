"""The log: each request and answer, in SQLite and in a file of JSON lines, before it leaves."""

import json
import sqlite3
import threading
from contextlib import suppress
from logging import LogRecord, makeLogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask, current_app

ADDED = {"low": "REAL", "high": "REAL", "warnings": "TEXT", "run_id": "TEXT"}  # since the first log
FILE_SIZE, FILES = 10_000_000, 5  # bytes a file, and how many old ones stay


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


class Unlogged(Exception):
    """Raised if an answer could not be logged; it must not leave then."""


class Log:
    """One connection and one file, each write under one lock."""

    def __init__(self, database: Path, file: Path) -> None:
        self.database, self.file = database, file
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._lines: _Lines | None = None

    def write(self, entries: list[Entry]) -> None:
        """Commits the rows and appends the lines: both or, with Unlogged raised, no row."""
        lines = "\n".join(json.dumps(one._asdict()) for one in entries)
        names, marks = (", ".join(one) for one in (Entry._fields, "?" * len(Entry._fields)))
        insert = f"INSERT INTO prediction ({names}) VALUES ({marks})"
        try:
            with self._lock, self._open() as transaction:
                transaction.executemany(insert, entries)
                self._lines.emit(makeLogRecord({"msg": lines}))
        except (sqlite3.Error, OSError) as failed:
            raise Unlogged(str(failed)) from failed

    def find(self, name: str) -> dict[str, Any] | None:
        """The row of that id; None if there is none. Raises Unlogged if it cannot be read."""
        try:
            with self._lock:
                cursor = self._open().execute("SELECT * FROM prediction WHERE id = ?", (name,))
                row = cursor.fetchone()
        except (sqlite3.Error, OSError) as failed:
            raise Unlogged(str(failed)) from failed
        names = [one[0] for one in cursor.description]
        return dict(zip(names, row, strict=True)) if row else None

    def check(self) -> None:
        """Raises Unlogged if the log could not be written now."""
        try:
            with self._lock:
                self._open().execute("BEGIN IMMEDIATE")
                self._open().rollback()
        except (sqlite3.Error, OSError) as failed:
            raise Unlogged(str(failed)) from failed

    def _open(self) -> sqlite3.Connection:
        """Opened at first use, so that a log that cannot be opened is a 503 and no dead service."""
        if self._connection is None:
            self.database.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.database, timeout=2, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(Path(__file__).with_name("schema.sql").read_text())
            _widen(connection)
            self._lines = _Lines(self.file, maxBytes=FILE_SIZE, backupCount=FILES)
            self._connection = connection
        return self._connection


def _widen(connection: sqlite3.Connection) -> None:
    """Gives the table of an older log the columns that it has not."""
    known = {one[1] for one in connection.execute("PRAGMA table_info(prediction)")}
    for name, kind in ADDED.items():
        if name not in known:
            connection.execute(f"ALTER TABLE prediction ADD COLUMN {name} {kind}")


class _Lines(RotatingFileHandler):
    """Rotates; raises where the standard one prints and goes on."""

    def handleError(self, record: LogRecord) -> None:  # noqa: N802, logging's name
        """Drops the stream: what it holds back must not follow once the disk has room again."""
        stream, self.stream = self.stream, None
        if stream:
            with suppress(OSError):
                stream.close()
        raise


def init_app(app: Flask) -> None:
    """Gives the app its log."""
    app.extensions["log"] = Log(Path(app.config["DATABASE"]), Path(app.config["LOG_FILE"]))


def log() -> Log:
    """The current app's."""
    return current_app.extensions["log"]
