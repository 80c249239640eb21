"""The smallest change that a number of rows can show, to be said before one looks for it."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from housing.monitoring.statistics.betting import log_growth, log_mean_exp
from housing.monitoring.statistics.change_detection import NormalRange

MAX_TILT = 500.0  # by which even the rarest value becomes nearly certain


def smallest_visible_change(
    row_count: float,
    reference: np.ndarray,
    values: np.ndarray,
    normal: NormalRange,
    log_threshold: float,
) -> NormalRange:
    """Return the means, one below normal and one above, that so many rows show half of the time.

    reference: (n_values,), the share of each value as long as all is normal. values: (n_values,),
    from 0 to 1. log_threshold: of the evidence at which the alarm is raised. The changed rows are
    taken to be as like the reference as their mean allows: its exponential tilting. NaN stands for
    a mean that no change of this kind would reach.
    """
    reference, values = np.asarray(reference, float), np.asarray(values, float)
    rise = _smallest_rise(row_count, reference, values, normal.high, log_threshold)
    fall = _smallest_rise(row_count, reference, 1 - values, 1 - normal.low, log_threshold)
    return NormalRange(1 - fall, rise)


def _smallest_rise(
    row_count: float,
    reference: np.ndarray,
    values: np.ndarray,
    limit: float,
    log_threshold: float,
) -> float:
    growth = row_count * log_growth(values, limit)
    needed = log_threshold + np.log(2)  # the evidence is the mean of both directions

    def tilted(tilt: float) -> np.ndarray:
        weights = reference * np.exp(tilt * (values - values.max()))
        return weights / weights.sum()

    def excess(tilt: float) -> float:
        return float(log_mean_exp(growth @ tilted(tilt))) - needed

    if excess(MAX_TILT) < 0:
        return float("nan")
    return float(tilted(brentq(excess, 0, MAX_TILT)) @ values)
