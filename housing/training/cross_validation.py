"""What settings score in cross-validation: each score once, kept in a file as it arrives.

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
    """How far off a model is on one fold."""

    rmse: float
    seconds: float


class CachedCrossValidation:
    """Scores of settings on folds: each is computed once, and kept in a file as it arrives.

    The file's name tells data, seed, folds and the code of the models apart.
    """

    def __init__(
        self, train: pd.DataFrame, n_folds: int, seed: int, run_tasks: executors.TaskRunner
    ) -> None:
        self.n_folds, self.seed, self.run_tasks = n_folds, seed, run_tasks
        self.data_file = _save_training_rows(train)
        told = f"{self.data_file.stem} {seed} {n_folds} {cache.code_fingerprint()}"
        name = hashlib.sha256(told.encode()).hexdigest()[:16]
        self.scores_file = self.data_file.with_name(f"{name}.jsonl")
        self.scores: dict[str, FoldScore] = {}
        self.fold_predictions: dict[str, np.ndarray] = {}  # in memory alone, but for the best ones
        if self.scores_file.exists():
            for line in self.scores_file.read_text().splitlines(keepends=True):
                if line.endswith("\n"):  # else the process died while it wrote
                    key, *score = json.loads(line)
                    self.scores[key] = FoldScore(*score)

    def evaluate(
        self, family: str, params_and_folds: list[tuple[dict[str, Any], int]]
    ) -> list[FoldScore]:
        """One for each of (settings, fold)."""
        keys = [_score_key(family, params, fold) for params, fold in params_and_folds]
        new = [at for at, key in enumerate(keys) if key not in self.scores]
        tasks = [
            (family, *params_and_folds[at], self.n_folds, self.seed, self.data_file) for at in new
        ]
        with self.scores_file.open("a") as file:
            scored = self.run_tasks(_score_fold, tasks) if tasks else []
            for at, (*score, guesses) in zip(new, scored, strict=True):
                self.scores[keys[at]], self.fold_predictions[keys[at]] = FoldScore(*score), guesses
                file.write(json.dumps([keys[at], *score]) + "\n")
        return [self.scores[one] for one in keys]

    def out_of_fold_predictions(self, family: str, params: dict[str, Any]) -> np.ndarray:
        """(n,) of each row by the model of the fold that held it out."""
        name = self._cache_key("guesses", self.n_folds, family, params)
        known = cache.load_predictions(name)
        if known is not None:
            return known
        cuts = folds.random_folds(
            len(_load_training_rows(self.data_file)[1]), self.n_folds, self.seed
        )
        keys = [_score_key(family, params, fold) for fold in range(self.n_folds)]
        new = [at for at, key in enumerate(keys) if key not in self.fold_predictions]
        tasks = [(family, params, self.seed, self.data_file, *cuts[at]) for at in new]
        for at, guesses in zip(
            new, self.run_tasks(_predict_held_out, tasks) if tasks else [], strict=True
        ):
            self.fold_predictions[keys[at]] = guesses
        made = _merge_folds(cuts, [self.fold_predictions[one] for one in keys])
        cache.save_predictions(name, made)
        return made

    def refit(self, family_params: list[tuple[str, dict[str, Any]]]) -> list[RegressorMixin]:
        """A model of all rows for each (family, settings); kept, each as it arrives."""
        names = [self._cache_key("model", *one) for one in family_params]
        models = [cache.load_model(one) for one in names]
        new = [at for at, model in enumerate(models) if model is None]
        tasks = [(*family_params[at], self.seed, self.data_file) for at in new]
        waiting = iter(new)
        made = self.run_tasks(
            _fit_model, tasks, lambda model: cache.save_model(names[next(waiting)], model)
        ) if tasks else []  # fmt: skip
        for at, model in zip(new, made, strict=True):
            models[at] = model
        return models

    def _cache_key(self, *inputs: Any) -> str:
        return cache.cache_key(self.data_file.stem, self.seed, json.dumps(inputs, sort_keys=True))


def cross_val_predict(
    family: str, params: dict[str, Any], train: pd.DataFrame, fold_indices: folds.FoldIndices, seed: int,
    run_tasks: executors.TaskRunner,
) -> np.ndarray:  # fmt: skip
    """(n,) what a model says of each training row that has learnt from the others.

    cuts: (fit, rest) row numbers; each row is in one rest.
    """
    data = _save_training_rows(train)
    parted = hashlib.sha256(
        b"".join(rows.tobytes() for cut in fold_indices for rows in cut)
    ).hexdigest()
    name = cache.cache_key(data.stem, seed, json.dumps([family, params], sort_keys=True), parted)
    known = cache.load_predictions(name)
    if known is None:
        parts = run_tasks(
            _predict_held_out, [(family, params, seed, data, *cut) for cut in fold_indices]
        )
        known = _merge_folds(fold_indices, parts)
        cache.save_predictions(name, known)
    return known


def _score_key(family: str, params: dict[str, Any], fold: int) -> str:
    return json.dumps([family, fold, params], sort_keys=True)


def _merge_folds(fold_indices: folds.FoldIndices, fold_predictions: list[np.ndarray]) -> np.ndarray:
    guesses = np.empty(sum(map(len, fold_predictions)))
    for (_, rest), part in zip(fold_indices, fold_predictions, strict=True):
        guesses[rest] = part
    return guesses


def _save_training_rows(train: pd.DataFrame) -> Path:
    """The rows in a file of their own, named by their content: each task reads it by itself."""
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
    """RMSE on a fold of a model trained on the others, the seconds it took, and its guesses."""
    started = time.perf_counter()
    _, values = _load_training_rows(data_file)
    fit, rest = folds.random_folds(len(values), n_folds, seed)[fold]
    guesses = _predict_held_out(family, params, seed, data_file, fit, rest)
    rmse = float(root_mean_squared_error(values.iloc[rest], guesses))
    return rmse, time.perf_counter() - started, guesses


def _predict_held_out(
    family: str,
    params: dict[str, Any],
    seed: int,
    data_file: Path,
    train_index: np.ndarray,
    held_out_index: np.ndarray,
) -> np.ndarray:
    rows, values = _load_training_rows(data_file)
    with threadpool_limits(1):  # two are slower than one, four times on a busy machine
        model = (
            FAMILIES[family]
            .build(params, seed)
            .fit(rows.iloc[train_index], values.iloc[train_index])
        )
        return model.predict(rows.iloc[held_out_index])


def _fit_model(family: str, params: dict[str, Any], seed: int, data_file: Path) -> RegressorMixin:
    rows, values = _load_training_rows(data_file)
    with threadpool_limits(1):
        return FAMILIES[family].build(params, seed).fit(rows, values)
