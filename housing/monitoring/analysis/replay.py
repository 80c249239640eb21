"""Counting simulated traffic: rows whose days are numbers, all days at once.

The counts are those that `row_counts.count_rows` makes of each day by itself, and the daily store
keeps; here a year of traffic takes a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from housing.monitoring.counts import DailyCounts
from housing.monitoring.daily.day_counts import SAMPLE_ROWS_PER_DAY
from housing.monitoring.daily.day_scan import OK_STATUS
from housing.monitoring.quantities import Dimension, HistogramKey
from housing.monitoring.reference import row_counts
from housing.monitoring.reference.row_counts import RowGroups, RowScales
from housing.schema import FEATURE_NAMES

ROWS_PER_CHUNK = 100_000
VERSION = "replayed"

DayArrays = dict[HistogramKey, np.ndarray]  # (n_days, m)


def count_traffic(
    rows: pd.DataFrame,
    labelled_rows: pd.DataFrame,
    scales: RowScales,
    first_day: date,
    n_days: int,
) -> DailyCounts:
    """Count simulated traffic by day.

    rows: the columns of `row_counts.count_rows`, and day (a number from 0), status and problem
    (empty if answered); a truth does not count. labelled_rows: with the truth, and day: the one on
    which it arrives.
    """
    days = tuple(first_day + timedelta(days=number) for number in range(n_days))
    is_answered = (rows.status == OK_STATUS).to_numpy()
    answered = rows[is_answered]
    histograms: DayArrays = {}
    moments: DayArrays = {}
    for frame in (answered.drop(columns="truth", errors="ignore"), labelled_rows):
        for start in range(0, len(frame), ROWS_PER_CHUNK):
            counts = _count_days(frame[start : start + ROWS_PER_CHUNK], n_days, scales)
            for total, part in zip((histograms, moments), counts, strict=True):
                _add(total, part)
    sample = answered.groupby("day").head(SAMPLE_ROWS_PER_DAY)
    return DailyCounts(
        days=days,
        histograms=histograms | _refused_histograms(rows, is_answered, n_days),
        moments=moments,
        requests=_count_requests(rows, is_answered, days),
        refusals=_count_groups(rows[~is_answered], ["caller", "problem"], days),
        latencies=pd.DataFrame(columns=["day", "upper_ms", "rows"]),
        cells=pd.DataFrame(columns=["day", "latitude", "longitude", "rows"]),
        sample=pd.DataFrame(
            {"day": _dates(sample.day, days), "version": VERSION}
            | {name: sample[name].to_numpy() for name in [*FEATURE_NAMES, "prediction"]}
        ),
    )


def _count_days(rows: pd.DataFrame, n_days: int, scales: RowScales) -> tuple[DayArrays, DayArrays]:
    """Return the histograms and moments of each day."""
    days = rows.day.to_numpy(int)
    distances_km = scales.distances_km(rows)
    groups = {
        dimension: _split_by_day(row_groups, days, n_days)
        for dimension, row_groups in row_counts.group_rows(rows, distances_km).items()
    }
    histograms: DayArrays = {}
    moments: DayArrays = {}
    for name, column in row_counts.counted_values(rows, scales, distances_km).items():
        weights = row_counts.value_weights(name, column, scales.rank_scales)
        powers = row_counts.moment_powers(column)
        for dimension in (Dimension.ALL, *row_counts.quantity_of(name).dimensions):
            histograms |= _sum(name, dimension, groups[dimension], weights)
            moments |= _sum(name, dimension, groups[dimension], powers)
    if "truth" not in rows:
        row_totals = np.bincount(days, minlength=n_days).astype(float)
        histograms |= _region_shares(groups[Dimension.REGION], row_totals)
    return histograms, moments


def _split_by_day(groups: RowGroups, days: np.ndarray, n_days: int) -> RowGroups:
    """Return the groups with a row of members for each group and day."""
    members = groups.members.tocoo()
    group_numbers, row_numbers = members.coords
    shape = (len(groups.names) * n_days, len(days))
    codes = group_numbers * n_days + days[row_numbers]
    return RowGroups(groups.names, csr_array((members.data, (codes, row_numbers)), shape=shape))


def _sum(name: str, dimension: Dimension, groups: RowGroups, weights: np.ndarray) -> DayArrays:
    """Return the sums of each day over the rows of each group that has any. weights: (n, m)."""
    sums = (groups.members @ weights).reshape(len(groups.names), -1, weights.shape[1])
    return {
        HistogramKey(name, dimension, group): total
        for group, total in zip(groups.names, sums, strict=True)
        if total.any()
    }


def _region_shares(regions: RowGroups, row_totals: np.ndarray) -> DayArrays:
    """Return for each region and day how many rows are elsewhere, and how many in it."""
    inside = regions.members.sum(axis=1).reshape(len(regions.names), -1)
    return {
        HistogramKey("in_region", Dimension.REGION, region): np.stack(
            [row_totals - counts, counts], axis=1
        )
        for region, counts in zip(regions.names, inside, strict=True)
    }


def _add(total: DayArrays, part: Mapping[HistogramKey, np.ndarray]) -> None:
    for key, counts in part.items():
        total[key] = total[key] + counts if key in total else counts


def _refused_histograms(rows: pd.DataFrame, is_answered: np.ndarray, n_days: int) -> DayArrays:
    """Return how many rows were answered and refused each day, of all callers and of each."""
    days, callers = rows.day.to_numpy(), rows.caller.to_numpy()
    groups = {HistogramKey("refused"): np.ones(len(rows), bool)}
    for caller in sorted(set(callers)):
        groups[HistogramKey("refused", Dimension.CALLER, caller)] = callers == caller
    return {
        key: np.stack(
            [
                np.bincount(days[in_group & is_counted], minlength=n_days).astype(float)
                for is_counted in (is_answered, ~is_answered)
            ],
            axis=1,
        )
        for key, in_group in groups.items()
    }


def _count_requests(
    rows: pd.DataFrame, is_answered: np.ndarray, days: Sequence[date]
) -> pd.DataFrame:
    versions = [VERSION if answered else None for answered in is_answered]
    counts = _count_groups(rows.assign(version=versions), ["caller", "version", "status"], days)
    return counts.assign(sampled=counts.rows.where(counts.status == OK_STATUS, 0))


def _count_groups(rows: pd.DataFrame, columns: list[str], days: Sequence[date]) -> pd.DataFrame:
    """Return the rows of each day by some columns."""
    counts = rows.groupby(["day", *columns], dropna=False).size().rename("rows").reset_index()
    return counts.assign(day=_dates(counts.day, days))


def _dates(numbers: pd.Series, days: Sequence[date]) -> list[date]:
    return [days[number] for number in numbers]
