"""A small neural network that trains in seconds and is served in double precision."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.utils.validation import check_is_fitted, validate_data

MAX_TRAINING_STEPS = 20_000  # of training: with more rows than fit in them, each is seen less often


class ClippedMLPRegressor(RegressorMixin, BaseEstimator):
    """Layers of rectified units on standardised columns, by scikit-learn's MLPRegressor (Adam).

    Columns are cut at their 0.5th and 99.5th percentile: a prison with 1,000 people per household
    must not decide what the network answers. It trains in single precision, twice as fast, and
    answers in double. Where trees stay flat beyond the last value they saw, it goes on, so it is
    better far from all training rows.

    units: in each hidden layer. epochs: times each row is seen, as far as `STEPS` allows. alpha:
    L2 penalty. batch: rows a step.
    """

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (128, 64),
        epochs: int = 20,
        alpha: float = 0.1,
        batch_size: int = 256,
        random_state: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.epochs = epochs
        self.alpha = alpha
        self.batch_size = batch_size
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> ClippedMLPRegressor:
        """X: (n, m), y: (n,)."""
        X, y = validate_data(self, X, y, dtype=float, y_numeric=True)
        self.clip_min_, self.clip_max_ = np.quantile(X, [0.005, 0.995], axis=0)
        cut = np.clip(X, self.clip_min_, self.clip_max_)
        mean, scale = cut.mean(0), cut.std(0)
        scale[scale < 1e-12 * np.maximum(1, abs(mean))] = 1
        middle, spread = y.mean(), y.std() or 1.0
        batch = min(self.batch_size, len(X))
        epochs = min(self.epochs, max(1, MAX_TRAINING_STEPS * batch // len(X)))
        layers = MLPRegressor(
            hidden_layer_sizes=self.hidden_layer_sizes, alpha=self.alpha, batch_size=batch,
            max_iter=epochs, n_iter_no_change=epochs + 1, random_state=self.random_state,
        )  # fmt: skip
        with warnings.catch_warnings():  # the number of epochs is chosen, not awaited
            warnings.simplefilter("ignore", ConvergenceWarning)
            scaled = ((cut - mean) / scale).astype(np.float32)
            layers.fit(scaled, ((y - middle) / spread).astype(np.float32))
        self.weights_ = [one.astype(float) for one in layers.coefs_]
        self.biases_ = [one.astype(float) for one in layers.intercepts_]
        self.weights_[0] /= scale[:, None]
        self.biases_[0] -= mean @ self.weights_[0]
        self.weights_[-1] *= spread
        self.biases_[-1] = self.biases_[-1] * spread + middle
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """(n,) for (n, m)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=float, reset=False)
        at = np.clip(X, self.clip_min_, self.clip_max_)
        *hidden, last = zip(self.weights_, self.biases_, strict=True)
        for weight, bias in hidden:
            at = np.maximum(at @ weight + bias, 0)
        return (at @ last[0] + last[1]).ravel()
