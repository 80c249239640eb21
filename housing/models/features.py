"""What a model is told of a block group: its place seen from several sides, and its neighbours.

scikit-learn transformers. Neighbours are those of the rows a transformer was fitted on, so in
cross-validation they come from the training folds alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from housing.geography import JOB_CENTERS, LONGITUDE_SCALE
from housing.inference.neighbors import ROWS_PER_CHUNK, DistanceSpace, NeighborIndex, project
from housing.schema import FEATURE_NAMES

INCOME_INDEX, ROOMS_INDEX, BEDROOMS_INDEX, POPULATION_INDEX, OCCUPANCY_INDEX = (
    FEATURE_NAMES.index(one)
    for one in ("MedInc", "AveRooms", "AveBedrms", "Population", "AveOccup")
)
LATITUDE_INDEX, LONGITUDE_INDEX = FEATURE_NAMES.index("Latitude"), FEATURE_NAMES.index("Longitude")

# trees cut along axes; the coast and the valleys of California run aslant
ROTATION_ANGLES_RADIANS = np.deg2rad([15, 30, 45, 60, 75])
ROTATED_AXES = np.array(
    [
        [*np.cos(ROTATION_ANGLES_RADIANS), *-np.sin(ROTATION_ANGLES_RADIANS)],
        [*np.sin(ROTATION_ANGLES_RADIANS), *np.cos(ROTATION_ANGLES_RADIANS)],
    ]
)
N_LOCATION_FEATURES = (
    len(FEATURE_NAMES) + ROTATED_AXES.shape[1] + 3 + len(JOB_CENTERS)
)  # columns that `Places` gives

# scales: how much a feature differs where places differ as much as over one degree
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
NEIGHBOR_COUNTS = [1, 3, 5, 10]  # how many of the nearest rows are looked at together
MIN_DENOMINATOR = 0.001  # rooms or people: keeps a household of none out of the denominators
DISTANCE_OFFSET_DEGREES = 0.001  # degrees added to distances before they are inverted: about 100 m


class LocationFeatures(TransformerMixin, BaseEstimator):
    """Adds to the eight features of a block group what follows from them alone.

    Where it is along the axes turned by `ANGLES`, rooms per bedroom, households, income per
    room, and the distance in degrees of latitude to each of `CITIES`. (n, 8) in the order of
    `schema.NAMES` becomes (n, 29). Raises ValueError for another number of columns.
    """

    def fit(self, X: ArrayLike, y: object = None) -> LocationFeatures:
        """Learns nothing."""
        X = validate_data(self, X, dtype=float)
        if X.shape[1] != len(FEATURE_NAMES):
            raise ValueError(
                f"X has {X.shape[1]} features, but Places is expecting {len(FEATURE_NAMES)}: "
                f"{', '.join(FEATURE_NAMES)}"
            )
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """(n, 8) -> (n, 29)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=float, reset=False)
        north, east = X[:, [LATITUDE_INDEX]], X[:, [LONGITUDE_INDEX]]
        cities = np.array(list(JOB_CENTERS.values()))
        turned = north * ROTATED_AXES[0] + east * ROTATED_AXES[1]
        up, aside = north - cities[:, 0], (east - cities[:, 1]) * LONGITUDE_SCALE
        ratios = [
            X[:, ROOMS_INDEX] / np.maximum(X[:, BEDROOMS_INDEX], MIN_DENOMINATOR),
            X[:, POPULATION_INDEX] / np.maximum(X[:, OCCUPANCY_INDEX], MIN_DENOMINATOR),
            X[:, INCOME_INDEX] / np.maximum(X[:, ROOMS_INDEX], MIN_DENOMINATOR),
        ]
        distance = np.sqrt(up * up + aside * aside)
        return np.hstack([X, turned, np.stack(ratios, 1), distance])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")


class NeighborFeatures(TransformerMixin, BaseEstimator):
    """Adds what the nearest training rows cost, how far they are, and how they differ.

    For each of S spaces and each of K numbers k in `nearest`: the mean house value of the k nearest
    rows, then the same weighted by 1 / distance; then for each space, of the most: the standard
    deviation of their values, the distance to the first and to the last, and the row's first column
    minus their mean. (n, m) becomes (n, m + S * (2 K + 4)).

    `fit(X, y).transform(X)` is not `fit_transform(X, y)`: like scikit-learn's TargetEncoder, what
    a model is to be trained on leaves a row's own value, and that of its copies, out.

    spaces: None for one space of all columns, as they are. nearest: ascending.
    """

    def __init__(
        self,
        spaces: list[DistanceSpace] | None = None,
        neighbor_counts: tuple[int, ...] = tuple(NEIGHBOR_COUNTS),
    ) -> None:
        self.spaces = spaces
        self.neighbor_counts = neighbor_counts

    def fit(self, X: ArrayLike, y: ArrayLike) -> NeighborFeatures:
        """Keeps the rows and their values. Raises ValueError for less than two different rows."""
        X, y = validate_data(self, X, y, dtype=float, y_numeric=True)
        spaces = self.spaces or [DistanceSpace(list(range(X.shape[1])), [1.0] * X.shape[1])]
        self.spaces_ = [DistanceSpace(*one) for one in spaces]
        self.duplicate_ids_ = np.unique(X, axis=0, return_inverse=True)[1].ravel()
        others = len(X) - int(np.bincount(self.duplicate_ids_).max())
        if others < 1:
            raise ValueError(
                f"{len(X)} row(s), all the same (n_samples={len(X)}): expected two that differ"
            )
        self.neighbor_counts_ = [min(one, others) for one in self.neighbor_counts]
        self.points_ = [project(X, one) for one in self.spaces_]
        self.first_column_, self.targets_ = X[:, 0].copy(), y.astype(float)
        self._indexes = [NeighborIndex(one) for one in self.points_]
        return self

    def fit_transform(self, X: ArrayLike, y: ArrayLike) -> np.ndarray:
        """(n, m) with columns added; of each row's neighbours none is the row or a copy of it."""
        self.fit(X, y)
        count = self.neighbor_counts_[-1]
        found = [
            one.query_excluding_duplicates(count, self.duplicate_ids_) for one in self._indexes
        ]
        return self._transform_in_chunks(np.asarray(X, float), found)

    def transform(self, X: ArrayLike) -> np.ndarray:
        """(n, m) with columns added, from the rows fitted on."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=float, reset=False)
        found = [
            index.query(project(X, space), self.neighbor_counts_[-1])
            for index, space in zip(self._indexes, self.spaces_, strict=True)
        ]
        return self._transform_in_chunks(X, found)

    def _transform_in_chunks(
        self, X: np.ndarray, neighbors: list[tuple[np.ndarray, np.ndarray]]
    ) -> np.ndarray:
        """In parts, which stay in the processor's cache."""
        parts = []
        for at in range(0, len(X), ROWS_PER_CHUNK):
            some = slice(at, at + ROWS_PER_CHUNK)
            distance = np.stack([one[some] for one, _ in neighbors], 1)
            which = np.stack([one[some] for _, one in neighbors], 1)
            parts.append(self._transform_chunk(X[some], distance, which))
        return np.concatenate(parts)

    def _transform_chunk(
        self, X: np.ndarray, distances: np.ndarray, indices: np.ndarray
    ) -> np.ndarray:
        """Running sums, not `mean`, as the served graph adds. distance, which: (n, S, k)."""
        values, weights = self.targets_[indices], 1 / (distances + DISTANCE_OFFSET_DEGREES)
        at, last = [one - 1 for one in self.neighbor_counts_], indices.shape[2]
        total = np.cumsum(values, 2)[:, :, at]
        weighted = np.cumsum(weights * values, 2)[:, :, at] / np.cumsum(weights, 2)[:, :, at]
        means = total / np.array(self.neighbor_counts_, float)
        squares = np.cumsum(values * values, 2)[:, :, -1] / last
        spread = np.sqrt(np.maximum(squares - means[:, :, -1] * means[:, :, -1], 0))
        theirs = np.cumsum(self.first_column_[indices], 2)[:, :, -1] / last
        blocks = [
            means,
            weighted,
            spread,
            distances[:, :, 0],
            distances[:, :, -1],
            X[:, :1] - theirs,
        ]
        return np.hstack([X, *(one.reshape(len(X), -1) for one in blocks)])

    def __getstate__(self) -> dict:
        """Without the search trees, which take milliseconds to build again."""
        state = super().__getstate__()
        return {name: one for name, one in state.items() if name != "_indexes"}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        if "points_" in state:
            self._indexes = [NeighborIndex(one) for one in self.points_]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def nearest_distance_column(spaces: list[DistanceSpace], n_columns: int) -> int:
    """Where, after `columns` of its own, `Neighbours` has the distance to the nearest in a space.

    That of the first space: for `SPACES`, degrees to the nearest training row on the map.
    """
    return n_columns + len(spaces) * (2 * len(NEIGHBOR_COUNTS) + 1)
