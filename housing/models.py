"""The families of models: how each is built, and where a search looks for its settings."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import optuna
from sklearn.base import RegressorMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

# the only classes beyond skops' own list that a stored model of ours may hold
TRUSTED_TYPES = [
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
]


class Family(NamedTuple):
    """A kind of model: `build(params, seed)` makes one, `space(trial)` proposes its params."""

    title: str
    build: Callable[[dict[str, Any], int], RegressorMixin]
    space: Callable[[optuna.Trial], dict[str, Any]]
    first: dict[str, Any]  # params worth trying before any search


def linear(params: dict[str, Any], seed: int) -> Pipeline:
    """Ridge regression on the features, skewed ones on a log scale, and their products."""
    skewed = ["AveRooms", "AveBedrms", "Population", "AveOccup"]
    return Pipeline(
        [
            (
                "log",
                ColumnTransformer(
                    [("log", FunctionTransformer(np.log1p), skewed)], remainder="passthrough"
                ),
            ),
            ("scale", StandardScaler()),
            ("products", PolynomialFeatures(params["degree"], include_bias=False)),
            ("ridge", Ridge(params["alpha"])),
        ]
    )


def tree(params: dict[str, Any], seed: int) -> DecisionTreeRegressor:
    """One decision tree, small enough to read."""
    return DecisionTreeRegressor(**params, random_state=seed)


def boosting(params: dict[str, Any], seed: int) -> HistGradientBoostingRegressor:
    """Gradient boosting on histograms; no early stopping, so every row trains."""
    return HistGradientBoostingRegressor(**params, early_stopping=False, random_state=seed)


def _linear_space(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "degree": trial.suggest_int("degree", 1, 2),
        "alpha": trial.suggest_float("alpha", 1e-3, 1e3, log=True),
    }


def _tree_space(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "max_depth": trial.suggest_int("max_depth", 4, 20),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 2, 50, log=True),
    }


def _boosting_space(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "max_iter": trial.suggest_int("max_iter", 200, 600, step=100),
        "learning_rate": trial.suggest_float("learning_rate", 0.03, 0.15, log=True),
        "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 15, 50),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 5, 40),
        "l2_regularization": trial.suggest_float("l2_regularization", 1e-2, 30, log=True),
        "max_features": trial.suggest_float("max_features", 0.3, 0.9),
    }


FAMILIES = {
    "linear": Family("ridge regression", linear, _linear_space, {"degree": 2, "alpha": 1.0}),
    "tree": Family("decision tree", tree, _tree_space, {"max_depth": 12, "min_samples_leaf": 10}),
    "boosting": Family(
        "gradient boosting",
        boosting,
        _boosting_space,
        {
            "max_iter": 500,
            "learning_rate": 0.05,
            "max_leaf_nodes": 40,
            "min_samples_leaf": 10,
            "l2_regularization": 1.0,
            "max_features": 0.5,
        },
    ),
}
