"""RMSE of the models on random splits and on held-out map cells, beside CatBoost and plain models.

make accuracy, or .venv/bin/python -m benchmarks.models.accuracy --budget thorough --seeds 42 0 --near

Near: test parts of 20 %, drawn with random_state 0 to 4 and 42. Far: GroupKFold(5) on cells of half
a degree; `--near` leaves them out. Search, early stopping and weights see the training part alone.
"""

import argparse
import time

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from housing.data import loading, splitting
from housing.models.families import FAMILIES, build_sklearn_boosted_trees
from housing.schema import FEATURE_NAMES, TARGET
from housing.training import folds, search

SEEDS = [42, 0, 1, 2, 3, 4]
REFERENCE = "CatBoost, tuned settings as published"
# Gorishniy et al., TabR (2023): their tuned settings for this data
PUBLISHED = {
    "depth": 8, "iterations": 4_000, "learning_rate": 0.0342, "l2_leaf_reg": 1.65,
    "leaf_estimation_iterations": 7, "bagging_temperature": 0.674,
}  # fmt: skip


def main() -> None:
    """Prints a Markdown table: a row a model, both tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", default="default", choices=list(search.BUDGETS))
    parser.add_argument("--families", nargs="+", default=["boosting", "neighbours", "blend"])
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, help="the random splits")
    parser.add_argument("--near", action="store_true", help="no map cells held out")
    options = parser.parse_args()
    frame = loading.load_dataset("california").frame
    near = [splitting.split_train_test(frame, 0.2, seed) for seed in options.seeds]
    cells = [] if options.near else folds.spatial_folds(frame)
    far = [(frame.iloc[fit], frame.iloc[rest]) for fit, rest in cells]
    columns = " | ".join(str(seed) for seed in options.seeds)
    print(f"| model | {columns} | mean ratio to CatBoost | far | seconds |")
    print("|---" * (len(near) + 4) + "|")
    reference = row(REFERENCE, _catboost, near, far, None)
    for name, guess in _plain().items():
        row(name, guess, near, far, reference)
    for family in options.families:
        row(FAMILIES[family].title, searched(family, options.budget), near, far, reference)


def row(name, guess, near, far, reference):
    """Prints one row; gives the RMSE of each random split."""
    started = time.perf_counter()
    errors = [guess(train, test) - test[TARGET].to_numpy() for train, test in near]
    seconds = (time.perf_counter() - started) / len(near)
    rmse = np.array([np.sqrt(np.mean(one**2)) for one in errors])
    ratio = 1.0 if reference is None else float(np.mean(rmse / reference))
    away = [guess(train, test) - test[TARGET].to_numpy() for train, test in far]
    far_rmse = f"{np.sqrt(np.mean(np.concatenate(away) ** 2)):.3f}" if far else ""
    each = " | ".join(f"{one:.4f}" for one in rmse)
    print(f"| {name} | {each} | {ratio:.3f} | {far_rmse} | {seconds:.1f} |", flush=True)
    return rmse


def searched(family, budget):
    """What the pipeline does: the search on the training part, then the best on all of it."""

    def guess(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
        found = search.tune_families([family], train, budget)[family]
        return found.model.predict(test[FEATURE_NAMES])

    return guess


def _catboost(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    try:
        from catboost import CatBoostRegressor
    except ImportError:
        raise SystemExit("CatBoost is not installed: `make accuracy` installs it") from None
    model = CatBoostRegressor(**PUBLISHED, random_seed=0, verbose=0, allow_writing_files=False)
    return model.fit(train[FEATURE_NAMES], train[TARGET]).predict(test[FEATURE_NAMES])


def _plain():
    from lightgbm import LGBMRegressor

    neighbours = FAMILIES["neighbours"]
    by_lightgbm = neighbours.build(neighbours.initial_params, 42)
    by_sklearn = clone(by_lightgbm).set_params(
        trees=build_sklearn_boosted_trees(neighbours.initial_params, 42)
    )
    models = {
        "linear regression, untuned": LinearRegression(),
        "decision tree of depth 5, untuned": DecisionTreeRegressor(max_depth=5, random_state=42),
        "LightGBM, default settings": LGBMRegressor(random_state=42, verbose=-1),
        "boosting with neighbours, untuned, by scikit-learn": by_sklearn,
        "boosting with neighbours, untuned, by LightGBM": by_lightgbm,
    }
    return {name: _fitted(model) for name, model in models.items()}


def _fitted(model):
    return lambda train, test: model.fit(train[FEATURE_NAMES], train[TARGET]).predict(
        test[FEATURE_NAMES]
    )


if __name__ == "__main__":
    main()
