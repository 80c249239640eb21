"""The columns that models see beside the eight features, derived from location and neighbors.

scikit-learn transformers. A row's neighbors are among the rows a transformer was fitted on, so in
cross-validation they come from the training folds alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from housing.geography import JOB_CENTERS, LONGITUDE_SCALE
from housing.inference.neighbors import (
    ROWS_PER_CHUNK,
    DistanceSpace,
    NeighborIndex,
    Neighbors,
    project,
)
from housing.schema import COORDINATE_INDICES, FEATURE_NAMES

INCOME_INDEX, ROOMS_INDEX, BEDROOMS_INDEX, POPULATION_INDEX, OCCUPANCY_INDEX = (
    FEATURE_NAMES.index(name)
    for name in ("MedInc", "AveRooms", "AveBedrms", "Population", "AveOccup")
)
LATITUDE_INDEX, LONGITUDE_INDEX = COORDINATE_INDICES

# trees split along axes; the coast and the valleys of California run diagonally
ROTATION_ANGLES_RADIANS = np.deg2rad([15, 30, 45, 60, 75])
ROTATED_AXES = np.array(
    [
        [*np.cos(ROTATION_ANGLES_RADIANS), *-np.sin(ROTATION_ANGLES_RADIANS)],
        [*np.sin(ROTATION_ANGLES_RADIANS), *np.cos(ROTATION_ANGLES_RADIANS)],
    ]
)
N_RATIOS = 3
# columns that LocationFeatures returns
N_LOCATION_FEATURES = len(FEATURE_NAMES) + ROTATED_AXES.shape[1] + N_RATIOS + len(JOB_CENTERS)

# scales: how much a feature differs where locations differ as much as over one degree
NEIGHBOR_SPACES = [
    DistanceSpace([LATITUDE_INDEX, LONGITUDE_INDEX], [1, 1]),
    DistanceSpace(
        [
            LATITUDE_INDEX,
            LONGITUDE_INDEX,
            INCOME_INDEX,
            FEATURE_NAMES.index("HouseAge"),
            ROOMS_INDEX,
            OCCUPANCY_INDEX,
        ],
        [1, 1, 0.04, 0.004, 0.03, 0.06],
    ),
]
NEIGHBOR_COUNTS = [1, 3, 5, 10]  # how many of the nearest rows are averaged
MIN_DENOMINATOR = 0.001  # rooms or people: keeps a household of none out of the denominators
DISTANCE_OFFSET_DEGREES = 0.001  # added to distances before they are inverted: about 100 m


class LocationFeatures(TransformerMixin, BaseEstimator):
    """Adds to the eight features of a block group what follows from them alone.

    The position along the axes rotated by `ROTATION_ANGLES_RADIANS`, rooms per bedroom, households,
    income per room, and the distance in degrees of latitude to each of `JOB_CENTERS`. (n, 8) in the
    order of `schema.FEATURE_NAMES` becomes (n, 29).
    """

    def fit(self, X: ArrayLike, y: object = None) -> LocationFeatures:
        """Check the number of columns; there is nothing to learn.

        Raises ValueError for another number of columns than eight.
        """
        rows = validate_data(self, X, dtype=float)
        if rows.shape[1] != len(FEATURE_NAMES):
            raise ValueError(
                f"X has {rows.shape[1]} features, but LocationFeatures is expecting "
                f"{len(FEATURE_NAMES)} features as input: {', '.join(FEATURE_NAMES)}"
            )
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return (n, 29) columns for (n, 8) rows."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=float, reset=False)
        latitude, longitude = rows[:, [LATITUDE_INDEX]], rows[:, [LONGITUDE_INDEX]]
        centers = np.array(list(JOB_CENTERS.values()))
        rotated = latitude * ROTATED_AXES[0] + longitude * ROTATED_AXES[1]
        north = latitude - centers[:, 0]
        east = (longitude - centers[:, 1]) * LONGITUDE_SCALE
        ratios = [
            rows[:, ROOMS_INDEX] / np.maximum(rows[:, BEDROOMS_INDEX], MIN_DENOMINATOR),
            rows[:, POPULATION_INDEX] / np.maximum(rows[:, OCCUPANCY_INDEX], MIN_DENOMINATOR),
            rows[:, INCOME_INDEX] / np.maximum(rows[:, ROOMS_INDEX], MIN_DENOMINATOR),
        ]
        distances = np.sqrt(north * north + east * east)
        return np.hstack([rows, rotated, np.stack(ratios, 1), distances])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")


class NeighborFeatures(TransformerMixin, BaseEstimator):
    """Adds what the nearest training rows cost, how far away they are, and how they differ.

    For each of S spaces and each of K numbers k in `neighbor_counts`: the mean house value of the k
    nearest rows, then the same weighted by 1 / distance; then for each space, over the largest k:
    the standard deviation of the values, the distance to the first and to the last row, and the
    row's first column minus the neighbors' mean of it. (n, m) becomes (n, m + S * (2 K + 4)).

    `fit(X, y).transform(X)` differs from `fit_transform(X, y)`: like scikit-learn's TargetEncoder,
    the columns a model is trained on leave out a row's own value and that of its copies.

    spaces: None for one space of all columns, as they are. neighbor_counts: ascending.
    """

    def __init__(
        self,
        spaces: list[DistanceSpace] | None = None,
        neighbor_counts: tuple[int, ...] = tuple(NEIGHBOR_COUNTS),
    ) -> None:
        self.spaces = spaces
        self.neighbor_counts = neighbor_counts

    def fit(self, X: ArrayLike, y: ArrayLike) -> NeighborFeatures:
        """Keep the rows and their values. Raises ValueError for fewer than two different rows."""
        rows, targets = validate_data(self, X, y, dtype=float, y_numeric=True)
        n_rows, n_columns = rows.shape
        spaces = self.spaces or [DistanceSpace(list(range(n_columns)), [1.0] * n_columns)]
        self.spaces_ = [DistanceSpace(*space) for space in spaces]
        self.duplicate_ids_ = np.unique(rows, axis=0, return_inverse=True)[1].ravel()
        n_candidates = n_rows - int(np.bincount(self.duplicate_ids_).max())
        if n_candidates < 1:
            raise ValueError(
                f"{n_rows} row(s), all the same (n_samples={n_rows}): expected two that differ"
            )
        self.neighbor_counts_ = [min(count, n_candidates) for count in self.neighbor_counts]
        self.points_ = [project(rows, space) for space in self.spaces_]
        self.first_column_, self.targets_ = rows[:, 0].copy(), targets.astype(float)
        self._indexes = [NeighborIndex(points) for points in self.points_]
        return self

    def fit_transform(self, X: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Fit, and return (n, m) rows with columns added that ignore the row and its copies."""
        self.fit(X, y)
        n_neighbors = self.neighbor_counts_[-1]
        neighbors = [
            index.query_excluding_duplicates(n_neighbors, self.duplicate_ids_)
            for index in self._indexes
        ]
        return self._transform_in_chunks(np.asarray(X, float), neighbors)

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return (n, m) rows with columns added, computed from the rows fitted on."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=float, reset=False)
        neighbors = [
            index.query(project(rows, space), self.neighbor_counts_[-1])
            for index, space in zip(self._indexes, self.spaces_, strict=True)
        ]
        return self._transform_in_chunks(rows, neighbors)

    def _transform_in_chunks(self, X: np.ndarray, neighbors: list[Neighbors]) -> np.ndarray:
        """Add the columns in chunks of rows, which stay in the processor's cache.

        neighbors: one for each space.
        """
        chunks = []
        for start in range(0, len(X), ROWS_PER_CHUNK):
            chunk = slice(start, start + ROWS_PER_CHUNK)
            distances = np.stack([in_space.distances[chunk] for in_space in neighbors], 1)
            indices = np.stack([in_space.indices[chunk] for in_space in neighbors], 1)
            chunks.append(self._transform_chunk(X[chunk], distances, indices))
        return np.concatenate(chunks)

    def _transform_chunk(
        self, X: np.ndarray, distances: np.ndarray, indices: np.ndarray
    ) -> np.ndarray:
        """Add the columns to (n, m) rows. distances, indices: (n, S, k).

        Sums are running sums, not numpy's `mean`, because the served graph adds in that order.
        """
        targets, weights = self.targets_[indices], 1 / (distances + DISTANCE_OFFSET_DEGREES)
        last_positions = [count - 1 for count in self.neighbor_counts_]
        n_neighbors = indices.shape[2]
        sums = np.cumsum(targets, 2)[:, :, last_positions]
        weighted_sums = np.cumsum(weights * targets, 2)[:, :, last_positions]
        weighted_means = weighted_sums / np.cumsum(weights, 2)[:, :, last_positions]
        means = sums / np.array(self.neighbor_counts_, float)
        mean_squares = np.cumsum(targets * targets, 2)[:, :, -1] / n_neighbors
        variances = mean_squares - means[:, :, -1] * means[:, :, -1]
        first_column_means = np.cumsum(self.first_column_[indices], 2)[:, :, -1] / n_neighbors
        blocks = [
            means,
            weighted_means,
            np.sqrt(np.maximum(variances, 0)),
            distances[:, :, 0],
            distances[:, :, -1],
            X[:, :1] - first_column_means,
        ]
        return np.hstack([X, *(block.reshape(len(X), -1) for block in blocks)])

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the search trees, which take milliseconds to build again."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_indexes"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "points_" in state:
            self._indexes = [NeighborIndex(points) for points in self.points_]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def nearest_distance_column(spaces: list[DistanceSpace], n_columns: int) -> int:
    """Return the number of the column with the distance to the nearest training row.

    spaces: those of a `NeighborFeatures` with the default neighbor_counts. n_columns: of its
    input. The distance is that in the first space: for `NEIGHBOR_SPACES`, in degrees on the map.
    """
    return n_columns + len(spaces) * (2 * len(NEIGHBOR_COUNTS) + 1)
