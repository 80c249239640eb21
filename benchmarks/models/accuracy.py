"""RMSE of the models on random splits and on held-out map cells, beside CatBoost and plain models.

.venv/bin/python -m benchmarks.models.accuracy [--budget thorough] [--seeds 42 0] [--near]

Or `make accuracy`. Near: random test parts of 20 %, with random_state 0 to 4 and 42. Far:
GroupKFold(5) on cells of half a degree; `--near` skips them. Search, early stopping and weights use
the training part alone.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin, clone
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from housing.data import loading, splitting
from housing.models.boosted_trees import build_sklearn_boosted_trees
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES, TARGET
from housing.training import folds, search

SEEDS = [42, 0, 1, 2, 3, 4]
REFERENCE = "CatBoost, tuned settings as published"
# Gorishniy et al., TabR (2023): their tuned settings for this data
PUBLISHED_PARAMS = {
    "depth": 8,
    "iterations": 4_000,
    "learning_rate": 0.0342,
    "l2_leaf_reg": 1.65,
    "leaf_estimation_iterations": 7,
    "bagging_temperature": 0.674,
}

FitPredict = Callable[[pd.DataFrame, pd.DataFrame], np.ndarray]  # train, test -> predictions
Split = tuple[pd.DataFrame, pd.DataFrame]  # train, test


def main() -> None:
    """Print a Markdown table with a row per model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", default="default", choices=list(search.BUDGETS))
    parser.add_argument("--families", nargs="+", default=["boosting", "neighbours", "blend"])
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, help="of the random splits")
    parser.add_argument("--near", action="store_true", help="skip the held-out map cells")
    options = parser.parse_args()
    frame = loading.load_dataset("california").frame
    near = [splitting.split_train_test(frame, 0.2, seed) for seed in options.seeds]
    spatial_folds = [] if options.near else folds.spatial_folds(frame)
    far = [(frame.iloc[train], frame.iloc[test]) for train, test in spatial_folds]
    columns = " | ".join(str(seed) for seed in options.seeds)
    print(f"| model | {columns} | mean ratio to CatBoost | far | seconds |")
    print("|---" * (len(near) + 4) + "|")
    reference = print_row(REFERENCE, _run_catboost, near, far, None)
    for name, fit_predict in _untuned_models().items():
        print_row(name, fit_predict, near, far, reference)
    for family in options.families:
        fit_predict = tuned_family(family, options.budget)
        print_row(FAMILIES[family].title, fit_predict, near, far, reference)


def print_row(
    name: str,
    fit_predict: FitPredict,
    near: list[Split],
    far: list[Split],
    reference: np.ndarray | None,
) -> np.ndarray:
    """Print the row of one model; return its RMSE on each random split.

    reference: the RMSE values to which its own are compared.
    """
    start = time.perf_counter()
    near_errors = [fit_predict(train, test) - test[TARGET].to_numpy() for train, test in near]
    seconds = (time.perf_counter() - start) / len(near)
    rmse = np.array([np.sqrt(np.mean(errors**2)) for errors in near_errors])
    ratio = 1.0 if reference is None else float(np.mean(rmse / reference))
    far_errors = [fit_predict(train, test) - test[TARGET].to_numpy() for train, test in far]
    far_rmse = f"{np.sqrt(np.mean(np.concatenate(far_errors) ** 2)):.3f}" if far else ""
    cells = " | ".join(f"{value:.4f}" for value in rmse)
    print(f"| {name} | {cells} | {ratio:.3f} | {far_rmse} | {seconds:.1f} |", flush=True)
    return rmse


def tuned_family(family: str, budget: str) -> FitPredict:
    """Return a function that searches on the training part and refits the best settings."""

    def fit_predict(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
        result = search.tune_families([family], train, budget)[family]
        return result.model.predict(test[FEATURE_NAMES])

    return fit_predict


def _run_catboost(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    try:
        from catboost import CatBoostRegressor
    except ImportError:
        raise SystemExit("CatBoost is not installed: `make accuracy` installs it") from None
    model = CatBoostRegressor(
        **PUBLISHED_PARAMS, random_seed=0, verbose=0, allow_writing_files=False
    )
    return model.fit(train[FEATURE_NAMES], train[TARGET]).predict(test[FEATURE_NAMES])


def _untuned_models() -> dict[str, FitPredict]:
    from lightgbm import LGBMRegressor

    neighbours = FAMILIES["neighbours"]
    with_lightgbm = neighbours.build(neighbours.initial_params, 42)
    with_sklearn = clone(with_lightgbm).set_params(
        trees=build_sklearn_boosted_trees(neighbours.initial_params, 42)
    )
    models = {
        "linear regression, untuned": LinearRegression(),
        "decision tree of depth 5, untuned": DecisionTreeRegressor(max_depth=5, random_state=42),
        "LightGBM, default settings": LGBMRegressor(random_state=42, verbose=-1),
        "boosting with neighbours, untuned, by scikit-learn": with_sklearn,
        "boosting with neighbours, untuned, by LightGBM": with_lightgbm,
    }
    return {name: _fit_predict(model) for name, model in models.items()}


def _fit_predict(model: RegressorMixin) -> FitPredict:
    return lambda train, test: model.fit(train[FEATURE_NAMES], train[TARGET]).predict(
        test[FEATURE_NAMES]
    )


if __name__ == "__main__":
    main()
