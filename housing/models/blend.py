"""One model for places among known ones and for places without data nearby."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

TOUCHING = 1e-9  # degrees; keeps a distance of 0 out of the denominator


class Blend(RegressorMixin, BaseEstimator):
    """The weighted mean of some models near training rows, and of others far from them.

    A model that looks at its neighbours is the best where there are some and the worst where there
    are none. So the further the nearest training row, the more the answer is that of the models
    that never saw a neighbour: their share is 1 / (1 + (reach / distance)^3).

    wide: models of all columns; narrow: models of the first `columns` only, which know no
    neighbours. near, far: (wide + narrow,) weights, first wide ones; weights for wide models are 0
    when far. distance: the column that has the distance to the nearest training row.
    """

    def __init__(
        self,
        wide: list[BaseEstimator],
        narrow: list[BaseEstimator],
        near: list[float],
        far: list[float],
        columns: int,
        distance: int,
        reach: float,
    ) -> None:
        self.wide = wide
        self.narrow = narrow
        self.near = near
        self.far = far
        self.columns = columns
        self.distance = distance
        self.reach = reach

    def fit(self, X: ArrayLike, y: ArrayLike) -> Blend:
        """X: (n, m) with neighbours' columns that leave own values out; y: (n,)."""
        X, y = validate_data(self, X, y, dtype=float, y_numeric=True)
        self.models_ = [clone(one).fit(X, y) for one in self.wide]
        self.models_ += [clone(one).fit(X[:, : self.columns], y) for one in self.narrow]
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """(n,) for (n, m)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=float, reset=False)
        guesses = self.members(X)
        far = self.share_far(X)
        return (1 - far) * weighted(guesses, self.near) + far * weighted(guesses, self.far)

    def members(self, X: np.ndarray) -> list[np.ndarray]:
        """What each model says, (n,) each: first the wide ones, then the narrow ones."""
        few = X[:, : self.columns]
        wide = len(self.wide)
        return [one.predict(X if at < wide else few) for at, one in enumerate(self.models_)]

    def share_far(self, X: np.ndarray) -> np.ndarray:
        """(n,) from 0 to 1: how far a row is from all training rows."""
        ratio = self.reach / np.maximum(X[:, self.distance], TOUCHING)
        return 1 / (1 + ratio * ratio * ratio)


def weighted(guesses: list[np.ndarray], weights: list[float]) -> np.ndarray:
    """(n,) sum of guesses times weights, in order; those of weight 0 are left out."""
    used = [one * share for one, share in zip(guesses, weights, strict=True) if share]
    total = used[0]
    for one in used[1:]:
        total = total + one
    return total
