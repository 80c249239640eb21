"""The nearest training rows of a block group, found the same way in training and in the service.

Needs numpy and pykdtree only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from pykdtree.kdtree import KDTree

PART = 2_048  # rows computed at once: their columns stay in the processor's cache


class Space(NamedTuple):
    """A way to say how near two rows are: some columns, each in a unit of its own."""

    columns: list[int]  # places in the row
    scales: Sequence[float]  # a column's value is multiplied by it before distances are taken


def place(rows: np.ndarray, space: Space) -> np.ndarray:
    """(n, d) where (n, m) rows stand in a space."""
    return rows.take(space.columns, 1) * space.scales


class Index:
    """Finds the nearest of (N, d) points."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = points
        self._tree = KDTree(points)

    def nearest(self, at: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Distances (n, count) float64, ascending, and which points (n, count) int64.

        at: (n, d). count may not be larger than the number of points.
        """
        distance, which = self._tree.query(at, k=count)
        shape = len(at), count  # pykdtree drops the second axis for one neighbour
        return distance.reshape(shape), which.reshape(shape).astype(np.int64)

    def nearest_others(self, count: int, twins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same for the points themselves, each without itself and its twins.

        twins: (N,) rows with the same number are copies of one row, and none may tell another its
        house value. count may not be larger than the number of rows that are no twins of a row.
        """
        own = np.bincount(twins)[twins]  # how many of the nearest may have to be left out
        distance = np.empty((len(twins), count))
        which = np.empty((len(twins), count), np.int64)
        for many in np.unique(own):
            rows = np.flatnonzero(own == many)
            found, at = self.nearest(self.points[rows], min(count + many, len(twins)))
            for some in _parts(len(rows)):
                kept = twins[at[some]] != twins[rows[some], None]
                first = np.argsort(~kept, axis=1, kind="stable")[:, :count]
                distance[rows[some]] = np.take_along_axis(found[some], first, 1)
                which[rows[some]] = np.take_along_axis(at[some], first, 1)
        return distance, which


def _parts(count: int, size: int = 65_536) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))
