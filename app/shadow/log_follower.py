"""Follow the prediction log within bounds: what cannot be answered in time is skipped."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from housing.prediction_log.reader import open_log
from housing.prediction_log.table import column_types

MAX_BATCH_ROWS = 64  # answered at once
MAX_SCANNED_ROWS = 2_000  # of the log, to find the rows of a batch
MAX_BACKLOG_ROWS = 10_000  # of the log; if more wait, all but the newest are skipped
HASH_DIGITS = 8  # the last hexadecimal digits of a request's id, which are random
ALL_HASHES = "g"  # greater than any hexadecimal digit

# all rows of a request have its id, so they are chosen together
ROWS_QUERY = (
    "SELECT rowid, id, asked_at, input, model_name, model_version FROM prediction NOT INDEXED "
    "WHERE rowid > ? AND rowid <= ? AND status = 200 AND prediction IS NOT NULL "
    f"AND substr(request_id, -{HASH_DIGITS}) < ? ORDER BY rowid LIMIT ?"
)


class LoggedRow(NamedTuple):
    """A prediction of the log that the challenger is to make too."""

    number: int  # its rowid
    id: str
    asked_at: str
    input: str  # JSON
    model_name: str
    model_version: str

    def age_seconds(self, current_time: float) -> float:
        """Return the seconds since the request arrived. current_time: seconds since 1970."""
        asked_at = datetime.fromisoformat(self.asked_at)
        return max(0.0, current_time - asked_at.replace(tzinfo=UTC).timestamp())


class LogBatch(NamedTuple):
    """The next rows to answer."""

    rows: list[LoggedRow]
    dropped_rows: int = 0  # that were to be answered and were skipped, by the share of the requests
    has_more: bool = False  # rows in the log that were not looked at yet


class LogFollower:
    """Reads the rows of a share of the requests, in the order in which they were committed.

    Each read is one short query, so that no transaction keeps the log's journal from starting anew.
    The log may not exist yet, and it may be moved away, started anew, or emptied by archiving.
    """

    def __init__(self, log: Path, share: float) -> None:
        """share: of the requests, from 0 to 1."""
        self.log, self.share = log, share
        hash_limit = f"{int(share * 16**HASH_DIGITS):0{HASH_DIGITS}x}"
        self._hash_limit = hash_limit if share < 1 else ALL_HASHES
        self._inode = 0
        self._position: int | None = None  # the last row that was looked at

    def skip_all(self) -> None:
        """Go on with the rows that are logged from the next read on."""
        self._position = None

    def read(self) -> LogBatch:
        """Return the next rows. Raises RuntimeError if the log cannot be read."""
        if not self.log.exists():
            self._position = 0 if self._position is None else self._position
            return LogBatch([])
        with open_log(self.log) as connection:
            if not column_types(connection):
                return LogBatch([])
            inode = self.log.stat().st_ino
            newest = connection.execute("SELECT max(rowid) FROM prediction").fetchone()[0] or 0
            position = self._resume(inode, newest)
            backlog, dropped_rows = newest - position, 0
            if backlog > MAX_BACKLOG_ROWS:
                position = newest - MAX_BATCH_ROWS
                dropped_rows = round((backlog - MAX_BATCH_ROWS) * self.share)
            last = min(newest, position + MAX_SCANNED_ROWS)
            rows = self._select(connection, position, last)
        self._inode, self._position = inode, last
        if len(rows) == MAX_BATCH_ROWS:
            self._position = rows[-1].number
        return LogBatch(rows, dropped_rows, self._position < newest)

    def _resume(self, inode: int, newest: int) -> int:
        """Return the row after which to go on."""
        if self._position is None:
            return newest
        if inode != self._inode:  # a new log
            return 0
        return min(self._position, newest)  # the last rows may have been archived

    def _select(self, connection: sqlite3.Connection, position: int, last: int) -> list[LoggedRow]:
        arguments = (position, last, self._hash_limit, MAX_BATCH_ROWS)
        return [LoggedRow._make(row) for row in connection.execute(ROWS_QUERY, arguments)]
