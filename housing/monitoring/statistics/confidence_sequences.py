"""Confidence intervals of a mean that hold at all times at once, however often one looks.

A mean belongs to the interval as long as betting against it (`betting`) has not won enough.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from housing.monitoring.statistics.betting import log_wealth

SMALLEST_LIMIT = 1e-12  # of the range of the values: what is below counts as 0


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
    log_threshold = np.log(2 / (1 - confidence_level))
    low = _lower_end(counts, values, mean, log_threshold)
    return MeanInterval(mean, low, 1 - _lower_end(counts, 1 - values, 1 - mean, log_threshold))


def _lower_end(counts: np.ndarray, values: np.ndarray, mean: float, log_threshold: float) -> float:
    """Return the least mean that is not refuted by betting that the true one is larger."""

    def excess(limit: float) -> float:
        return log_wealth(counts, values, limit) - log_threshold

    # the wealth falls as the limit grows, and is below 1 at the mean of the rows
    if mean <= SMALLEST_LIMIT or excess(SMALLEST_LIMIT) <= 0:
        return 0.0
    return brentq(excess, SMALLEST_LIMIT, mean)
