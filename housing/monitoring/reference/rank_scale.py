"""Ranks: the share of held-out rows whose value is smaller, from 0 to 1.

A value that many rows have gets the middle of the ranks it takes up (the mid-distribution function
of Parzen, 1997), so that the mean rank of the held-out rows is one half, however many are equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

N_BINS = 100  # between the edges, as many rows in each as their ties allow


@dataclass(frozen=True, eq=False)
class RankScale:
    """The ranks of a quantity's values: exact at the edges, and linear between them."""

    edges: np.ndarray  # (m,) values, ascending, m <= 2 * N_BINS + 1
    below: np.ndarray  # (m,) the rank just below each edge
    above: np.ndarray  # (m,) the rank just above it; at the edge itself, the mean of both

    def ranks(self, values: np.ndarray) -> np.ndarray:
        """Return the (n,) ranks of some values, from 0 to 1; NaN for NaN."""
        values = np.asarray(values, float)
        left = np.clip(np.searchsorted(self.edges, values, side="right") - 1, 0, None)
        right = np.minimum(left + 1, len(self.edges) - 1)
        widths = np.where(right > left, self.edges[right] - self.edges[left], 1.0)
        shares = np.clip((values - self.edges[left]) / widths, 0, 1)
        ranks = self.above[left] + shares * (self.below[right] - self.above[left])
        ranks = np.where(
            values == self.edges[left], (self.below[left] + self.above[left]) / 2, ranks
        )
        ranks = np.where(values < self.edges[0], 0.0, ranks)
        return np.where(np.isnan(values), np.nan, np.where(values > self.edges[-1], 1.0, ranks))

    def values(self, ranks: np.ndarray) -> np.ndarray:
        """Return the (n,) values at some ranks, the quantiles of the held-out rows."""
        edge_ranks = np.stack([self.below, self.above], axis=1).ravel()
        return np.interp(ranks, edge_ranks, np.repeat(self.edges, 2))


def fit_rank_scale(values: np.ndarray) -> RankScale:
    """Return the scale on which the mean rank of these values is 0.5; NaN does not count.

    values: (n,), finite or NaN. Raises ValueError if there is none.
    """
    values = np.sort(np.asarray(values, float))
    values = values[~np.isnan(values)]
    if not len(values):
        raise ValueError("there is no value to make a scale of ranks from")
    quantiles = np.quantile(values, np.linspace(0, 1, N_BINS + 1), method="inverted_cdf")
    edges = np.unique(quantiles)
    below = np.searchsorted(values, edges, side="left") / len(values)
    above = np.searchsorted(values, edges, side="right") / len(values)
    knots = list(zip(edges, below, above, strict=True))
    median_knots = []
    for left, right in pairwise(knots):
        inside = values[round(left[2] * len(values)) : round(right[1] * len(values))]
        if len(inside):
            median_knots.append(_median_knot(inside, left, right))
    return RankScale(*np.array(sorted(knots + median_knots)).T)


def _median_knot(
    inside: np.ndarray, left: tuple[float, ...], right: tuple[float, ...]
) -> tuple[float, float, float]:
    """Return an edge at the median of the values between two edges.

    Its rank is such that the mean rank of these values is the middle of their ranks. There always
    is one: at the lowest rank the mean is at most the middle, at the highest at least.
    """
    (start, _, lowest), (end, highest, _) = left, right
    median = float(np.median(inside))
    # the share by which the rank at the median counts for each value
    weights = np.where(
        inside <= median, (inside - start) / (median - start), (end - inside) / (end - median)
    )
    fixed = np.where(inside <= median, lowest, highest) * (1 - weights)
    rank = (len(inside) * (lowest + highest) / 2 - fixed.sum()) / weights.sum()
    return median, rank, rank
