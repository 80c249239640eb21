"""A small neural network that trains in seconds and is served in double precision."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.utils.validation import check_is_fitted, validate_data

MAX_TRAINING_STEPS = 20_000  # with more rows than fit in them, each row is seen less often
CLIP_QUANTILES = [0.005, 0.995]


class ClippedMLPRegressor(RegressorMixin, BaseEstimator):
    """Layers of rectified units on standardized columns, by scikit-learn's MLPRegressor (Adam).

    Columns are clipped at their 0.5th and 99.5th percentiles: a prison with 1,000 people per
    household must not decide what the network predicts. It trains in single precision, twice as
    fast, and predicts in double. Where trees stay flat beyond the last value they saw, it follows
    the trend, so it is better far from all training rows.

    hidden_layer_sizes: units in each hidden layer. epochs: how often each row is seen, as far as
    `MAX_TRAINING_STEPS` allows. alpha: L2 penalty. batch_size: rows per step.
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
        """Fit the network on (n, m) rows and (n,) values; fold all scaling into its weights."""
        rows, targets = validate_data(self, X, y, dtype=float, y_numeric=True)
        self.clip_min_, self.clip_max_ = np.quantile(rows, CLIP_QUANTILES, axis=0)
        clipped = np.clip(rows, self.clip_min_, self.clip_max_)
        mean, scale = clipped.mean(0), clipped.std(0)
        scale[scale < 1e-12 * np.maximum(1, abs(mean))] = 1
        target_mean, target_scale = targets.mean(), targets.std() or 1.0
        network = self._fit_network(
            ((clipped - mean) / scale).astype(np.float32),
            ((targets - target_mean) / target_scale).astype(np.float32),
        )
        self.weights_ = [weights.astype(float) for weights in network.coefs_]
        self.biases_ = [biases.astype(float) for biases in network.intercepts_]
        self.weights_[0] /= scale[:, None]
        self.biases_[0] -= mean @ self.weights_[0]
        self.weights_[-1] *= target_scale
        self.biases_[-1] = self.biases_[-1] * target_scale + target_mean
        return self

    def _fit_network(self, rows: np.ndarray, targets: np.ndarray) -> MLPRegressor:
        """Return scikit-learn's network, trained on standardized float32 rows and values."""
        batch_size = min(self.batch_size, len(rows))
        epochs = min(self.epochs, max(1, MAX_TRAINING_STEPS * batch_size // len(rows)))
        network = MLPRegressor(
            hidden_layer_sizes=self.hidden_layer_sizes,
            alpha=self.alpha,
            batch_size=batch_size,
            max_iter=epochs,
            n_iter_no_change=epochs + 1,
            random_state=self.random_state,
        )
        with warnings.catch_warnings():  # the number of epochs is chosen: convergence is no aim
            warnings.simplefilter("ignore", ConvergenceWarning)
            return network.fit(rows, targets)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return (n,) predictions for (n, m) rows."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=float, reset=False)
        activations = np.clip(rows, self.clip_min_, self.clip_max_)
        *hidden_layers, (last_weights, last_biases) = zip(self.weights_, self.biases_, strict=True)
        for weights, biases in hidden_layers:
            activations = np.maximum(activations @ weights + biases, 0)
        return (activations @ last_weights + last_biases).ravel()
