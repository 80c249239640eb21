"""The price bands that intervals are made for, and the ends of an interval. Needs numpy alone."""

import numpy as np

from housing.schema import HOUSE_VALUE_CAP

# the bands of `evaluate.price_band`, in $100,000: the capped values are one point, not a range
BAND_LOWER_EDGES = np.array([0, 1, 2, 3, 4, HOUSE_VALUE_CAP])
BAND_UPPER_EDGES = np.array([1, 2, 3, 4, 5, HOUSE_VALUE_CAP])


def band_numbers(y_true: np.ndarray) -> np.ndarray:
    """(n,) numbers from 0 to 5: the price band, as `evaluate.price_band` names them."""
    return np.searchsorted(BAND_UPPER_EDGES[:-1], y_true)


def interval_bounds(
    y_pred: np.ndarray, scales: np.ndarray, lower_quantiles: np.ndarray, upper_quantiles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The hull of the guess and, band by band, the values in it whose score is no miss: (n,) twice.

    guess, scale: (n,) in $100,000; lows, highs: (6,), as `quantiles` gives them.
    """
    low = np.maximum(y_pred[:, None] + scales[:, None] * lower_quantiles, BAND_LOWER_EDGES)
    high = np.minimum(y_pred[:, None] + scales[:, None] * upper_quantiles, BAND_UPPER_EDGES)
    possible = low <= high  # in the other bands no value fits
    middle = np.clip(y_pred, 0, HOUSE_VALUE_CAP)
    lowest = np.where(possible, low, HOUSE_VALUE_CAP).min(axis=1)
    highest = np.where(possible, high, 0).max(axis=1)
    return np.minimum(lowest, middle), np.maximum(highest, middle)
