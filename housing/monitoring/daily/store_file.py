"""The file of the daily counts: opened for one refresh at a time, and made anew if it is of no use.

Nothing in it is the only copy: whatever cannot be read is counted again from the log.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from housing.monitoring.quantities import QUANTITIES, RowKind

SCHEMA_FILE = Path(__file__).with_name("schema.sql")
COUNTING_VERSION = 1  # to be raised if the same rows are counted in another way
REFRESH_LOCK_TIMEOUT_SECONDS = 900.0  # to wait for another refresh
STORE_TIMEOUT_SECONDS = 30.0  # to wait for a transaction of another process
WAY_OUT = "it may be deleted, as all of it is counted again from the log"
# the tables of a day's rows, by kind; those of both kinds have a column for it
SHARED_TABLES = ("histogram", "counted_version", "counted_day")
TABLES = {
    RowKind.PREDICTIONS: ("request", "refusal", "latency", "cell", "sample", *SHARED_TABLES),
    RowKind.LABELLED: SHARED_TABLES,
}

TableRows = Mapping[str, Sequence[Sequence[Any]]]  # by table, with its columns in their order


def format_number() -> int:
    """Return the number of the format: another one for other tables, or other quantities."""
    content = f"{COUNTING_VERSION} {SCHEMA_FILE.read_text()} {QUANTITIES}"
    return zlib.crc32(content.encode()) & 0x7FFF_FFFF  # SQLite keeps 31 bits


@contextmanager
def open_to_refresh(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a store, or create it, while no other process refreshes it.

    Raises RuntimeError if another refresh takes too long, or the file cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{file}.lock", timeout=REFRESH_LOCK_TIMEOUT_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise RuntimeError(
            f"{file} has been refreshed by another process for "
            f"{REFRESH_LOCK_TIMEOUT_SECONDS / 60:.0f} minutes: wait for its end, or stop it"
        ) from None
    try:
        with closing(_open_current(file)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise RuntimeError(f"{file} cannot be written: {error}; {WAY_OUT}") from error
    finally:
        lock.release()


def _open_current(file: Path) -> sqlite3.Connection:
    """Return a connection; a store of another format, or a damaged one, is replaced first."""
    connection = _connect(file)
    try:
        if _has_current_format(connection):
            return connection
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # locked, or no right to read
            raise
    connection.close()
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    connection = _connect(file)
    connection.execute("PRAGMA journal_mode = WAL")  # readers see the days that are complete
    connection.executescript(f"BEGIN; {SCHEMA_FILE.read_text()}")
    connection.execute(f"PRAGMA user_version = {format_number()}")
    connection.execute("COMMIT")
    return connection


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, STORE_TIMEOUT_SECONDS, isolation_level=None)
    with suppress(sqlite3.DatabaseError):  # of a file that is no database
        connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _has_current_format(connection: sqlite3.Connection) -> bool:
    [number] = connection.execute("PRAGMA user_version").fetchone()
    if number != format_number():
        return False
    [state] = connection.execute("PRAGMA quick_check(1)").fetchone()
    return state == "ok"


@contextmanager
def open_to_read(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a store; its state is that of one moment.

    Raises LookupError if it must be refreshed first, RuntimeError if it cannot be read.
    """
    if not file.exists():
        raise LookupError(f"{file} does not exist: refresh it first")
    uri = f"{file.resolve().as_uri()}?mode=ro"
    try:
        with closing(
            sqlite3.connect(uri, STORE_TIMEOUT_SECONDS, isolation_level=None, uri=True)
        ) as connection:
            connection.execute("BEGIN")
            [number] = connection.execute("PRAGMA user_version").fetchone()
            if number != format_number():
                raise LookupError(f"{file} has another format: refresh it first")
            yield connection
    except sqlite3.Error as error:
        raise RuntimeError(f"{file} cannot be read: {error}; {WAY_OUT}") from error


class CountedDay(NamedTuple):
    """What is kept of a day's rows of a kind."""

    fingerprint: str  # of the rows that were counted; empty: there are none
    tables: TableRows
    missing_in: str | None = None  # the months in which some of the rows were looked for in vain


def replace_day(
    connection: sqlite3.Connection, day: date, kind: RowKind, counted_day: CountedDay
) -> None:
    """Replace what is kept of a day, in one transaction; nothing is kept of a day without rows."""
    tables = dict(counted_day.tables)
    if counted_day.fingerprint:
        state = (day.isoformat(), kind, counted_day.fingerprint, counted_day.missing_in)
        tables["counted_day"] = [state]
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for table in TABLES[kind]:
            condition = "day = ?" + (" AND kind = ?" if table in SHARED_TABLES else "")
            values = (day.isoformat(), kind)[: condition.count("?")]
            connection.execute(f"DELETE FROM {table} WHERE {condition}", values)
        for table, table_rows in tables.items():
            for row in table_rows:
                placeholders = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {table} VALUES ({placeholders})", row)
