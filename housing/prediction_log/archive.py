"""Moves old answers out of the service's log, a file a month, while the service goes on writing.

A row is committed to its month before it is deleted from the log, and a month takes no row twice:
so a run that is cut short anywhere loses nothing and doubles nothing once it is run again.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from housing.prediction_log.reader import open_log, table_columns

ARCHIVE_CHUNK_ROWS = 5_000  # rows that come into an archive at once
DELETE_CHUNK_ROWS = 500  # of them leave the log at once: the service waits for some 10 ms
ARCHIVE_PRAGMAS = (
    "wal_autocheckpoint = 0",  # it would be done under the lock
    "secure_delete = OFF",  # free pages need not be written
    "cache_size = -65536",  # the index of the ids, in KB: they are all over it
)
LOG_LOCK_TIMEOUT_SECONDS = 5.0  # seconds to wait for the service's workers
VACUUM_CHUNK_PAGES = 1_000  # given back at once


class LogSize(NamedTuple):
    """What the log takes, in bytes."""

    total_bytes: int
    free_bytes: int  # of it, for new answers


def archive_rows(
    log: Path, cutoff: str, folder: Path, on_progress: Callable[[int], None]
) -> dict[Path, int]:
    """Moves the rows that were asked before a time; file of a month -> rows that came into it.

    before: as `wanted.moment` writes it. told: gets how many are moved, again and again. Raises
    RuntimeError if the log or an archive cannot be written.
    """
    moved: dict[Path, int] = {}
    folder.mkdir(parents=True, exist_ok=True)
    with open_log(log, "rw") as database:
        for setting in ARCHIVE_PRAGMAS:
            database.execute(f"PRAGMA {setting}")
        while True:
            known, rows = _select_oldest(database, cutoff)
            for month, some in groupby(rows, lambda row: _row_month(row, log)):
                file = folder / f"logs-{month}.db"
                batch = list(some)
                _append_to_month(file, _create_statements(database), known, batch)
                moved[file] = moved.get(file, 0) + len(batch)
            if not rows:
                return moved
            _delete_rows(log, database, [row["id"] for row in rows])
            on_progress(sum(moved.values()))


def _select_oldest(
    connection: sqlite3.Connection, cutoff: str
) -> tuple[dict[str, str], list[sqlite3.Row]]:
    """The table's columns, and its oldest rows; both of one moment, as the service may add some."""
    connection.execute("BEGIN")
    try:
        known = table_columns(connection)
        if not known:
            return {}, []
        # a row without an id, which the service never writes, could not be told from another
        query = ("SELECT * FROM prediction WHERE asked_at < ? AND id IS NOT NULL "
                 "ORDER BY asked_at, rowid LIMIT ?")  # fmt: skip
        return known, connection.execute(query, (cutoff, ARCHIVE_CHUNK_ROWS)).fetchall()
    finally:
        connection.execute("COMMIT")


def _row_month(row: sqlite3.Row, log: Path) -> str:
    month = str(row["asked_at"])[:7]
    if not re.fullmatch(r"\d{4}-\d\d", month):
        raise RuntimeError(f"the answer {row['id']} in {log} was asked at {row['asked_at']!r}, "
                           "expected an ISO time; it and what is newer stay there")  # fmt: skip
    return month


def _create_statements(connection: sqlite3.Connection) -> list[str]:
    """How the table and its indexes were made."""
    query = ("SELECT sql FROM sqlite_master WHERE tbl_name = 'prediction' AND sql IS NOT NULL "
             "AND type IN ('table', 'index') ORDER BY type = 'index'")  # fmt: skip
    return [one["sql"] for one in connection.execute(query)]


def _append_to_month(
    file: Path, create_statements: list[str], column_types: dict[str, str], rows: list[Any]
) -> None:
    """The rows are on the disk when it returns, those that were there already once."""
    with open_log(file, "rwc") as month:
        month.execute("PRAGMA synchronous = EXTRA")  # FULL, and the file's entry in its folder
        month.execute("BEGIN IMMEDIATE")
        if not table_columns(month):
            for one in create_statements:
                month.execute(one)
        for one in (
            column_types.keys() - table_columns(month).keys()
        ):  # it was begun by an older service
            month.execute(f'ALTER TABLE prediction ADD COLUMN "{one}" {column_types[one]}')
        names = ", ".join(f'"{one}"' for one in column_types)
        # of all conflicts the id's alone: OR IGNORE would drop a row for any other, too
        month.executemany(
            f"INSERT INTO prediction ({names}) VALUES ({', '.join('?' * len(column_types))}) "
            "ON CONFLICT (id) DO NOTHING",
            map(tuple, rows),
        )
        month.execute("COMMIT")


def _delete_rows(log: Path, connection: sqlite3.Connection, ids: list[str]) -> None:
    """Part by part; each comes to the file at once, else the service's next commit would see to
    that, and an answer would wait for it."""
    ids = sorted(ids)  # as they stand in the index
    for at in range(0, len(ids), DELETE_CHUNK_ROWS):
        with log_lock(log):
            connection.execute("BEGIN IMMEDIATE")
            part = ((one,) for one in ids[at : at + DELETE_CHUNK_ROWS])
            connection.executemany("DELETE FROM prediction WHERE id = ?", part)
            connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


@contextmanager
def log_lock(log: Path) -> Iterator[None]:
    """The lock beside the log, under which the service's workers write.

    Raises RuntimeError if they leave it for no moment.
    """
    guard = os.open(f"{log}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        owner = log.stat()
        with suppress(PermissionError):  # root's lock would keep the service out
            os.fchown(guard, owner.st_uid, owner.st_gid)
        end = time.monotonic() + LOG_LOCK_TIMEOUT_SECONDS
        while not _try_lock(guard):
            if time.monotonic() > end:
                busy = f"{log}.lock has been held for {LOG_LOCK_TIMEOUT_SECONDS:.0f} s"
                raise RuntimeError(f"{busy} by the service: type the same again to go on")
            time.sleep(0.001)
        yield
    finally:
        os.close(guard)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def measure_log(log: Path) -> LogSize:
    """What the log takes, and what of it new answers can use again."""
    with open_log(log) as database:
        ask = (database.execute(f"PRAGMA {one}").fetchone()[0]
               for one in ("page_size", "page_count", "freelist_count"))  # fmt: skip
        size, pages, free = ask
    return LogSize(size * pages, size * free)


def vacuum(log: Path, rewrite: bool = False) -> None:
    """Gives free pages back, in short steps, where the log was made for that.

    compact: writes the whole log anew; nobody else can write as long as that takes.
    """
    with open_log(log, "rw") as database:
        if rewrite:
            with log_lock(log):
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return
        incremental = database.execute("PRAGMA auto_vacuum").fetchone()[0] == 2
        while incremental and database.execute("PRAGMA freelist_count").fetchone()[0]:
            with log_lock(log):
                database.execute(f"PRAGMA incremental_vacuum({VACUUM_CHUNK_PAGES})").fetchall()
