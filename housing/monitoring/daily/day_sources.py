"""Days of predictions and days of true values: which there are, and what is counted of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from housing.monitoring.daily import day_counts
from housing.monitoring.daily.day_counts import ScalesCache
from housing.monitoring.daily.day_scan import scan_day
from housing.monitoring.daily.log_days import RECEIVED_AT, Period, next_day, tally_days
from housing.monitoring.daily.log_files import LogFiles
from housing.monitoring.daily.log_values import ModelKey, model_key
from housing.monitoring.daily.row_sample import MAX_DAILY_ROWS, draw_rows, drop_repeats, parse_rows
from housing.monitoring.daily.store_file import CountedDay
from housing.monitoring.quantities import RowKind
from housing.prediction_log.labelled import LabelledRow, read_labelled_rows
from housing.prediction_log.reader import open_log
from housing.prediction_log.table import has_feedback

# the corrections are few, and have an index of their own
SUPERSEDED_QUERY = (
    "SELECT substr(received_at, 1, 10), count(*) FROM feedback "
    "WHERE superseded_at IS NOT NULL GROUP BY 1"
)


def archive_names(archives: Iterable[Path]) -> str:
    """Return the names of the archived months as a text."""
    return " ".join(sorted(file.name for file in archives))


class DaySource(Protocol):
    """Rows of one kind, by day."""

    kind: RowKind

    @property
    def files(self) -> LogFiles:
        """The log and its archived months."""

    def fingerprints(self, period: Period) -> Mapping[date, str]:
        """Return for each day with rows a text that changes as they do, without reading them."""

    def count_day(self, day: date, cache: ScalesCache) -> CountedDay:
        """Read the rows of a day, and count them."""


@dataclass(frozen=True)
class PredictionDays:
    """The requests, on the day on which they were asked."""

    files: LogFiles
    kind = RowKind.PREDICTIONS

    def fingerprints(self, period: Period) -> Mapping[date, str]:
        """Return the number of rows of each day: none is ever changed."""
        return {day: str(count) for day, count in self.files.count_days(period).items()}

    def count_day(self, day: date, cache: ScalesCache) -> CountedDay:
        """Count all rows of a day, and a sample of the answered ones by their values."""
        with self.files.open_day(day) as day_files:
            row_count = sum(day_file.row_count for day_file in day_files)
            scan = scan_day(day_files)
            rows = {
                model: draw_rows(day, day_files, numbers)
                for model, numbers in scan.answered.items()
            }
        if not row_count:
            return CountedDay("", {})
        samples = {model: parse_rows(model_rows) for model, model_rows in rows.items()}
        tables = day_counts.prediction_tables(day, scan, samples, cache)
        return CountedDay(str(row_count), tables)


@dataclass(frozen=True)
class LabelDays:
    """The current true values, on the day on which they arrived."""

    files: LogFiles
    kind = RowKind.LABELLED

    def fingerprints(self, period: Period) -> Mapping[date, str]:
        """Return how many values arrived on each day, and how many of them are current.

        A correction adds a row on its own day, and changes what is current on that of the former.
        """
        if not self.files.log.exists():
            return {}
        with open_log(self.files.log) as connection:
            if not has_feedback(connection):
                return {}
            connection.execute("BEGIN")
            row_counts = tally_days(connection, RECEIVED_AT, period)
            superseded_counts = dict(connection.execute(SUPERSEDED_QUERY).fetchall())
        current_counts = {
            day: row_count - superseded_counts.get(day.isoformat(), 0)
            for day, row_count in row_counts.items()
        }
        return {
            day: f"{row_count} {current_counts[day]}"
            for day, row_count in row_counts.items()
            if current_counts[day]
        }

    def count_day(self, day: date, cache: ScalesCache) -> CountedDay:
        """Count a sample of the true values of a day."""
        # before the rows are read: values that arrive in between are another change
        fingerprint = self.fingerprints(Period(day, next_day(day))).get(day, "")
        archives = self.files.list_archives()
        since, until = day.isoformat(), next_day(day).isoformat()
        rows = list(read_labelled_rows(self.files.log, archives, since, until, MAX_DAILY_ROWS))
        rows_by_model: defaultdict[ModelKey, list[LabelledRow]] = defaultdict(list)
        for row in rows:
            model = model_key(row.model_name, row.model_version)
            if model is not None:
                rows_by_model[model].append(row)
        frames = {
            model: parse_rows(drop_repeats(model_rows))
            for model, model_rows in rows_by_model.items()
        }
        tables = day_counts.labelled_tables(day, frames, cache)
        n_current = int(fingerprint.rpartition(" ")[2] or 0)
        is_complete = len(rows) >= min(n_current, MAX_DAILY_ROWS)
        return CountedDay(fingerprint, tables, None if is_complete else archive_names(archives))
