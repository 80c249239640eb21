"""Means of small groups, drawn towards the mean of all: a group of five rows says little.

The random-effects model of DerSimonian and Laird (1986), and its empirical Bayes estimates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class ShrunkMeans(NamedTuple):
    """The estimate of each group's mean, and its standard error; (n_groups,) each."""

    means: np.ndarray
    standard_errors: np.ndarray


def shrink_means(counts: np.ndarray, means: np.ndarray, variance: float) -> ShrunkMeans:
    """Return an estimate of each group's true mean from its own rows and from all others.

    counts, means: (n_groups,), of the rows of each group. variance: of the rows within a group,
    above 0. A group without rows gets the mean of all; without any rows at all, each gets NaN.
    Raises ValueError for a variance that is not above 0.
    """
    if not variance > 0:
        raise ValueError(f"variance is {variance!r}, expected a number above 0")
    precisions = np.asarray(counts, float) / variance  # of the groups' means
    has_rows = precisions > 0
    if not has_rows.any():
        return ShrunkMeans(np.full(len(counts), np.nan), np.full(len(counts), np.nan))
    own_means = np.where(has_rows, means, 0.0)
    between = _variance_between(precisions[has_rows], own_means[has_rows])
    # how much of a group's own mean counts: 0 without rows, 1 with very many
    reliability = between * precisions / (between * precisions + 1)
    weights = precisions / (between * precisions + 1)
    overall = np.average(own_means, weights=weights)
    shrunk_means = reliability * own_means + (1 - reliability) * overall
    variances = (1 - reliability) * between + (1 - reliability) ** 2 / weights.sum()
    return ShrunkMeans(shrunk_means, np.sqrt(variances))


def _variance_between(precisions: np.ndarray, means: np.ndarray) -> float:
    """Return the variance of the groups' true means: what their rows alone do not explain."""
    spread = precisions @ (means - np.average(means, weights=precisions)) ** 2
    scale = precisions.sum() - (precisions**2).sum() / precisions.sum()
    return float(max(0.0, (spread - (len(means) - 1)) / scale)) if scale > 0 else 0.0
