"""The families of models: how each is built, and where a search looks for its settings.

A family is a function of its settings and a seed, and stands beside its search space. To add one,
write both and a line in `FAMILIES`; housing/export/onnx_export.py must know how to serve it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import optuna
from sklearn.base import RegressorMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from housing.models.blend import Blend
from housing.models.features import (
    N_LOCATION_FEATURES,
    NEIGHBOR_SPACES,
    LocationFeatures,
    NeighborFeatures,
    nearest_distance_column,
)
from housing.models.mlp import ClippedMLPRegressor
from housing.schema import FEATURE_NAMES

try:
    from lightgbm import LGBMRegressor
except OSError:  # no libgomp on this machine: apt-get install libgomp1, or brew install libomp
    LGBMRegressor = None

# the only classes beyond skops' own list that a stored model of ours may hold
TRUSTED_TYPES = [
    "collections.OrderedDict",
    "housing.models.blend.Blend",
    "housing.models.features.NeighborFeatures",
    "housing.models.features.LocationFeatures",
    "housing.inference.neighbors.DistanceSpace",
    "housing.models.mlp.ClippedMLPRegressor",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMRegressor",
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
    suggest_params: Callable[[optuna.Trial], dict[str, Any]]
    initial_params: dict[str, Any]  # params worth trying before any search


def build_linear(params: dict[str, Any], seed: int) -> Pipeline:
    """Ridge regression on the features, skewed ones on a log scale, and their products."""
    skewed = ["AveRooms", "AveBedrms", "Population", "AveOccup"]
    columns = [FEATURE_NAMES.index(one) for one in skewed]
    logs = ColumnTransformer(
        [("log", FunctionTransformer(np.log1p), columns)], remainder="passthrough"
    )
    return Pipeline(
        [
            ("log", logs),
            ("scale", StandardScaler()),
            ("products", PolynomialFeatures(params["degree"], include_bias=False)),
            ("ridge", Ridge(params["alpha"])),
        ]
    )


def _suggest_linear_params(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "degree": trial.suggest_int("degree", 1, 2),
        "alpha": trial.suggest_float("alpha", 1e-3, 1e3, log=True),
    }


def build_tree(params: dict[str, Any], seed: int) -> DecisionTreeRegressor:
    """One decision tree, small enough to read."""
    return DecisionTreeRegressor(**params, random_state=seed)


def _suggest_tree_params(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "max_depth": trial.suggest_int("max_depth", 4, 20),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 2, 50, log=True),
    }


def build_forest(params: dict[str, Any], seed: int) -> Pipeline:
    """Extremely randomised trees (Geurts et al., 2006) on the places."""
    trees = ExtraTreesRegressor(**params, random_state=seed)
    return Pipeline([("places", LocationFeatures()), ("trees", trees)])


def _suggest_forest_params(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "n_estimators": 40,
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 3, 12),
        "max_features": trial.suggest_float("max_features", 0.3, 1.0),
    }


def build_boosting(params: dict[str, Any], seed: int) -> Pipeline:
    """Gradient boosting on the places. It knows no house value but through the trees."""
    return Pipeline([("places", LocationFeatures()), ("trees", build_boosted_trees(params, seed))])


def build_neighbor_boosting(params: dict[str, Any], seed: int) -> Pipeline:
    """Gradient boosting that also sees what the nearest training rows cost."""
    trees = build_boosted_trees(params, seed)
    return Pipeline(
        [
            ("places", LocationFeatures()),
            ("neighbours", NeighborFeatures(NEIGHBOR_SPACES)),
            ("trees", trees),
        ]
    )


def build_boosted_trees(params: dict[str, Any], seed: int) -> RegressorMixin:
    """Gradient boosting by LightGBM (Ke et al., 2017), the same on any number of cores.

    Where LightGBM cannot be loaded, by scikit-learn.
    """
    if LGBMRegressor is None:
        return build_sklearn_boosted_trees(params, seed)
    return LGBMRegressor(
        n_estimators=params["trees"], learning_rate=params["learning_rate"],
        num_leaves=params["leaves"], max_depth=params["depth"],
        min_child_samples=params["rows_a_leaf"],
        reg_lambda=params["l2"], colsample_bytree=params["columns"],
        subsample=0.8, subsample_freq=1,
        random_state=seed, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1,
    )  # fmt: skip


def build_sklearn_boosted_trees(params: dict[str, Any], seed: int) -> HistGradientBoostingRegressor:
    """The same by scikit-learn: as accurate, but slower on one core (benchmarks/models/accuracy.py)."""
    return HistGradientBoostingRegressor(
        max_iter=params["trees"], learning_rate=params["learning_rate"],
        max_leaf_nodes=params["leaves"], max_depth=params["depth"],
        min_samples_leaf=params["rows_a_leaf"],
        l2_regularization=params["l2"], max_features=params["columns"],
        early_stopping=False, random_state=seed,
    )  # fmt: skip


def _suggest_boosting_params(trial: optuna.Trial, n_trees: int = 400) -> dict[str, Any]:
    """Number and depth of the trees are given: more and deeper ones are slower to serve."""
    return {
        "trees": n_trees,
        "depth": BOOSTING_PARAMS["depth"],
        "learning_rate": trial.suggest_float("learning_rate", 0.04, 0.14, log=True),
        "leaves": trial.suggest_int("leaves", 12, 48),
        "rows_a_leaf": trial.suggest_int("rows_a_leaf", 5, 40, log=True),
        "l2": trial.suggest_float("l2", 0.1, 50, log=True),
        "columns": trial.suggest_float("columns", 0.25, 0.7),
    }


BOOSTING_PARAMS = {
    "trees": 400,
    "depth": 7,  # as accurate as without a bound, in a third fewer steps to the deepest leaf
    "learning_rate": 0.08,
    "leaves": 20,
    "rows_a_leaf": 10,
    "l2": 10.0,
    "columns": 0.4,
}
# fewer, larger trees do as well where networks even them out, and are served faster
NEAR_BOOSTING_PARAMS = BOOSTING_PARAMS | {"trees": 300, "learning_rate": 0.1, "leaves": 28}
# who knows no neighbour has more to learn; with few columns a tree, luck decides how well
FAR_BOOSTING_PARAMS = BOOSTING_PARAMS | {
    "trees": 400,
    "learning_rate": 0.07,
    "leaves": 32,
    "columns": 0.7,
}
FIXED_BLEND_PARAMS = {"networks": 1, "narrow_trees": FAR_BOOSTING_PARAMS["trees"], "reach": 0.08}


def build_blend(params: dict[str, Any], seed: int) -> Pipeline:
    """Trees and a network with neighbours where some are near, and without where none are.

    Cross-validation at random cannot see the far side of it: its weights and reach are ours.
    networks: how many share the near side's network's weight; more answer more evenly.
    narrow_trees: how many without neighbours; the more, the less each of them learns.
    """
    network, narrow, networks = params["network"], params["narrow"], params["networks"]
    rate = (
        FAR_BOOSTING_PARAMS["learning_rate"] * FAR_BOOSTING_PARAMS["trees"] / params["narrow_trees"]
    )
    alone = FAR_BOOSTING_PARAMS | {"trees": params["narrow_trees"], "learning_rate": rate}
    mixed = Blend(
        near_models=[
            build_boosted_trees(params, seed),
            *(ClippedMLPRegressor(random_state=seed + at) for at in range(networks)),
        ],
        far_models=[build_boosted_trees(alone, seed), ClippedMLPRegressor(random_state=seed)],
        near_weights=[1 - network - narrow, *[network / networks] * networks, narrow, 0.0],
        far_weights=[*[0.0] * (1 + networks), 0.7, 0.3],
        n_far_columns=N_LOCATION_FEATURES,
        distance_column=nearest_distance_column(NEIGHBOR_SPACES, N_LOCATION_FEATURES),
        crossover_distance=params["reach"],
    )
    return Pipeline(
        [
            ("places", LocationFeatures()),
            ("neighbours", NeighborFeatures(NEIGHBOR_SPACES)),
            ("blend", mixed),
        ]
    )


def _suggest_blend_params(trial: optuna.Trial) -> dict[str, Any]:
    return _suggest_boosting_params(trial, NEAR_BOOSTING_PARAMS["trees"]) | {
        "network": trial.suggest_float("network", 0.1, 0.4),
        "narrow": trial.suggest_float("narrow", 0.1, 0.4),
        **FIXED_BLEND_PARAMS,
    }


FAMILIES = {
    "linear": Family(
        "ridge regression", build_linear, _suggest_linear_params, {"degree": 2, "alpha": 1.0}
    ),
    "tree": Family(
        "decision tree", build_tree, _suggest_tree_params, {"max_depth": 12, "min_samples_leaf": 10}
    ),
    "forest": Family(
        "extra trees",
        build_forest,
        _suggest_forest_params,
        {"n_estimators": 40, "min_samples_leaf": 4, "max_features": 0.7},
    ),
    "boosting": Family(
        "gradient boosting", build_boosting, _suggest_boosting_params, BOOSTING_PARAMS
    ),
    "neighbours": Family(
        "boosting with neighbours",
        build_neighbor_boosting,
        _suggest_boosting_params,
        BOOSTING_PARAMS,
    ),
    "blend": Family(
        "blend of near and far",
        build_blend,
        _suggest_blend_params,
        NEAR_BOOSTING_PARAMS | {"network": 0.25, "narrow": 0.25} | FIXED_BLEND_PARAMS,
    ),
}
