"""Tests of a mean by betting, on values from 0 to 1 that are kept as histograms.

The wealth of a gambler who bets that values are larger than a limit: with each value x it is
multiplied by 1 + stake * (x - limit). If the mean of x, whatever came before, is at most the limit,
the wealth does not grow on average, however long one plays: it is an e-process, and reaches 1 / a
with a probability of at most a (Ville's inequality). No distribution is assumed, and no number of
rows has to be fixed before one looks.

Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting (2024,
arXiv 2010.09686).
"""

from __future__ import annotations

import numpy as np

# Shares of the largest stake that no value can ruin. The wealth is averaged over them, as the best
# one depends on how large a change is; each halving suits a change half as large.
STAKE_SHARES = 0.9 * 0.5 ** np.arange(14)


def log_growth(values: np.ndarray, limit: float) -> np.ndarray:
    """Return the logarithm of what a value multiplies the wealth by, for each stake.

    values: (n_values,), each from 0 to 1. limit: the largest mean that is normal. If it is 0, no
    bet is made: a single value above it would be infinite evidence. Returns (n_stakes, n_values).
    """
    if limit <= 0:
        return np.zeros((len(STAKE_SHARES), len(values)))
    return np.log1p(np.outer(STAKE_SHARES, np.asarray(values, float) / limit - 1))


def log_mean_exp(logarithms: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return the logarithm of the mean of numbers that are given by their logarithms."""
    largest = np.max(logarithms, axis=axis, keepdims=True)
    mean = np.mean(np.exp(logarithms - largest), axis=axis)
    return np.log(mean) + np.squeeze(largest, axis=axis)


def log_wealth(counts: np.ndarray, values: np.ndarray, limit: float) -> float:
    """Return the logarithm of the wealth after all rows of a histogram.

    counts: (n_values,), the rows of each value. values, limit: as in `log_growth`.
    """
    return float(log_mean_exp(log_growth(values, limit) @ np.asarray(counts, float)))
