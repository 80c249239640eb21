"""Tables by time: the period in parts of a day, a week or 30 days, whichever fits a figure."""

from __future__ import annotations

import numpy as np
import pandas as pd

from housing.monitoring.analysis.signals import Analysis
from housing.monitoring.counts import DailyCounts
from housing.monitoring.quantities import (
    LABELLED_ESTIMATE,
    RANK_VALUES,
    SHARE_VALUES,
    HistogramKey,
)
from housing.monitoring.reference.rank_scale import RankScale
from housing.monitoring.statistics.confidence_sequences import mean_interval

PART_LENGTHS = {45: 1, 400: 7}  # at most so many days -> days of a part
LONGEST_PART_DAYS = 30
FINE_RANKS = (np.arange(2_000) + 0.5) / 2_000
OK_STATUS = 200
LATENCY_QUANTILES = {"half of all": 0.5, "99 of 100": 0.99}
BAND_COLUMNS = ["rows", "mean", "low", "high", "low so far", "high so far"]


def part_starts(counts: DailyCounts) -> np.ndarray:
    """Return the numbers of the days on which the parts of a period begin."""
    n_days = len(counts.days)
    lengths = (length for longest, length in PART_LENGTHS.items() if n_days <= longest)
    return np.arange(0, n_days, next(lengths, LONGEST_PART_DAYS))


def part_days(counts: DailyCounts) -> pd.DatetimeIndex:
    """Return the first day of each part."""
    return pd.DatetimeIndex([counts.days[start] for start in part_starts(counts)])


def error_over_time(analysis: Analysis) -> pd.DataFrame:
    """Return the mean absolute error of labelled rows in $, with confidence sequences (95 %).

    By the first day of each part: rows, mean, low and high of the part, and low so far and high so
    far of all rows up to its end. Empty without labelled rows.
    """
    key = HistogramKey("absolute_error")
    if key not in analysis.counts.moments:
        return pd.DataFrame(columns=BAND_COLUMNS)
    values_usd = usd_by_rank(analysis.reference.rank_scales[key.quantity])
    moments = _part_sums(analysis.counts, analysis.counts.moments[key])
    return _bands(analysis.counts, key, values_usd, moments)


def coverage_over_time(analysis: Analysis) -> pd.DataFrame:
    """Return the share of true values inside of their intervals; columns as `error_over_time`."""
    key = HistogramKey("missed")
    if key not in analysis.counts.histograms:
        return pd.DataFrame(columns=BAND_COLUMNS)
    return _bands(analysis.counts, key, 1 - SHARE_VALUES)


def held_out_error(analysis: Analysis) -> float:
    """Return the mean absolute error of the held-out rows in $, which the gate promised."""
    rows, total, _ = analysis.held_out.moments[HistogramKey("absolute_error")]
    return float(total / rows)


def held_out_coverage(analysis: Analysis) -> float:
    """Return the share of held-out values inside of their intervals; NaN without intervals."""
    histogram = analysis.held_out.histograms.get(HistogramKey("missed"))
    return float("nan") if histogram is None else float(histogram[0] / histogram.sum())


def usd_by_rank(scale: RankScale) -> np.ndarray:
    """Return the mean in $ of the held-out rows that count for each of RANK_VALUES: (21,)."""
    values = scale.values(FINE_RANKS)
    distances = np.abs(FINE_RANKS[:, None] - RANK_VALUES) * (len(RANK_VALUES) - 1)
    weights = np.maximum(1 - distances, 0)
    return values @ weights / weights.sum(axis=0)


def _bands(
    counts: DailyCounts,
    key: HistogramKey,
    values: np.ndarray,
    moments: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return the mean of each part and of all rows so far, with the ends of their intervals.

    values: (n_values,) of the histogram, in any unit. moments: (n_parts, 3), if they are known
    better: within a class of ranks the mean may be another one than that of the held-out rows.
    """
    histograms = _part_sums(counts, counts.histograms[key])
    part = _intervals(histograms, values)
    so_far = _intervals(histograms.cumsum(axis=0), values)
    if moments is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            part += (moments[:, 1] / moments[:, 0])[:, None] - part[:, :1]
            sums = moments.cumsum(axis=0)
            so_far += (sums[:, 1] / sums[:, 0])[:, None] - so_far[:, :1]
    columns = [histograms.sum(axis=1), *part.T, *so_far[:, 1:].T]
    return pd.DataFrame(dict(zip(BAND_COLUMNS, columns, strict=True)), part_days(counts))


def _intervals(histograms: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return mean, low and high of each histogram: (n, 3); NaN without rows."""
    lowest, scale = values.min(), np.ptp(values)
    intervals = np.array(
        [mean_interval(histogram, (values - lowest) / scale) for histogram in histograms]
    )
    intervals[histograms.sum(axis=1) == 0] = np.nan
    return intervals * scale + lowest


def _part_sums(counts: DailyCounts, by_day: np.ndarray) -> np.ndarray:
    """Return the sums of (n_days, m) numbers over the days of each part: (n_parts, m)."""
    return np.add.reduceat(np.asarray(by_day, float), part_starts(counts), axis=0)


def track_record(analysis: Analysis) -> pd.DataFrame:
    """Return the estimated error beside the true one, by the first day of each part, in $.

    The columns are all rows (their estimate, on the day of the request), labelled rows (their
    estimate) and true error (of these rows), on the day when the true value arrived.
    """
    quantities = {
        "all rows": "estimated_error",
        "labelled rows": LABELLED_ESTIMATE,
        "true error": "absolute_error",
    }
    moments = {
        column: analysis.counts.moments.get(
            HistogramKey(name), np.zeros((len(analysis.counts.days), 3))
        )
        for column, name in quantities.items()
    }
    with np.errstate(invalid="ignore", divide="ignore"):
        means = {
            column: np.divide(*_part_sums(analysis.counts, by_day)[:, [1, 0]].T)
            for column, by_day in moments.items()
        }
    return pd.DataFrame(means, part_days(analysis.counts))


def traffic_over_time(counts: DailyCounts) -> pd.DataFrame:
    """Return the rows of each part that were answered and refused, by its first day."""
    is_answered = counts.requests.status == OK_STATUS
    return pd.DataFrame(
        {
            "answered": _sum_by_part(counts, counts.requests[is_answered]),
            "refused": _sum_by_part(counts, counts.requests[~is_answered]),
        }
    )


def _sum_by_part(counts: DailyCounts, table: pd.DataFrame) -> pd.Series:
    return (
        table.rows.groupby(_part_numbers(counts, table))
        .sum()
        .reindex(range(len(part_starts(counts))), fill_value=0)
        .set_axis(part_days(counts))
    )


def _part_numbers(counts: DailyCounts, table: pd.DataFrame) -> np.ndarray:
    """Return the part of the period that each row of a table with a column day belongs to."""
    days = pd.to_datetime(table.day)
    return np.searchsorted(part_days(counts), days.to_numpy(), side="right") - 1


def latency_over_time(counts: DailyCounts) -> pd.DataFrame:
    """Return within how many milliseconds half, and 99 of 100, rows of a part were answered.

    The upper ends of the classes that the log's histogram has; NaN for a part without rows.
    """
    table = counts.latencies.assign(part=_part_numbers(counts, counts.latencies))
    by_class = table.pivot_table("rows", "part", "upper_ms", aggfunc="sum", fill_value=0)
    shares = by_class.cumsum(axis=1).div(by_class.sum(axis=1), axis=0).to_numpy(float)
    quantiles = pd.DataFrame(np.nan, range(len(part_starts(counts))), list(LATENCY_QUANTILES))
    for label, level in LATENCY_QUANTILES.items() if len(by_class) else ():
        classes = (shares >= level).argmax(axis=1)
        quantiles.loc[by_class.index, label] = by_class.columns.to_numpy(float)[classes]
    return quantiles.set_axis(part_days(counts))
