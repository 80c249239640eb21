"""The smallest change that the rows at hand could have shown, in units that people know.

It says what "fine" is worth: with fifty requests, prices may have risen by a tenth unseen.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from housing.monitoring.analysis.effects import (
    MIN_BIAS_USD,
    MIN_ERROR_GROWTH_PERCENT,
    MIN_JOINT_RANK_SHIFT,
    MIN_MISSED_POINTS,
    MIN_SHARE_POINTS,
)
from housing.monitoring.analysis.signals import Analysis, WatchedStream
from housing.monitoring.analysis.streams import MAX_REFUSED_SHARE
from housing.monitoring.quantities import Signal
from housing.monitoring.reference.rank_scale import RankScale
from housing.monitoring.statistics.change_detection import NormalRange
from housing.monitoring.statistics.detectable_change import smallest_visible_change

QUANTILE_RANKS = (np.arange(200) + 0.5) / 200
WATCHED_QUANTITIES = [
    "refused", "error", "absolute_error", "missed", "estimated_error", "prediction", "joint",
]  # fmt: skip
MAX_GROWTH = 20.0  # factor beyond which an error is not followed
DAYS_PER_WEEK = 7
UNSEEN = "none"


def visible_changes(analysis: Analysis) -> pd.DataFrame:
    """Return the smallest changes that would be seen within a week, and within the whole period.

    One row for each quantity of all rows together; the changes as text. Each is seen at least half
    of the time, and is large enough for an alarm.
    """
    n_weeks = len(analysis.counts.days) / DAYS_PER_WEEK
    table = []
    for quantity in WATCHED_QUANTITIES:
        stream = analysis.find_stream(quantity)
        if stream:
            table.append(
                {
                    "quantity": stream.quantity.title,
                    "rows a week": round(stream.row_count / max(n_weeks, 1)),
                    "in a week": _describe(analysis, stream, stream.row_count / max(n_weeks, 1)),
                    "in the whole period": _describe(analysis, stream, stream.row_count),
                }
            )
    columns = ["quantity", "rows a week", "in a week", "in the whole period"]
    return pd.DataFrame(table, columns=columns).set_index("quantity")


def _describe(analysis: Analysis, stream: WatchedStream, row_count: float) -> str:
    histogram = analysis.held_out.histograms.get(stream.key.histogram)
    values = stream.stream.values
    if histogram is None:  # no held-out row was refused
        reference = np.array([1 - MAX_REFUSED_SHARE, MAX_REFUSED_SHARE])
    else:
        reference = histogram / histogram.sum()
    means = smallest_visible_change(
        row_count, reference, values, stream.stream.normal, stream.stream.log_threshold
    )
    name = stream.quantity.name
    if stream.quantity.is_share:
        is_coverage = stream.quantity.signal == Signal.COVERAGE
        min_points = MIN_MISSED_POINTS if is_coverage else MIN_SHARE_POINTS
        normal_share = 0.0 if histogram is None else reference[1]
        return _describe_limit(max(means.high, normal_share + min_points / 100), "{:.1%} or more")
    if name == "joint":
        auc = max(means.high, 0.5 + MIN_JOINT_RANK_SHIFT)
        return _describe_limit(auc, "an area under the ROC curve of {:.2f} or more")
    scale = analysis.reference.rank_scales[name]
    if name in ("absolute_error", "estimated_error"):
        growth = (_solve(scale, np.multiply, means.high, 1, MAX_GROWTH) - 1) * 100
        return _describe_limit(max(growth, MIN_ERROR_GROWTH_PERCENT), "{:.0f} % more")
    return _describe_shifts(scale, means)


def _describe_limit(limit: float, template: str) -> str:
    return UNSEEN if math.isnan(limit) else template.format(limit)


def _describe_shifts(scale: RankScale, means: NormalRange) -> str:
    spread = float(np.ptp(scale.values(QUANTILE_RANKS)))
    fall = _solve(scale, np.add, means.low, -spread, 0)
    rise = _solve(scale, np.add, means.high, 0, spread)
    texts = [f"−${max(-fall, MIN_BIAS_USD):,.0f}"] if not math.isnan(fall) else []
    texts += [f"+${max(rise, MIN_BIAS_USD):,.0f}"] if not math.isnan(rise) else []
    return " or ".join(texts) or UNSEEN


def _solve(
    scale: RankScale,
    change: Callable[[np.ndarray, float], np.ndarray],
    mean: float,
    low: float,
    high: float,
) -> float:
    """Return the amount by which all held-out values change if their mean rank becomes a mean."""
    held_out_values = scale.values(QUANTILE_RANKS)

    def excess(amount: float) -> float:
        return float(np.mean(scale.ranks(change(held_out_values, amount)))) - mean

    if math.isnan(mean) or excess(low) * excess(high) > 0:
        return math.nan
    return float(brentq(excess, low, high))
