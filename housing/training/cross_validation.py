"""Cross-validate settings, and cache each score and each out-of-fold prediction.

The tasks read the data by themselves, so they can run in any process that sees the file.
"""

import hashlib
import json
import time
from functools import lru_cache
from io import BytesIO
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


class CachedCrossValidation:
    """Scores of settings on folds; each is computed once and appended to a file as it arrives.

    The file is named after the data, the seed, the number of folds and the code of the models.
    """

    def __init__(
        self, train: pd.DataFrame, n_folds: int, seed: int, run_tasks: executors.TaskRunner
    ) -> None:
        self.n_folds, self.seed, self.run_tasks = n_folds, seed, run_tasks
        self.data_file = _save_training_rows(train)
        identity = f"{self.data_file.stem} {seed} {n_folds} {cache.code_fingerprint()}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        self.scores_file = self.data_file.with_name(f"{digest}.jsonl")
        self.scores: dict[str, FoldScore] = {}
        self.fold_predictions: dict[str, np.ndarray] = {}  # of this process; only the best are kept
        if self.scores_file.exists():
            for line in self.scores_file.read_text().splitlines(keepends=True):
                if line.endswith("\n"):  # else the process died while it wrote the line
                    key, *score = json.loads(line)
                    self.scores[key] = FoldScore(*score)

    def evaluate(
        self, family: str, params_and_folds: list[tuple[dict[str, Any], int]]
    ) -> list[FoldScore]:
        """Return the score of each (params, fold number); compute those that are not cached."""
        keys = [_score_key(family, params, fold) for params, fold in params_and_folds]
        uncached = [number for number, key in enumerate(keys) if key not in self.scores]
        tasks = [
            (family, *params_and_folds[number], self.n_folds, self.seed, self.data_file)
            for number in uncached
        ]
        with self.scores_file.open("a") as file:
            results = self.run_tasks(_score_fold, tasks) if tasks else []
            for number, (*score, predictions) in zip(uncached, results, strict=True):
                key = keys[number]
                self.scores[key], self.fold_predictions[key] = FoldScore(*score), predictions
                file.write(json.dumps([key, *score]) + "\n")
        return [self.scores[key] for key in keys]

    def out_of_fold_predictions(self, family: str, params: dict[str, Any]) -> np.ndarray:
        """Return the (n,) prediction of each row by the model of the fold that held it out."""
        cache_key = self._cache_key("predictions", self.n_folds, family, params)
        cached = cache.load_predictions(cache_key)
        if cached is not None:
            return cached
        n_rows = len(_load_training_rows(self.data_file)[1])
        fold_indices = folds.random_folds(n_rows, self.n_folds, self.seed)
        keys = [_score_key(family, params, fold) for fold in range(self.n_folds)]
        new_folds = [fold for fold, key in enumerate(keys) if key not in self.fold_predictions]
        tasks = [
            (family, params, self.seed, self.data_file, *fold_indices[fold]) for fold in new_folds
        ]
        results = self.run_tasks(_predict_held_out, tasks) if tasks else []
        for fold, predictions in zip(new_folds, results, strict=True):
            self.fold_predictions[keys[fold]] = predictions
        merged = _merge_folds(fold_indices, [self.fold_predictions[key] for key in keys])
        cache.save_predictions(cache_key, merged)
        return merged

    def refit(self, family_params: list[tuple[str, dict[str, Any]]]) -> list[RegressorMixin]:
        """Train a model on all rows for each (family, params); cache each as it arrives."""
        cache_keys = [self._cache_key("model", family, params) for family, params in family_params]
        models = [cache.load_model(key) for key in cache_keys]
        uncached = [number for number, model in enumerate(models) if model is None]
        tasks = [(*family_params[number], self.seed, self.data_file) for number in uncached]
        if not tasks:
            return models
        unsaved_keys = iter([cache_keys[number] for number in uncached])
        trained = self.run_tasks(
            _fit_model, tasks, lambda model: cache.save_model(next(unsaved_keys), model)
        )
        for number, model in zip(uncached, trained, strict=True):
            models[number] = model
        return models

    def _cache_key(self, *inputs: Any) -> str:
        return cache.cache_key(self.data_file.stem, self.seed, json.dumps(inputs, sort_keys=True))


def cross_val_predict(
    family: str,
    params: dict[str, Any],
    train: pd.DataFrame,
    fold_indices: folds.FoldIndices,
    seed: int,
    run_tasks: executors.TaskRunner,
) -> np.ndarray:
    """Return the (n,) prediction of each training row by a model trained without its fold.

    fold_indices: (train, held-out) row numbers; each row is held out in one fold.
    """
    data_file = _save_training_rows(train)
    folds_digest = hashlib.sha256(
        b"".join(rows.tobytes() for fold in fold_indices for rows in fold)
    ).hexdigest()
    settings = json.dumps([family, params], sort_keys=True)
    cache_key = cache.cache_key(data_file.stem, seed, settings, folds_digest)
    predictions = cache.load_predictions(cache_key)
    if predictions is None:
        tasks = [(family, params, seed, data_file, *fold) for fold in fold_indices]
        predictions = _merge_folds(fold_indices, run_tasks(_predict_held_out, tasks))
        cache.save_predictions(cache_key, predictions)
    return predictions


def _score_key(family: str, params: dict[str, Any], fold: int) -> str:
    return json.dumps([family, fold, params], sort_keys=True)


def _merge_folds(fold_indices: folds.FoldIndices, fold_predictions: list[np.ndarray]) -> np.ndarray:
    merged = np.empty(sum(map(len, fold_predictions)))
    for (_, held_out_index), predictions in zip(fold_indices, fold_predictions, strict=True):
        merged[held_out_index] = predictions
    return merged


def _save_training_rows(train: pd.DataFrame) -> Path:
    """Save the rows in a file named after their content, for the tasks; return its path."""
    buffer = BytesIO()
    train[[*FEATURE_NAMES, TARGET]].to_parquet(buffer)
    content = buffer.getvalue()
    file = paths.var() / "searches" / f"{hashlib.sha256(content).hexdigest()[:16]}.parquet"
    if not file.exists():
        paths.atomic_write(file, content)
    return file


@lru_cache(maxsize=2)
def _load_training_rows(data_file: Path) -> tuple[pd.DataFrame, pd.Series]:
    frame = pd.read_parquet(data_file)
    return frame[FEATURE_NAMES], frame[TARGET]


def _score_fold(
    family: str, params: dict[str, Any], fold: int, n_folds: int, seed: int, data_file: Path
) -> tuple[float, float, np.ndarray]:
    """Train a model without one fold; return RMSE, seconds and predictions on that fold."""
    started_at = time.perf_counter()
    _, y = _load_training_rows(data_file)
    train_index, held_out_index = folds.random_folds(len(y), n_folds, seed)[fold]
    predictions = _predict_held_out(family, params, seed, data_file, train_index, held_out_index)
    rmse = float(root_mean_squared_error(y.iloc[held_out_index], predictions))
    return rmse, time.perf_counter() - started_at, predictions


def _predict_held_out(
    family: str,
    params: dict[str, Any],
    seed: int,
    data_file: Path,
    train_index: np.ndarray,
    held_out_index: np.ndarray,
) -> np.ndarray:
    X, y = _load_training_rows(data_file)
    with threadpool_limits(1):  # two are slower than one, four times on a busy machine
        model = FAMILIES[family].build(params, seed).fit(X.iloc[train_index], y.iloc[train_index])
        return model.predict(X.iloc[held_out_index])


def _fit_model(family: str, params: dict[str, Any], seed: int, data_file: Path) -> RegressorMixin:
    X, y = _load_training_rows(data_file)
    with threadpool_limits(1):
        return FAMILIES[family].build(params, seed).fit(X, y)
