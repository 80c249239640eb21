"""A model that is right near known block groups and stays sensible where no data is nearby."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

MIN_DISTANCE_DEGREES = 1e-9  # keeps a distance of 0 out of the denominator


class Blend(RegressorMixin, BaseEstimator):
    """The weighted mean of some models near training rows, and of others far from them.

    A model that sees a row's neighbors is the best one where there are some and the worst one where
    there are none. So the further away the nearest training row, the more the prediction is that of
    the models that never saw a neighbor: their share is
    1 / (1 + (crossover_distance / distance)^3).

    near_models: models of all columns. far_models: models of the first `n_far_columns` only, which
    hold nothing about neighbors. near_weights, far_weights: one weight for each of near_models,
    then for each of far_models; far_weights is 0 for all near_models. distance_column: the column
    with the distance to the nearest training row. crossover_distance: where both sides weigh the
    same, in that column's unit.
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
        """Fit every model.

        X: (n, m), its neighbor columns computed without each row's own value. y: (n,).
        """
        rows, targets = validate_data(self, X, y, dtype=float, y_numeric=True)
        far_rows = rows[:, : self.n_far_columns]
        self.models_ = [clone(model).fit(rows, targets) for model in self.near_models]
        self.models_ += [clone(model).fit(far_rows, targets) for model in self.far_models]
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return (n,) predictions for (n, m) rows."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=float, reset=False)
        predictions = self.predict_members(rows)
        far_share = self.far_share(rows)
        near = weighted_sum(predictions, self.near_weights)
        far = weighted_sum(predictions, self.far_weights)
        return (1 - far_share) * near + far_share * far

    def predict_members(self, X: np.ndarray) -> list[np.ndarray]:
        """Return each model's predictions, (n,) each: near_models first, then far_models."""
        far_rows = X[:, : self.n_far_columns]
        n_near = len(self.near_models)
        return [
            model.predict(X if index < n_near else far_rows)
            for index, model in enumerate(self.models_)
        ]

    def far_share(self, X: np.ndarray) -> np.ndarray:
        """Return (n,) shares from 0 to 1: how far each row is from all training rows."""
        distances = np.maximum(X[:, self.distance_column], MIN_DISTANCE_DEGREES)
        ratio = self.crossover_distance / distances
        return 1 / (1 + ratio * ratio * ratio)


def weighted_sum(predictions: list[np.ndarray], weights: list[float]) -> np.ndarray:
    """Return the (n,) sum of predictions times weights, in order, without those of weight 0."""
    terms = [
        prediction * weight
        for prediction, weight in zip(predictions, weights, strict=True)
        if weight
    ]
    return sum(terms[1:], terms[0])
