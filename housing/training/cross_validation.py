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
from housing.schema import NAMES, TARGET
from housing.training import cache, executors, folds


class Score(NamedTuple):
    """How far off a model is on one fold."""

    rmse: float
    seconds: float


class Scores:
    """Scores of settings on folds: each is computed once, and kept in a file as it arrives.

    The file's name tells data, seed, folds and the code of the models apart.
    """

    def __init__(self, train: pd.DataFrame, count: int, seed: int, run: executors.Run) -> None:
        self.folds, self.seed, self.run = count, seed, run
        self.data = _kept(train)
        told = f"{self.data.stem} {seed} {count} {cache.made_by()}"
        name = hashlib.sha256(told.encode()).hexdigest()[:16]
        self.file = self.data.with_name(f"{name}.jsonl")
        self.known: dict[str, Score] = {}
        self.guessed: dict[str, np.ndarray] = {}  # in memory alone, but for the best ones
        if self.file.exists():
            for line in self.file.read_text().splitlines(keepends=True):
                if line.endswith("\n"):  # else the process died while it wrote
                    key, *score = json.loads(line)
                    self.known[key] = Score(*score)

    def of(self, family: str, asked: list[tuple[dict[str, Any], int]]) -> list[Score]:
        """One for each of (settings, fold)."""
        keys = [_key(family, params, fold) for params, fold in asked]
        new = [at for at, key in enumerate(keys) if key not in self.known]
        tasks = [(family, *asked[at], self.folds, self.seed, self.data) for at in new]
        with self.file.open("a") as file:
            scored = self.run(_score, tasks) if tasks else []
            for at, (*score, guesses) in zip(new, scored, strict=True):
                self.known[keys[at]], self.guessed[keys[at]] = Score(*score), guesses
                file.write(json.dumps([keys[at], *score]) + "\n")
        return [self.known[one] for one in keys]

    def guesses(self, family: str, params: dict[str, Any]) -> np.ndarray:
        """(n,) of each row by the model of the fold that held it out."""
        name = self._name("guesses", self.folds, family, params)
        known = cache.guesses(name)
        if known is not None:
            return known
        cuts = folds.random(len(_read(self.data)[1]), self.folds, self.seed)
        keys = [_key(family, params, fold) for fold in range(self.folds)]
        new = [at for at, key in enumerate(keys) if key not in self.guessed]
        tasks = [(family, params, self.seed, self.data, *cuts[at]) for at in new]
        for at, guesses in zip(new, self.run(_guesses, tasks) if tasks else [], strict=True):
            self.guessed[keys[at]] = guesses
        made = _together(cuts, [self.guessed[one] for one in keys])
        cache.keep_guesses(name, made)
        return made

    def trained(self, asked: list[tuple[str, dict[str, Any]]]) -> list[RegressorMixin]:
        """A model of all rows for each (family, settings); kept, each as it arrives."""
        names = [self._name("model", *one) for one in asked]
        models = [cache.model(one) for one in names]
        new = [at for at, model in enumerate(models) if model is None]
        tasks = [(*asked[at], self.seed, self.data) for at in new]
        waiting = iter(new)
        made = self.run(
            _trained, tasks, lambda model: cache.keep_model(names[next(waiting)], model)
        ) if tasks else []  # fmt: skip
        for at, model in zip(new, made, strict=True):
            models[at] = model
        return models

    def _name(self, *of: Any) -> str:
        return cache.name(self.data.stem, self.seed, json.dumps(of, sort_keys=True))


def out_of_fold_guesses(
    family: str, params: dict[str, Any], train: pd.DataFrame, cuts: folds.Cuts, seed: int,
    run: executors.Run,
) -> np.ndarray:  # fmt: skip
    """(n,) what a model says of each training row that has learnt from the others.

    cuts: (fit, rest) row numbers; each row is in one rest.
    """
    data = _kept(train)
    parted = hashlib.sha256(b"".join(rows.tobytes() for cut in cuts for rows in cut)).hexdigest()
    name = cache.name(data.stem, seed, json.dumps([family, params], sort_keys=True), parted)
    known = cache.guesses(name)
    if known is None:
        parts = run(_guesses, [(family, params, seed, data, *cut) for cut in cuts])
        known = _together(cuts, parts)
        cache.keep_guesses(name, known)
    return known


def _key(family: str, params: dict[str, Any], fold: int) -> str:
    return json.dumps([family, fold, params], sort_keys=True)


def _together(cuts: folds.Cuts, parts: list[np.ndarray]) -> np.ndarray:
    guesses = np.empty(sum(map(len, parts)))
    for (_, rest), part in zip(cuts, parts, strict=True):
        guesses[rest] = part
    return guesses


def _kept(train: pd.DataFrame) -> Path:
    """The rows in a file of their own, named by their content: each task reads it by itself."""
    buffer = BytesIO()
    train[[*NAMES, TARGET]].to_parquet(buffer)
    content = buffer.getvalue()
    file = paths.var() / "searches" / f"{hashlib.sha256(content).hexdigest()[:16]}.parquet"
    if not file.exists():
        paths.write_whole(file, content)
    return file


@lru_cache(maxsize=2)
def _read(file: Path) -> tuple[pd.DataFrame, pd.Series]:
    frame = pd.read_parquet(file)
    return frame[NAMES], frame[TARGET]


def _score(
    family: str, params: dict[str, Any], fold: int, count: int, seed: int, data: Path
) -> tuple[float, float, np.ndarray]:
    """RMSE on a fold of a model trained on the others, the seconds it took, and its guesses."""
    started = time.perf_counter()
    _, values = _read(data)
    fit, rest = folds.random(len(values), count, seed)[fold]
    guesses = _guesses(family, params, seed, data, fit, rest)
    rmse = float(root_mean_squared_error(values.iloc[rest], guesses))
    return rmse, time.perf_counter() - started, guesses


def _guesses(
    family: str, params: dict[str, Any], seed: int, data: Path, fit: np.ndarray, rest: np.ndarray
) -> np.ndarray:
    rows, values = _read(data)
    with threadpool_limits(1):  # two are slower than one, four times on a busy machine
        model = FAMILIES[family].build(params, seed).fit(rows.iloc[fit], values.iloc[fit])
        return model.predict(rows.iloc[rest])


def _trained(family: str, params: dict[str, Any], seed: int, data: Path) -> RegressorMixin:
    rows, values = _read(data)
    with threadpool_limits(1):
        return FAMILIES[family].build(params, seed).fit(rows, values)
