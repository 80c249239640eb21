"""The daily counts of the traffic: kept in a file, so that only days that have changed are read.

All of it can be counted again from the prediction log and its archived months: deleting the file
costs nothing but time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from housing import paths
from housing.monitoring.counts import DailyCounts
from housing.monitoring.daily.day_counts import LoadScales, ScalesCache
from housing.monitoring.daily.day_sources import DaySource, LabelDays, PredictionDays
from housing.monitoring.daily.log_days import Period
from housing.monitoring.daily.log_files import LogFiles
from housing.monitoring.daily.log_values import ModelKey
from housing.monitoring.daily.staleness import plan_refresh
from housing.monitoring.daily.store_file import open_to_read, open_to_refresh, replace_day
from housing.monitoring.daily.store_reading import Selection, read_counts, read_period
from housing.prediction_log import months

MAX_AGE_DAYS = 3_653  # ten years; an older time is one of a clock that was wrong
CLOCK_TOLERANCE_DAYS = 1  # of times in the future

ListFiles = Callable[[], Sequence[Path]]


@dataclass(frozen=True)
class RefreshSummary:
    """What a refresh has done."""

    days_read: int  # days of requests and days of true values that were new or had changed
    days_unchanged: int
    undated_rows: int  # logged at a time that cannot be: they are counted nowhere
    # why the rows of a version are counted, but not by their values
    uncounted_versions: Mapping[ModelKey, str]


def store_path() -> Path:
    """Return the file of the daily counts; it may not exist yet."""
    return paths.var() / "monitoring" / "daily.db"


def refresh(
    store: Path,
    log: Path,
    references: LoadScales,
    list_archives: ListFiles = months.archive_paths,
    since: date | None = None,
    today: date | None = None,
    on_progress: Callable[[int, int], None] = lambda day_count, total: None,
) -> RefreshSummary:
    """Count the days that are new or have changed, and forget those that are gone.

    The service and the archiving of the log may go on meanwhile. A refresh that is killed is
    continued by the next one; two at once take turns.

    references: returns the reference of a model name and a version; a LookupError says that it has
    none, and why. A version whose reference is another one by now is counted again.
    list_archives: returns the archived months. since: older days are neither read nor forgotten.
    today: in UTC; later days cannot be. on_progress: called after each day that was read, with how
    many were, and how many there are to read.
    Raises RuntimeError if the store cannot be written or the log cannot be read.
    """
    today = today or datetime.now(UTC).date()
    possible_days = Period(
        today - timedelta(days=MAX_AGE_DAYS), today + timedelta(days=1 + CLOCK_TOLERANCE_DAYS)
    )
    period = possible_days._replace(first=max(since or date.min, possible_days.first))
    files, cache = LogFiles(log, list_archives), ScalesCache(references)
    sources: list[DaySource] = [PredictionDays(files), LabelDays(files)]
    with open_to_refresh(store) as connection:
        plans = [plan_refresh(connection, source, period, cache) for source in sources]
        stale_days = [(plan.source, day) for plan in plans for day in plan.stale_days]
        for number, (source, day) in enumerate(stale_days, 1):
            replace_day(connection, day, source.kind, source.count_day(day, cache))
            on_progress(number, len(stale_days))
    return RefreshSummary(
        days_read=len(stale_days),
        days_unchanged=sum(plan.n_unchanged for plan in plans),
        undated_rows=files.count_undated(possible_days),
        uncounted_versions=cache.problems,
    )


def read(
    store: Path,
    model_name: str,
    version: str | None = None,
    since: date | None = None,
    until: date | None = None,
) -> DailyCounts:
    """Return the counts of a model, as the last refresh has left them.

    version: by default all versions together. since, until: the first day and the last one, by
    default of what is in the store. Requests that were refused name no model: they count for all.
    Raises LookupError if there is no store, or no day in it and none was named; ValueError if
    `since` is after `until`; RuntimeError if the store cannot be read.
    """
    with open_to_read(store) as connection:
        first_day, last_day = read_period(connection)
        since, until = since or first_day, until or last_day
        if since is None or until is None:
            raise LookupError(f"{store} has no day yet: the service has logged nothing")
        if since > until:
            raise ValueError(f"since is {since}, until {until}: expected the earlier day first")
        return read_counts(connection, Selection(since, until, model_name, version))
