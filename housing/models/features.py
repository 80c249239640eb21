"""What a model is told of a block group: its place seen from several sides, and its neighbours.

scikit-learn transformers. Neighbours are those of the rows a transformer was fitted on, so in
cross-validation they come from the training folds alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from housing.inference.neighbors import PART, Index, Space, place
from housing.schema import NAMES

INCOME, ROOMS, BEDROOMS, PEOPLE, OCCUPANCY = (
    NAMES.index(one) for one in ("MedInc", "AveRooms", "AveBedrms", "Population", "AveOccup")
)
LATITUDE, LONGITUDE = NAMES.index("Latitude"), NAMES.index("Longitude")

# trees cut along axes; the coast and the valleys of California run aslant
ANGLES = np.deg2rad([15, 30, 45, 60, 75])
AXES = np.array([[*np.cos(ANGLES), *-np.sin(ANGLES)], [*np.sin(ANGLES), *np.cos(ANGLES)]])
# where the work is; degrees north and east, as any atlas has them
CITIES = {
    "San Francisco": (37.78, -122.42),
    "Los Angeles": (34.05, -118.25),
    "San Diego": (32.72, -117.16),
    "San Jose": (37.34, -121.89),
    "Sacramento": (38.58, -121.49),
    "Fresno": (36.75, -119.77),
    "Beverly Hills": (34.07, -118.40),
    "Palo Alto": (37.44, -122.16),
}
PLACES = len(NAMES) + AXES.shape[1] + 3 + len(CITIES)  # columns that `Places` gives
SHRINK = 0.8  # a degree of longitude is about 0.8 degrees of latitude long in California

# scales: how much a feature differs where places differ as much as over one degree
SPACES = [
    Space([LATITUDE, LONGITUDE], [1, 1]),
    Space(
        [LATITUDE, LONGITUDE, INCOME, NAMES.index("HouseAge"), ROOMS, OCCUPANCY],
        [1, 1, 0.04, 0.004, 0.03, 0.06],
    ),
]
NEAREST = [1, 3, 5, 10]  # how many of the nearest rows are looked at together
LEAST = 0.001  # rooms or people: keeps a household of none out of the denominators
NEAR = 0.001  # degrees added to distances before they are inverted: about 100 m


class Places(TransformerMixin, BaseEstimator):
    """Adds to the eight features of a block group what follows from them alone.

    Where it is along the axes turned by `ANGLES`, rooms per bedroom, households, income per
    room, and the distance in degrees of latitude to each of `CITIES`. (n, 8) in the order of
    `schema.NAMES` becomes (n, 29). Raises ValueError for another number of columns.
    """

    def fit(self, X: ArrayLike, y: object = None) -> Places:
        """Learns nothing."""
        X = validate_data(self, X, dtype=float)
        if X.shape[1] != len(NAMES):
            raise ValueError(
                f"X has {X.shape[1]} features, but Places is expecting {len(NAMES)}: "
                f"{', '.join(NAMES)}"
            )
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """(n, 8) -> (n, 29)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=float, reset=False)
        north, east = X[:, [LATITUDE]], X[:, [LONGITUDE]]
        cities = np.array(list(CITIES.values()))
        turned = north * AXES[0] + east * AXES[1]
        up, aside = north - cities[:, 0], (east - cities[:, 1]) * SHRINK
        ratios = [
            X[:, ROOMS] / np.maximum(X[:, BEDROOMS], LEAST),
            X[:, PEOPLE] / np.maximum(X[:, OCCUPANCY], LEAST),
            X[:, INCOME] / np.maximum(X[:, ROOMS], LEAST),
        ]
        distance = np.sqrt(up * up + aside * aside)
        return np.hstack([X, turned, np.stack(ratios, 1), distance])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")


class Neighbours(TransformerMixin, BaseEstimator):
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
        self, spaces: list[Space] | None = None, nearest: tuple[int, ...] = tuple(NEAREST)
    ) -> None:
        self.spaces = spaces
        self.nearest = nearest

    def fit(self, X: ArrayLike, y: ArrayLike) -> Neighbours:
        """Keeps the rows and their values. Raises ValueError for less than two different rows."""
        X, y = validate_data(self, X, y, dtype=float, y_numeric=True)
        spaces = self.spaces or [Space(list(range(X.shape[1])), [1.0] * X.shape[1])]
        self.spaces_ = [Space(*one) for one in spaces]
        self.twins_ = np.unique(X, axis=0, return_inverse=True)[1].ravel()
        others = len(X) - int(np.bincount(self.twins_).max())
        if others < 1:
            raise ValueError(
                f"{len(X)} row(s), all the same (n_samples={len(X)}): expected two that differ"
            )
        self.nearest_ = [min(one, others) for one in self.nearest]
        self.points_ = [place(X, one) for one in self.spaces_]
        self.first_, self.values_ = X[:, 0].copy(), y.astype(float)
        self._indexes = [Index(one) for one in self.points_]
        return self

    def fit_transform(self, X: ArrayLike, y: ArrayLike) -> np.ndarray:
        """(n, m) with columns added; of each row's neighbours none is the row or a copy of it."""
        self.fit(X, y)
        count = self.nearest_[-1]
        found = [one.nearest_others(count, self.twins_) for one in self._indexes]
        return self._columns(np.asarray(X, float), found)

    def transform(self, X: ArrayLike) -> np.ndarray:
        """(n, m) with columns added, from the rows fitted on."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=float, reset=False)
        found = [
            index.nearest(place(X, space), self.nearest_[-1])
            for index, space in zip(self._indexes, self.spaces_, strict=True)
        ]
        return self._columns(X, found)

    def _columns(self, X: np.ndarray, found: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """In parts, which stay in the processor's cache."""
        parts = []
        for at in range(0, len(X), PART):
            some = slice(at, at + PART)
            distance = np.stack([one[some] for one, _ in found], 1)
            which = np.stack([one[some] for _, one in found], 1)
            parts.append(self._part(X[some], distance, which))
        return np.concatenate(parts)

    def _part(self, X: np.ndarray, distance: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Running sums, not `mean`, as the served graph adds. distance, which: (n, S, k)."""
        values, weights = self.values_[which], 1 / (distance + NEAR)
        at, last = [one - 1 for one in self.nearest_], which.shape[2]
        total = np.cumsum(values, 2)[:, :, at]
        weighted = np.cumsum(weights * values, 2)[:, :, at] / np.cumsum(weights, 2)[:, :, at]
        means = total / np.array(self.nearest_, float)
        squares = np.cumsum(values * values, 2)[:, :, -1] / last
        spread = np.sqrt(np.maximum(squares - means[:, :, -1] * means[:, :, -1], 0))
        theirs = np.cumsum(self.first_[which], 2)[:, :, -1] / last
        blocks = [means, weighted, spread, distance[:, :, 0], distance[:, :, -1], X[:, :1] - theirs]
        return np.hstack([X, *(one.reshape(len(X), -1) for one in blocks)])

    def __getstate__(self) -> dict:
        """Without the search trees, which take milliseconds to build again."""
        state = super().__getstate__()
        return {name: one for name, one in state.items() if name != "_indexes"}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        if "points_" in state:
            self._indexes = [Index(one) for one in self.points_]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def distance_column(spaces: list[Space], columns: int) -> int:
    """Where, after `columns` of its own, `Neighbours` has the distance to the nearest in a space.

    That of the first space: for `SPACES`, degrees to the nearest training row on the map.
    """
    return columns + len(spaces) * (2 * len(NEAREST) + 1)
