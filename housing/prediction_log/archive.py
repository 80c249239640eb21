"""Moving old rows out of the prediction log, into a file for each month, while the service writes.

A row is committed to its month before it is deleted from the log, and a month takes no row twice:
so a run that is interrupted anywhere loses nothing and doubles nothing once it is run again.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from housing.prediction_log import months, table
from housing.prediction_log.lock import log_lock
from housing.prediction_log.reader import open_log

# a row without an id, which the service never writes, could not be told from another
OLDEST_ROWS_QUERY = (
    "SELECT * FROM prediction WHERE asked_at < ? AND id IS NOT NULL "
    "ORDER BY asked_at, rowid LIMIT ?"
)
ARCHIVE_CHUNK_ROWS = 5_000  # rows that are added to an archive at once
DELETE_CHUNK_ROWS = 500  # rows deleted from the log at once: the service waits for some 10 ms
ARCHIVE_PRAGMAS = (
    "wal_autocheckpoint = 0",  # it would be done under the lock
    "secure_delete = OFF",  # free pages need not be overwritten
    "cache_size = -65536",  # in KB: the deleted ids are all over their index
)
VACUUM_CHUNK_PAGES = 1_000  # returned to the disk at once


class LogSize(NamedTuple):
    """The size of the log in bytes."""

    total_bytes: int
    free_bytes: int  # part of it, for new rows


def archive_rows(
    log: Path, cutoff: str, folder: Path, on_progress: Callable[[int], None]
) -> dict[Path, int]:
    """Move the rows that were asked before a time; return the rows added, by file of a month.

    cutoff: as `filters.parse_time` returns it. on_progress: called with the number of rows moved
    so far. Raises RuntimeError if the log or an archive cannot be written.
    """
    moved_rows: dict[Path, int] = {}
    folder.mkdir(parents=True, exist_ok=True)
    with open_log(log, "rw") as connection:
        for setting in ARCHIVE_PRAGMAS:
            connection.execute(f"PRAGMA {setting}")
        if not table.column_types(connection):
            return {}
        arguments = (cutoff, ARCHIVE_CHUNK_ROWS)
        while oldest_rows := connection.execute(OLDEST_ROWS_QUERY, arguments).fetchall():
            for month, group in groupby(oldest_rows, lambda row: _row_month(row, log)):
                file, rows = months.month_file(folder, month), list(group)
                _append_to_month(file, connection, rows)
                moved_rows[file] = moved_rows.get(file, 0) + len(rows)
            _delete_rows(log, connection, [row["id"] for row in oldest_rows])
            on_progress(sum(moved_rows.values()))
    return moved_rows


def _row_month(row: sqlite3.Row, log: Path) -> str:
    month = str(row["asked_at"])[:7]
    if not re.fullmatch(r"\d{4}-\d\d", month):
        raise RuntimeError(
            f"the answer {row['id']} in {log} was asked at {row['asked_at']!r}, "
            "expected an ISO time; it and what is newer stay there"
        )
    return month


def _append_to_month(file: Path, log: sqlite3.Connection, rows: list[sqlite3.Row]) -> None:
    """Add rows to a month; they are on the disk on return. Rows that it has already are skipped."""
    columns = rows[0].keys()
    with open_log(file, "rwc") as month:
        month.execute("PRAGMA synchronous = EXTRA")  # FULL, and the file's entry in its folder
        table.create_or_migrate(month)
        month.execute("BEGIN IMMEDIATE")
        # the log of a newer service may have more columns
        for name in set(columns) - table.column_types(month).keys():
            sql_type = table.column_types(log)[name]
            month.execute(f'ALTER TABLE prediction ADD COLUMN "{name}" {sql_type}')
        names = ", ".join(f'"{name}"' for name in columns)
        placeholders = ", ".join("?" * len(columns))
        # only conflicts of the id are ignored: OR IGNORE would drop a row for any other, too
        month.executemany(
            f"INSERT INTO prediction ({names}) VALUES ({placeholders}) ON CONFLICT (id) DO NOTHING",
            map(tuple, rows),
        )
        month.execute("COMMIT")


def _delete_rows(log: Path, connection: sqlite3.Connection, ids: list[str]) -> None:
    """Delete rows in chunks, and write each chunk to the database file at once.

    Otherwise the service's next commit would write it, and a response would wait for that.
    """
    ids = sorted(ids)  # in the order of the index
    for start in range(0, len(ids), DELETE_CHUNK_ROWS):
        with log_lock(log):
            connection.execute("BEGIN IMMEDIATE")
            chunk = ((row_id,) for row_id in ids[start : start + DELETE_CHUNK_ROWS])
            connection.executemany("DELETE FROM prediction WHERE id = ?", chunk)
            connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def measure_log(log: Path) -> LogSize:
    """Return the size of the log, and how much of it new rows can use again."""
    with open_log(log) as connection:
        page_size, page_count, free_page_count = (
            connection.execute(f"PRAGMA {setting}").fetchone()[0]
            for setting in ("page_size", "page_count", "freelist_count")
        )
    return LogSize(page_size * page_count, page_size * free_page_count)


def vacuum(log: Path, rewrite: bool = False) -> None:
    """Return free pages to the disk in short steps, if the log was created for that.

    rewrite: whether to write the whole log anew; nothing else can write as long as that takes.
    """
    with open_log(log, "rw") as connection:
        if rewrite:
            with log_lock(log):
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return
        incremental = connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 2
        while incremental and connection.execute("PRAGMA freelist_count").fetchone()[0]:
            with log_lock(log):
                connection.execute(f"PRAGMA incremental_vacuum({VACUUM_CHUNK_PAGES})").fetchall()
