"""The price bands that intervals are calibrated for, and the bounds of an interval.

Needs numpy alone.
"""

import numpy as np

from housing.schema import HOUSE_VALUE_CAP

# the bands of `slices.price_band`, in $100,000: the capped values are one point, not a range
BAND_LOWER_EDGES = np.array([0, 1, 2, 3, 4, HOUSE_VALUE_CAP])
BAND_UPPER_EDGES = np.array([1, 2, 3, 4, 5, HOUSE_VALUE_CAP])


def band_numbers(y_true: np.ndarray) -> np.ndarray:
    """Return (n,) numbers from 0 to 5: the price bands, in the order of `slices.price_band`."""
    return np.searchsorted(BAND_UPPER_EDGES[:-1], y_true)


def interval_bounds(
    y_pred: np.ndarray, scales: np.ndarray, lower_quantiles: np.ndarray, upper_quantiles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the upper bounds of the intervals, (n,) each, in $100,000.

    An interval is the hull of the prediction and, band by band, of the values whose score is
    between the band's quantiles. y_pred, scales: (n,) in $100,000. lower_quantiles,
    upper_quantiles: (6,), as `intervals.conformal_quantiles` returns them.
    """
    low = np.maximum(y_pred[:, None] + scales[:, None] * lower_quantiles, BAND_LOWER_EDGES)
    high = np.minimum(y_pred[:, None] + scales[:, None] * upper_quantiles, BAND_UPPER_EDGES)
    is_possible = low <= high  # in the other bands no value fits
    clipped = np.clip(y_pred, 0, HOUSE_VALUE_CAP)
    lowest = np.where(is_possible, low, HOUSE_VALUE_CAP).min(axis=1)
    highest = np.where(is_possible, high, 0).max(axis=1)
    return np.minimum(lowest, clipped), np.maximum(highest, clipped)
