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
from housing.prediction_log.filters import Clause, Wanted, clauses, of_request

LATER = ("low", "high", "warnings", "run_id", "caller_id", "traceparent", "caller")  # columns
PAUSE = 0.25  # seconds between two looks for new rows
PATIENCE = 5.0  # seconds to wait where SQLite must; a reader of a log in use need not

Row = dict[str, Any]


def log() -> Path:
    """The file that the service logs to; it may not be there yet."""
    return Path(os.environ.get("HOUSING_DATABASE") or paths.var() / "logs.db")


def archives() -> list[Path]:
    """The months that were moved out of the log into the folder where they go by default, the
    newest first."""
    return sorted((paths.var() / "archive").glob("logs-*.db"), reverse=True)


@contextmanager
def opened(file: Path, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    """A log. Raises RuntimeError, also for what goes wrong as long as it is open."""
    address = f"{file.resolve().as_uri()}?mode={mode}"
    connection = None
    try:
        connection = sqlite3.connect(address, PATIENCE, isolation_level=None, uri=True)
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


def query(file: Path, sql: str, *values: Any) -> list[Row]:
    """What a log answers; nothing if it is not there, or nothing was ever logged."""
    if not file.exists():
        return []
    with opened(file) as database:
        if not columns(database):
            return []
        return [dict(one) for one in database.execute(sql, values)]


def columns(database: sqlite3.Connection) -> dict[str, str]:
    """Those of the table, with their types; none if there is no table yet."""
    found = database.execute("PRAGMA table_info(prediction)")
    return {one["name"]: one["type"] for one in found}


def newest(file: Path, wanted: Wanted, limit: int) -> Iterator[Row]:
    """The newest answers that are wanted, the oldest of them first, each with all the columns."""
    if not file.exists():
        return
    with opened(file) as database:
        yield from newest_in(database, wanted, limit)


def newest_in(database: sqlite3.Connection, wanted: Wanted, limit: int) -> Iterator[Row]:
    """The same, of a log that is open."""
    known = columns(database)
    if not known:
        return
    where, values = matching(wanted, known)
    # sorts no more than times and row numbers, however long the list is; of a request's few rows
    # the index on the time would be a way round
    by = "+asked_at" if wanted.request else "asked_at"
    found = (f"SELECT asked_at AS at, rowid AS number FROM prediction WHERE {where} "
             f"ORDER BY {by} DESC, rowid DESC LIMIT ?")  # fmt: skip
    cursor = database.execute(
        f"SELECT {_all(known)} FROM ({found}) AS one "
        "CROSS JOIN prediction ON prediction.rowid = one.number ORDER BY one.at, one.number",
        (*values, limit),
    )
    yield from map(dict, cursor)


def _all(known: Collection[str]) -> str:
    """The columns of the table, and those that it has not, empty."""
    missing = (f"NULL AS {one}" for one in LATER if one not in known)
    return ", ".join([*(f'prediction."{one}"' for one in known), *missing])


def matching(wanted: Wanted, known: Collection[str], coming: bool = False) -> Clause:
    """What is wanted, as one condition on a table with the known columns.

    coming: on few rows that are looked at anyway, else on all of a log.
    """
    found = clauses(wanted, known)
    if wanted.request is not None:
        ways = of_request(wanted.request, known)
        values = tuple(it for one in ways for it in one.values)
        if coming:
            found.append(Clause(" OR ".join(one.sql for one in ways), values))
        else:  # each way by its own index
            some = " UNION ALL ".join(
                f"SELECT rowid FROM prediction WHERE {one.sql}" for one in ways
            )
            found.append(Clause(f"rowid IN ({some})", values))
    values = tuple(it for one in found for it in one.values)
    return Clause(" AND ".join(f"({one.sql})" for one in found) or "TRUE", values)


def follow(file: Path, wanted: Wanted, limit: int) -> Iterator[Row]:
    """The newest rows, and then, without an end, each new one."""
    tail = Tail(file, wanted)
    yield from tail.start(limit)
    while True:
        time.sleep(PAUSE)
        yield from tail.fresh()


class Tail:
    """Follows a log: the rows in the order in which they were committed, each once.

    The log may be missing yet, moved away, begun anew, or emptied by archiving.
    """

    def __init__(self, file: Path, wanted: Wanted) -> None:
        self.file, self.wanted = file, wanted
        self._inode = self._number = 0
        self._id = ""  # of the row with that number: SQLite begins anew after the last row is gone

    def start(self, limit: int) -> list[Row]:
        """The newest rows of now; `fresh` goes on from here."""
        return self._look(lambda database: list(newest_in(database, self.wanted, limit)))

    def fresh(self) -> list[Row]:
        """The rows since the last look."""
        return self._look(self._since)

    def _look(self, how: Callable[[sqlite3.Connection], list[Row]]) -> list[Row]:
        if not self.file.exists():
            return []
        with opened(self.file) as database:
            database.execute("BEGIN")  # so that all below sees the same rows
            if not columns(database):
                return []
            rows = how(database)
            last = database.execute("SELECT rowid, id FROM prediction ORDER BY rowid DESC LIMIT 1")
            self._number, self._id = last.fetchone() or (0, "")
            self._inode = self.file.stat().st_ino
        return rows

    def _since(self, database: sqlite3.Connection) -> list[Row]:
        known = columns(database)
        where, values = matching(self.wanted, known, coming=True)
        new = f"SELECT {_all(known)} FROM prediction NOT INDEXED WHERE rowid > ? AND {where} "
        rows = database.execute(f"{new} ORDER BY rowid", (self._after(database), *values))
        return [dict(one) for one in rows]

    def _after(self, database: sqlite3.Connection) -> int:
        if self.file.stat().st_ino != self._inode:
            return 0
        [last] = database.execute("SELECT max(rowid) FROM prediction").fetchone()
        if (last or 0) >= self._number:
            return self._number
        same = database.execute("SELECT rowid FROM prediction WHERE id = ?", (self._id,)).fetchone()
        return same[0] if same else 0
