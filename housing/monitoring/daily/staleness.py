"""Which days of the store are out of date."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from housing.monitoring.daily.day_counts import ScalesCache
from housing.monitoring.daily.day_sources import DaySource, archive_names
from housing.monitoring.daily.log_days import Period
from housing.monitoring.daily.log_values import ModelKey
from housing.monitoring.quantities import RowKind


class RefreshPlan(NamedTuple):
    """The days of a source that must be read, in order."""

    source: DaySource
    stale_days: Sequence[date]
    n_unchanged: int


def plan_refresh(
    connection: sqlite3.Connection, source: DaySource, period: Period, cache: ScalesCache
) -> RefreshPlan:
    """Compare the days of the log with those of the store.

    A day is read if its rows have changed, also to none; if some of them were missing, and may be
    in a month that has come since; and if a version has another reference by now.
    """
    current = source.fingerprints(period)
    counted = _counted_fingerprints(connection, source, period)
    changed_days = {day for day in {*current, *counted} if current.get(day) != counted.get(day)}
    stale_days = changed_days | _days_of_other_references(connection, source.kind, period, cache)
    return RefreshPlan(source, sorted(stale_days), len({*current} - stale_days))


def _counted_fingerprints(
    connection: sqlite3.Connection, source: DaySource, period: Period
) -> dict[date, str]:
    """Return the fingerprints of the days that were counted; an empty one if it is out of date."""
    archives = archive_names(source.files.list_archives())
    return {
        date.fromisoformat(day): fingerprint if missing_in in (None, archives) else ""
        for day, fingerprint, missing_in in connection.execute(
            "SELECT day, fingerprint, archives FROM counted_day "
            "WHERE kind = ? AND day >= ? AND day < ?",
            (source.kind, *_day_range(period)),
        )
    }


def _days_of_other_references(
    connection: sqlite3.Connection, kind: RowKind, period: Period, cache: ScalesCache
) -> set[date]:
    """Return the days with rows of a version that has another reference by now."""
    days_by_reference: dict[tuple[ModelKey, str | None], list[str]] = {}
    for day, name, version, reference in connection.execute(
        "SELECT day, model_name, model_version, reference FROM counted_version "
        "WHERE kind = ? AND day >= ? AND day < ?",
        (kind, *_day_range(period)),
    ):
        days_by_reference.setdefault((ModelKey(name, version), reference), []).append(day)
    return {
        date.fromisoformat(day)
        for (model, reference), days in days_by_reference.items()
        if cache.get(model).digest != reference
        for day in days
    }


def _day_range(period: Period) -> tuple[str, str]:
    return period.first.isoformat(), period.end.isoformat()
