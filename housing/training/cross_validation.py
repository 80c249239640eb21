"""Cross-validate settings, and cache each score and each out-of-fold prediction.

The tasks read the data by themselves, so they can run in any process that sees the file.
"""

import hashlib
import time
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin
from sklearn.metrics import root_mean_squared_error
from threadpoolctl import threadpool_limits

from housing import paths
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES, TARGET
from housing.training import cache, executors, folds


class FoldScore(NamedTuple):
    """The error of a model on one fold, and how long it took to train and to score."""

    rmse: float  # in $100,000
    seconds: float
    predictions: np.ndarray  # (n,) of the held-out rows, in $100,000


class CrossValidation:
    """Scores of settings on folds of the training part; each is computed once, ever."""

    def __init__(
        self,
        train: pd.DataFrame,
        fold_indices: folds.FoldIndices,
        seed: int,
        run_tasks: executors.TaskRunner,
    ) -> None:
        self.fold_indices, self.seed, self.run_tasks = fold_indices, seed, run_tasks
        self.data_file = _save_training_rows(train)

    def evaluate(
        self, family: str, params_and_folds: list[tuple[dict[str, Any], int]]
    ) -> list[FoldScore]:
        """Return the score of each (params, fold number)."""
        tasks = [
            (family, params, self.seed, self.data_file, *self.fold_indices[fold])
            for params, fold in params_and_folds
        ]
        return cache.run_cached(self.run_tasks, _score_fold, tasks)

    def out_of_fold_predictions(self, family: str, params: dict[str, Any]) -> np.ndarray:
        """Return the (n,) prediction of each row by the model of the fold that held it out."""
        scores = self.evaluate(family, [(params, fold) for fold in range(len(self.fold_indices))])
        merged = np.empty(sum(len(score.predictions) for score in scores))
        for (_, held_out_index), score in zip(self.fold_indices, scores, strict=True):
            merged[held_out_index] = score.predictions
        return merged

    def refit(self, family_params: list[tuple[str, dict[str, Any]]]) -> list[RegressorMixin]:
        """Return a model trained on all rows for each (family, params)."""
        tasks = [(*settings, self.seed, self.data_file) for settings in family_params]
        return cache.run_cached(self.run_tasks, _fit_model, tasks)


def _save_training_rows(train: pd.DataFrame) -> Path:
    """Save the rows in a file named after their content, for the tasks; return its path."""
    content = train[[*FEATURE_NAMES, TARGET]].to_parquet()
    file = cache.folder() / f"{hashlib.sha256(content).hexdigest()[:16]}.parquet"
    if not file.exists():
        paths.atomic_write(file, content)
    return file


@lru_cache(maxsize=2)
def _load_training_rows(data_file: Path) -> tuple[pd.DataFrame, pd.Series]:
    frame = pd.read_parquet(data_file)
    return frame[FEATURE_NAMES], frame[TARGET]


def _score_fold(
    family: str,
    params: dict[str, Any],
    seed: int,
    data_file: Path,
    train_index: np.ndarray,
    held_out_index: np.ndarray,
) -> FoldScore:
    """Train a model on some rows and score it on others."""
    started_at = time.perf_counter()
    X, y = _load_training_rows(data_file)
    with threadpool_limits(1):  # two are slower than one, four times on a busy machine
        model = FAMILIES[family].build(params, seed).fit(X.iloc[train_index], y.iloc[train_index])
        predictions = model.predict(X.iloc[held_out_index])
    rmse = float(root_mean_squared_error(y.iloc[held_out_index], predictions))
    return FoldScore(rmse, time.perf_counter() - started_at, predictions)


def _fit_model(family: str, params: dict[str, Any], seed: int, data_file: Path) -> RegressorMixin:
    X, y = _load_training_rows(data_file)
    with threadpool_limits(1):
        return FAMILIES[family].build(params, seed).fit(X, y)
