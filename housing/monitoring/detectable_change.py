"""The smallest change that a number of rows can show, to be said before one looks for it."""

from __future__ import annotations

import numpy as np

from housing.monitoring.betting import log_growth, log_mean_exp
from housing.monitoring.change_detection import NormalRange

BISECTION_STEPS = 50
MAX_TILT = 500.0  # by which even the rarest value becomes nearly certain


def smallest_rise(
    row_count: float,
    reference: np.ndarray,
    values: np.ndarray,
    normal: NormalRange,
    log_threshold: float,
) -> float:
    """Return the least mean above normal that so many rows show about half of the time.

    reference: (n_values,), the share of each value as long as all is normal. values: (n_values,),
    from 0 to 1. log_threshold: of the evidence at which the alarm is raised. The changed rows are
    taken to be distributed as like the reference as their mean allows: its exponential tilting.
    Returns NaN if no change could be seen.
    """
    reference, values = np.asarray(reference, float), np.asarray(values, float)
    # one direction of two
    needed = log_threshold + np.log(2)
    growth = row_count * log_growth(values, normal.high)

    def is_seen(tilt: float) -> bool:
        return bool(log_mean_exp(growth @ _tilt(reference, values, tilt)) >= needed)

    if not is_seen(MAX_TILT):
        return float("nan")
    low, high = 0.0, MAX_TILT
    for _ in range(BISECTION_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_seen(middle) else (middle, high)
    return float(_tilt(reference, values, high) @ values)


def smallest_fall(
    row_count: float,
    reference: np.ndarray,
    values: np.ndarray,
    normal: NormalRange,
    log_threshold: float,
) -> float:
    """Return the greatest mean below normal that so many rows show; see `smallest_rise`."""
    mirrored = NormalRange(1 - normal.high, 1 - normal.low)
    return 1 - smallest_rise(
        row_count, reference, 1 - np.asarray(values, float), mirrored, log_threshold
    )


def _tilt(reference: np.ndarray, values: np.ndarray, tilt: float) -> np.ndarray:
    weights = reference * np.exp(tilt * (values - values.max()))
    return weights / weights.sum()
