"""Find the nearest training rows of a block group, the same way in training and in the service.

Needs numpy and pykdtree only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from pykdtree.kdtree import KDTree

ROWS_PER_CHUNK = 2_048  # rows computed at once: their columns stay in the processor's cache


class DistanceSpace(NamedTuple):
    """A measure of how near two rows are: some columns, each in a unit of its own."""

    columns: list[int]
    scales: Sequence[float] | np.ndarray  # each column is multiplied by its own


class Neighbors(NamedTuple):
    """The nearest points of some rows."""

    distances: np.ndarray  # (n, k) float64, ascending
    indices: np.ndarray  # (n, k) int64, numbers of points


def project(rows: np.ndarray, space: DistanceSpace) -> np.ndarray:
    """Return the (n, d) coordinates of (n, m) rows in a space."""
    return rows.take(space.columns, 1) * space.scales


class NeighborIndex:
    """Finds the nearest of (N, d) points."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = points
        self._tree = KDTree(points)

    def query(self, query_points: np.ndarray, n_neighbors: int) -> Neighbors:
        """Return the nearest points of (n, d) query_points.

        n_neighbors may not be larger than the number of points.
        """
        distances, indices = self._tree.query(query_points, k=n_neighbors)
        shape = len(query_points), n_neighbors  # pykdtree drops the second axis for one neighbor
        return Neighbors(distances.reshape(shape), indices.reshape(shape).astype(np.int64))

    def query_excluding_duplicates(self, n_neighbors: int, duplicate_ids: np.ndarray) -> Neighbors:
        """Return the nearest points of the points themselves, each without itself and its copies.

        duplicate_ids: (N,) rows with the same number are copies of one row, and none may give
        another its house value. n_neighbors may not be larger than the number of rows that are no
        copies of a row.
        """
        n_copies = np.bincount(duplicate_ids)[duplicate_ids]  # itself included
        distances = np.empty((len(duplicate_ids), n_neighbors))
        indices = np.empty((len(duplicate_ids), n_neighbors), np.int64)
        for count in np.unique(n_copies):
            rows = np.flatnonzero(n_copies == count)
            # so many more are needed, as so many of the nearest may have to be left out
            n_candidates = min(n_neighbors + count, len(duplicate_ids))
            candidates = self.query(self.points[rows], n_candidates)
            for chunk in _chunk_slices(len(rows)):
                candidate_ids = duplicate_ids[candidates.indices[chunk]]
                is_copy = candidate_ids == duplicate_ids[rows[chunk], None]
                nearest = np.argsort(is_copy, axis=1, kind="stable")[:, :n_neighbors]
                distances[rows[chunk]] = np.take_along_axis(candidates.distances[chunk], nearest, 1)
                indices[rows[chunk]] = np.take_along_axis(candidates.indices[chunk], nearest, 1)
        return Neighbors(distances, indices)


def _chunk_slices(n_rows: int, chunk_rows: int = 65_536) -> Iterator[slice]:
    return (slice(start, start + chunk_rows) for start in range(0, n_rows, chunk_rows))
