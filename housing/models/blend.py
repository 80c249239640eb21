"""One model for places among known ones and for places without data nearby."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

MIN_DISTANCE_DEGREES = 1e-9  # degrees; keeps a distance of 0 out of the denominator


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
        near_models: list[BaseEstimator],
        far_models: list[BaseEstimator],
        near_weights: list[float],
        far_weights: list[float],
        n_far_columns: int,
        distance_column: int,
        crossover_distance: float,
    ) -> None:
        self.near_models = near_models
        self.far_models = far_models
        self.near_weights = near_weights
        self.far_weights = far_weights
        self.n_far_columns = n_far_columns
        self.distance_column = distance_column
        self.crossover_distance = crossover_distance

    def fit(self, X: ArrayLike, y: ArrayLike) -> Blend:
        """X: (n, m) with neighbours' columns that leave own values out; y: (n,)."""
        X, y = validate_data(self, X, y, dtype=float, y_numeric=True)
        self.models_ = [clone(one).fit(X, y) for one in self.near_models]
        self.models_ += [clone(one).fit(X[:, : self.n_far_columns], y) for one in self.far_models]
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """(n,) for (n, m)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=float, reset=False)
        guesses = self.predict_members(X)
        far = self.far_share(X)
        return (1 - far) * weighted_sum(guesses, self.near_weights) + far * weighted_sum(
            guesses, self.far_weights
        )

    def predict_members(self, X: np.ndarray) -> list[np.ndarray]:
        """What each model says, (n,) each: first the wide ones, then the narrow ones."""
        few = X[:, : self.n_far_columns]
        wide = len(self.near_models)
        return [one.predict(X if at < wide else few) for at, one in enumerate(self.models_)]

    def far_share(self, X: np.ndarray) -> np.ndarray:
        """(n,) from 0 to 1: how far a row is from all training rows."""
        ratio = self.crossover_distance / np.maximum(
            X[:, self.distance_column], MIN_DISTANCE_DEGREES
        )
        return 1 / (1 + ratio * ratio * ratio)


def weighted_sum(predictions: list[np.ndarray], weights: list[float]) -> np.ndarray:
    """(n,) sum of guesses times weights, in order; those of weight 0 are left out."""
    used = [one * share for one, share in zip(predictions, weights, strict=True) if share]
    total = used[0]
    for one in used[1:]:
        total = total + one
    return total
