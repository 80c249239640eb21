"""Gradient boosting by LightGBM, or by scikit-learn where LightGBM cannot be loaded."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sklearn.base import RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor

if TYPE_CHECKING:
    from lightgbm import LGBMRegressor


def build_boosted_trees(params: dict[str, Any], seed: int) -> RegressorMixin:
    """Build gradient boosting of LightGBM (Ke et al., 2017), the same on any number of cores.

    Where LightGBM cannot be loaded, return scikit-learn's.
    """
    regressor_class = lightgbm_regressor_class()
    if regressor_class is None:
        return build_sklearn_boosted_trees(params, seed)
    return regressor_class(
        n_estimators=params["trees"],
        learning_rate=params["learning_rate"],
        num_leaves=params["leaves"],
        max_depth=params["depth"],
        min_child_samples=params["rows_a_leaf"],
        reg_lambda=params["l2"],
        colsample_bytree=params["columns"],
        subsample=0.8,
        subsample_freq=1,
        random_state=seed,
        n_jobs=1,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )


@cache
def lightgbm_regressor_class() -> type[LGBMRegressor] | None:
    """Import LightGBM and return its regressor; None on a machine without libgomp.

    There, `apt-get install libgomp1` or `brew install libomp` helps.
    """
    try:
        from lightgbm import LGBMRegressor
    except OSError:
        return None
    return LGBMRegressor


def build_sklearn_boosted_trees(params: dict[str, Any], seed: int) -> HistGradientBoostingRegressor:
    """Build the same with scikit-learn: as accurate, but slower on one core.

    The figures are those of benchmarks/models/accuracy.py.
    """
    return HistGradientBoostingRegressor(
        max_iter=params["trees"],
        learning_rate=params["learning_rate"],
        max_leaf_nodes=params["leaves"],
        max_depth=params["depth"],
        min_samples_leaf=params["rows_a_leaf"],
        l2_regularization=params["l2"],
        max_features=params["columns"],
        early_stopping=False,
        random_state=seed,
    )
