"""Confidence intervals of a mean that hold at all times at once, however often one looks.

A mean belongs to the interval as long as betting against it (`betting`) has not won enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from housing.monitoring.betting import log_wealth

BISECTION_STEPS = 40  # the ends are then exact to 1e-12 of the values' range


class MeanInterval(NamedTuple):
    """A mean, and the ends between which the true one lies."""

    mean: float
    low: float
    high: float


def mean_interval(
    counts: np.ndarray, values: np.ndarray, confidence_level: float = 0.95
) -> MeanInterval:
    """Return the mean of all rows so far, and the interval that holds the true mean at all times.

    counts: (n_values,), the rows of each value. values: (n_values,), from 0 to 1. Without rows the
    mean is NaN and the interval 0 to 1. Raises ValueError if confidence_level is not between 0 and
    1.
    """
    if not 0 < confidence_level < 1:
        raise ValueError(
            f"confidence_level is {confidence_level!r}, expected a number between 0 and 1"
        )
    counts, values = np.asarray(counts, float), np.asarray(values, float)
    if not counts.sum():
        return MeanInterval(np.nan, 0.0, 1.0)
    mean = float(counts @ values / counts.sum())
    # each side may err with half of the probability
    threshold = np.log(2 / (1 - confidence_level))
    low = _find_root(lambda limit: log_wealth(counts, values, limit) < threshold, 0, mean)
    gap = _find_root(lambda limit: log_wealth(counts, 1 - values, limit) < threshold, 0, 1 - mean)
    return MeanInterval(mean, low, 1 - gap)


def _find_root(is_true: Callable[[float], bool], low: float, high: float) -> float:
    """Return the least number in a range that meets a condition, as all larger ones do then.

    Returns the end of the range if none meets it.
    """
    for _ in range(BISECTION_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_true(middle) else (middle, high)
    return low
