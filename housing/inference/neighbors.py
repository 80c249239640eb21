"""The nearest training rows of a block group, found the same way in training and in the service.

Needs numpy and pykdtree only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from pykdtree.kdtree import KDTree

ROWS_PER_CHUNK = 2_048  # rows computed at once: their columns stay in the processor's cache


class DistanceSpace(NamedTuple):
    """A way to say how near two rows are: some columns, each in a unit of its own."""

    columns: list[int]  # places in the row
    scales: Sequence[float]  # a column's value is multiplied by it before distances are taken


def project(rows: np.ndarray, space: DistanceSpace) -> np.ndarray:
    """(n, d) where (n, m) rows stand in a space."""
    return rows.take(space.columns, 1) * space.scales


class NeighborIndex:
    """Finds the nearest of (N, d) points."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = points
        self._tree = KDTree(points)

    def query(self, query_points: np.ndarray, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
        """Distances (n, count) float64, ascending, and which points (n, count) int64.

        at: (n, d). count may not be larger than the number of points.
        """
        distance, which = self._tree.query(query_points, k=n_neighbors)
        shape = len(query_points), n_neighbors  # pykdtree drops the second axis for one neighbour
        return distance.reshape(shape), which.reshape(shape).astype(np.int64)

    def query_excluding_duplicates(
        self, n_neighbors: int, duplicate_ids: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same for the points themselves, each without itself and its twins.

        twins: (N,) rows with the same number are copies of one row, and none may tell another its
        house value. count may not be larger than the number of rows that are no twins of a row.
        """
        own = np.bincount(duplicate_ids)[
            duplicate_ids
        ]  # how many of the nearest may have to be left out
        distance = np.empty((len(duplicate_ids), n_neighbors))
        which = np.empty((len(duplicate_ids), n_neighbors), np.int64)
        for many in np.unique(own):
            rows = np.flatnonzero(own == many)
            found, at = self.query(self.points[rows], min(n_neighbors + many, len(duplicate_ids)))
            for some in _chunk_slices(len(rows)):
                kept = duplicate_ids[at[some]] != duplicate_ids[rows[some], None]
                first = np.argsort(~kept, axis=1, kind="stable")[:, :n_neighbors]
                distance[rows[some]] = np.take_along_axis(found[some], first, 1)
                which[rows[some]] = np.take_along_axis(at[some], first, 1)
        return distance, which


def _chunk_slices(n_rows: int, chunk_rows: int = 65_536) -> Iterator[slice]:
    return (slice(start, start + chunk_rows) for start in range(0, n_rows, chunk_rows))
