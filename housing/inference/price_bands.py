"""The price bands that intervals are made for, and the ends of an interval. Needs numpy alone."""

import numpy as np

from housing.schema import CAP

# the bands of `evaluate.price_band`, in $100,000: the capped values are one point, not a range
BOTTOMS = np.array([0, 1, 2, 3, 4, CAP])
TOPS = np.array([1, 2, 3, 4, 5, CAP])


def band(truth: np.ndarray) -> np.ndarray:
    """(n,) numbers from 0 to 5: the price band, as `evaluate.price_band` names them."""
    return np.searchsorted(TOPS[:-1], truth)


def ends(
    guess: np.ndarray, scale: np.ndarray, lows: np.ndarray, highs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The hull of the guess and, band by band, the values in it whose score is no miss: (n,) twice.

    guess, scale: (n,) in $100,000; lows, highs: (6,), as `quantiles` gives them.
    """
    low = np.maximum(guess[:, None] + scale[:, None] * lows, BOTTOMS)
    high = np.minimum(guess[:, None] + scale[:, None] * highs, TOPS)
    possible = low <= high  # in the other bands no value fits
    middle = np.clip(guess, 0, CAP)
    lowest = np.where(possible, low, CAP).min(axis=1)
    highest = np.where(possible, high, 0).max(axis=1)
    return np.minimum(lowest, middle), np.maximum(highest, middle)
