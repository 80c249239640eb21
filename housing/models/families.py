"""The families of models: how each is built, and which hyperparameters a search tries.

A family is a function of its hyperparameters and a seed, and a search space. To add one, write the
function and an entry in `FAMILIES`; housing/export/onnx_export.py must be able to export it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from housing.models.blend import Blend
from housing.models.boosted_trees import build_boosted_trees
from housing.models.features import (
    N_LOCATION_FEATURES,
    NEIGHBOR_SPACES,
    LocationFeatures,
    NeighborFeatures,
    nearest_distance_column,
)
from housing.models.mlp import ClippedMLPRegressor
from housing.schema import FEATURE_NAMES

SearchSpace = dict[str, IntDistribution | FloatDistribution]


class Family(NamedTuple):
    """A kind of model, and how to build and tune it."""

    title: str
    build: Callable[[dict[str, Any], int], RegressorMixin]  # (params, seed) -> an unfitted model
    initial_params: dict[str, Any]  # worth trying before any search
    # the parameters that a search tries, in the order in which it draws them
    search_space: SearchSpace

    def suggest_params(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return the initial parameters, with a trial's value of each in the search space."""
        params = dict(self.initial_params)
        for name, space in self.search_space.items():
            if isinstance(space, IntDistribution):
                params[name] = trial.suggest_int(name, space.low, space.high, log=space.log)
            else:
                params[name] = trial.suggest_float(name, space.low, space.high, log=space.log)
        return params


def _pipeline(**steps: BaseEstimator) -> Pipeline:
    return Pipeline(list(steps.items()))


def build_linear(params: dict[str, Any], seed: int) -> Pipeline:
    """Build a ridge regression on the features, skewed ones on a log scale, and their products."""
    skewed_features = ["AveRooms", "AveBedrms", "Population", "AveOccup"]
    columns = [FEATURE_NAMES.index(name) for name in skewed_features]
    logs = ColumnTransformer(
        [("log", FunctionTransformer(np.log1p), columns)], remainder="passthrough"
    )
    return _pipeline(
        log=logs,
        scale=StandardScaler(),
        products=PolynomialFeatures(params["degree"], include_bias=False),
        ridge=Ridge(params["alpha"]),
    )


def build_tree(params: dict[str, Any], seed: int) -> DecisionTreeRegressor:
    """Build one decision tree, small enough to read."""
    return DecisionTreeRegressor(**params, random_state=seed)


def build_forest(params: dict[str, Any], seed: int) -> Pipeline:
    """Build extremely randomized trees (Geurts et al., 2006) on the location features."""
    trees = ExtraTreesRegressor(**params, random_state=seed)
    return _pipeline(places=LocationFeatures(), trees=trees)


def build_boosting(params: dict[str, Any], seed: int) -> Pipeline:
    """Build gradient boosting on the location features, without any house value as a feature."""
    return _pipeline(places=LocationFeatures(), trees=build_boosted_trees(params, seed))


def build_neighbor_boosting(params: dict[str, Any], seed: int) -> Pipeline:
    """Build gradient boosting that also sees the house values of the nearest training rows."""
    return _pipeline(
        places=LocationFeatures(),
        neighbours=NeighborFeatures(NEIGHBOR_SPACES),
        trees=build_boosted_trees(params, seed),
    )


# the keys are hyperparameter names in MLflow, Optuna and the cache of cross-validations
BOOSTING_PARAMS: dict[str, Any] = {
    "trees": 400,
    "depth": 7,  # as accurate as without a limit, with a third fewer steps to the deepest leaf
    "learning_rate": 0.08,
    "leaves": 20,
    "rows_a_leaf": 10,
    "l2": 10.0,
    "columns": 0.4,
}
# fewer, larger trees are as accurate where networks smooth them, and are served faster
NEAR_BOOSTING_PARAMS = BOOSTING_PARAMS | {"trees": 300, "learning_rate": 0.1, "leaves": 28}
# without neighbors there is more to learn; with few columns per tree, accuracy is left to chance
FAR_BOOSTING_PARAMS = BOOSTING_PARAMS | {
    "trees": 400,
    "learning_rate": 0.07,
    "leaves": 32,
    "columns": 0.7,
}
# all but the number and depth of the trees: more and deeper ones serve slower
BOOSTING_SPACE: SearchSpace = {
    "learning_rate": FloatDistribution(0.04, 0.14, log=True),
    "leaves": IntDistribution(12, 48),
    "rows_a_leaf": IntDistribution(5, 40, log=True),
    "l2": FloatDistribution(0.1, 50, log=True),
    "columns": FloatDistribution(0.25, 0.7),
}


def build_blend(params: dict[str, Any], seed: int) -> Pipeline:
    """Build trees and networks with neighbors where some are near, and without where none are.

    Random cross-validation cannot measure the far side: its weights and the crossover distance are
    fixed by hand. params: those of boosting for the near trees, and
    network, narrow: weights near training rows of the networks, and of the trees without neighbors;
    networks: how many share the weight `network`; more of them predict more evenly;
    narrow_trees: how many trees without neighbors; the more, the lower their learning rate;
    reach: the crossover distance in degrees.
    """
    network_weight, far_trees_weight = params["network"], params["narrow"]
    n_networks, n_far_trees = params["networks"], params["narrow_trees"]
    far_learning_rate = (
        FAR_BOOSTING_PARAMS["learning_rate"] * FAR_BOOSTING_PARAMS["trees"] / n_far_trees
    )
    far_params = FAR_BOOSTING_PARAMS | {"trees": n_far_trees, "learning_rate": far_learning_rate}
    near_trees_weight = 1 - network_weight - far_trees_weight
    networks = [ClippedMLPRegressor(random_state=seed + number) for number in range(n_networks)]
    network_weights = [network_weight / n_networks] * n_networks
    blend = Blend(
        near_models=[build_boosted_trees(params, seed), *networks],
        far_models=[build_boosted_trees(far_params, seed), ClippedMLPRegressor(random_state=seed)],
        near_weights=[near_trees_weight, *network_weights, far_trees_weight, 0.0],
        far_weights=[*[0.0] * (1 + n_networks), 0.7, 0.3],
        n_far_columns=N_LOCATION_FEATURES,
        distance_column=nearest_distance_column(NEIGHBOR_SPACES, N_LOCATION_FEATURES),
        crossover_distance=params["reach"],
    )
    return _pipeline(
        places=LocationFeatures(), neighbours=NeighborFeatures(NEIGHBOR_SPACES), blend=blend
    )


FAMILIES = {
    "linear": Family(
        "ridge regression",
        build_linear,
        {"degree": 2, "alpha": 1.0},
        {"degree": IntDistribution(1, 2), "alpha": FloatDistribution(1e-3, 1e3, log=True)},
    ),
    "tree": Family(
        "decision tree",
        build_tree,
        {"max_depth": 12, "min_samples_leaf": 10},
        {
            "max_depth": IntDistribution(4, 20),
            "min_samples_leaf": IntDistribution(2, 50, log=True),
        },
    ),
    "forest": Family(
        "extra trees",
        build_forest,
        {"n_estimators": 40, "min_samples_leaf": 4, "max_features": 0.7},
        {"min_samples_leaf": IntDistribution(3, 12), "max_features": FloatDistribution(0.3, 1.0)},
    ),
    "boosting": Family("gradient boosting", build_boosting, BOOSTING_PARAMS, BOOSTING_SPACE),
    "neighbours": Family(
        "boosting with neighbours", build_neighbor_boosting, BOOSTING_PARAMS, BOOSTING_SPACE
    ),
    "blend": Family(
        "blend of near and far",
        build_blend,
        NEAR_BOOSTING_PARAMS
        | {"network": 0.25, "narrow": 0.25, "networks": 1}
        | {"narrow_trees": FAR_BOOSTING_PARAMS["trees"], "reach": 0.08},
        BOOSTING_SPACE
        | {"network": FloatDistribution(0.1, 0.4), "narrow": FloatDistribution(0.1, 0.4)},
    ),
}
