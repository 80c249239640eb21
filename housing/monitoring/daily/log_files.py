"""The prediction log and its archived months: the rows of a day in all files, each row once.

No writer waits for a reader: the files are opened read-only, and for one day at a time. A row that
is being archived is in both files for a moment, as it is committed to its month before it leaves
the log.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from housing.monitoring.daily.log_days import (
    ASKED_AT,
    Period,
    count_undated_rows,
    next_day,
    tally_days,
)
from housing.prediction_log import months, table
from housing.prediction_log.reader import open_table

DAY_CONDITION = "asked_at >= ? AND asked_at < ?"
IDS_PER_QUERY = 5_000


@dataclass
class DayFile:
    """The rows of a day in one file, as they are in the transaction that is open."""

    connection: sqlite3.Connection
    day: date
    columns: frozenset[str]  # of the table, which may lack the newer ones
    row_count: int
    # the numbers of rows that another file has too: neither selected nor counted above
    duplicate_rows: list[int] = field(default_factory=list)

    def select(self, columns: Sequence[str]) -> sqlite3.Cursor:
        """Select columns of the day's rows, in the order of their times."""
        condition, values = DAY_CONDITION, _day_bounds(self.day)
        if self.duplicate_rows:
            condition += " AND rowid NOT IN (SELECT value FROM json_each(?))"
            values = (*values, json.dumps(self.duplicate_rows))
        return self.connection.execute(
            f"SELECT {self._select_list(columns)} FROM prediction WHERE {condition} "
            "ORDER BY asked_at, rowid",
            values,
        )

    def select_rows(self, columns: Sequence[str], row_numbers: Sequence[int]) -> sqlite3.Cursor:
        """Select columns of the rows with these numbers, in the order of the numbers."""
        return self.connection.execute(
            f"SELECT {self._select_list(columns)} FROM prediction "
            "WHERE rowid IN (SELECT value FROM json_each(?)) ORDER BY rowid",
            (json.dumps(list(row_numbers)),),
        )

    def _select_list(self, columns: Sequence[str]) -> str:
        """Return the columns and, as NULL, those that an older log lacks."""
        available = self.columns | {"rowid"}
        return ", ".join(name if name in available else f"NULL AS {name}" for name in columns)


@dataclass(frozen=True)
class LogFiles:
    """The log, which may not exist yet, and its archived months.

    list_archives: returns the months, as often as it is called: archiving may add one meanwhile.
    """

    log: Path
    list_archives: Callable[[], Sequence[Path]]

    def count_days(self, period: Period) -> dict[date, int]:
        """Return the number of rows of each day that has any, in order."""
        counts: Counter[date] = Counter()
        n_files: Counter[date] = Counter()
        for file in (self.log, *self.list_archives()):  # the log first, as in `open_day`
            with open_table(file) as connection:
                if connection is None:
                    continue
                for day, row_count in tally_days(connection, ASKED_AT, period).items():
                    counts[day] += row_count
                    n_files[day] += 1
        for day, count in n_files.items():
            if count > 1:
                with self.open_day(day) as day_files:
                    counts[day] = sum(day_file.row_count for day_file in day_files)
        return dict(sorted(counts.items()))

    def count_undated(self, possible_days: Period) -> int:
        """Return the number of rows whose time cannot be."""
        row_count = 0
        for file in (self.log, *self.list_archives()):
            with open_table(file) as connection:
                if connection is not None:
                    row_count += count_undated_rows(connection, possible_days)
        return row_count

    @contextmanager
    def open_day(self, day: date) -> Iterator[list[DayFile]]:
        """Yield the files with rows of a day, the oldest rows first; later changes are not seen."""
        with ExitStack() as stack:
            # The log first: a row that is moved before a month is read is in both, never in none.
            day_files = [_open_day_file(stack, self.log, day)]
            for file in self.list_archives():
                if months.file_month(file) == f"{day:%Y-%m}":
                    day_files.append(_open_day_file(stack, file, day))
            filled_files = [day_file for day_file in day_files if day_file and day_file.row_count]
            for number, day_file in enumerate(filled_files):
                for later_file in filled_files[number + 1 :]:
                    _leave_out_duplicates(day_file, later_file)
            yield filled_files[::-1]


def _open_day_file(stack: ExitStack, file: Path, day: date) -> DayFile | None:
    """Return the file with a transaction that has begun, and lasts until the stack is closed."""
    connection = stack.enter_context(open_table(file))
    if connection is None:
        return None
    connection.execute("BEGIN")
    query = f"SELECT count(*) FROM prediction WHERE {DAY_CONDITION}"
    [row_count] = connection.execute(query, _day_bounds(day)).fetchone()
    return DayFile(connection, day, frozenset(table.column_types(connection)), row_count)


def _leave_out_duplicates(day_file: DayFile, other_file: DayFile) -> None:
    """Leave out of a file the rows of the day that another file has too."""
    # archiving begins with the oldest rows, so that few can be in both
    bounds = _day_bounds(day_file.day)
    [newest_time] = other_file.connection.execute(
        f"SELECT max(asked_at) FROM prediction WHERE {DAY_CONDITION}", bounds
    ).fetchone()
    row_numbers = dict(
        day_file.connection.execute(
            f"SELECT id, rowid FROM prediction WHERE {DAY_CONDITION} AND asked_at <= ?",
            (*bounds, newest_time),
        )
    )
    ids = [row_id for row_id in row_numbers if row_id is not None]
    known_rows = set(day_file.duplicate_rows)
    for start in range(0, len(ids), IDS_PER_QUERY):
        common_ids = other_file.connection.execute(
            "SELECT id FROM prediction WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(ids[start : start + IDS_PER_QUERY]),),
        )
        known_rows |= {row_numbers[row_id] for [row_id] in common_ids}
    day_file.row_count -= len(known_rows) - len(day_file.duplicate_rows)
    day_file.duplicate_rows = sorted(known_rows)


def _day_bounds(day: date) -> tuple[str, ...]:
    return day.isoformat(), next_day(day).isoformat()
