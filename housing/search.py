"""The hyper-parameter search: Optuna proposes, cross-validation on the training part decides."""

import time
from typing import Any, NamedTuple

import numpy as np
import optuna
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import RegressorMixin
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from housing.models import FAMILIES
from housing.schema import NAMES, TARGET

BATCH = 4  # trials proposed at once: more use more cores, fewer learn more from each other


class Search(NamedTuple):
    """What a search found."""

    family: str
    params: dict[str, Any]  # the best ones
    model: RegressorMixin  # built with them and trained on the whole training part
    rmse: float  # their mean over the folds, in $100,000
    spread: float  # the folds' standard deviation, in $100,000
    trials: pd.DataFrame  # a row a trial: rmse, seconds, and its params


def search(
    family: str, train: pd.DataFrame, trials: int = 10, folds: int = 3, seed: int = 42
) -> Search:
    """The best of `trials` settings of a family, by cross-validated RMSE on the training part.

    TPE (Bergstra et al., 2011), the family's own first guess tried first, in batches whose folds
    run side by side. The same seed gives the same answer on any number of cores. Raises ValueError
    for an unknown family or less than one trial.
    """
    if family not in FAMILIES:
        raise ValueError(f"family is {family!r}, expected one of {', '.join(FAMILIES)}")
    if trials < 1:
        raise ValueError(f"trials is {trials}, expected at least 1")
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else a line on stderr for each trial
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=True))
    study.enqueue_trial(FAMILIES[family].first)
    cuts = list(KFold(folds, shuffle=True, random_state=seed).split(train))
    with Parallel(n_jobs=-1) as pool:
        for done in range(0, trials, BATCH):
            batch = [study.ask() for _ in range(min(BATCH, trials - done))]
            proposed = [FAMILIES[family].space(trial) for trial in batch]
            results = iter(
                pool(
                    delayed(_score)(family, params, seed, train.iloc[fit], train.iloc[rest])
                    for params in proposed
                    for fit, rest in cuts
                )
            )
            for trial in batch:
                _tell(study, trial, [next(results) for _ in cuts])
    best = study.best_trial
    with threadpool_limits(1, "openmp"):
        model = FAMILIES[family].build(best.params, seed).fit(train[NAMES], train[TARGET])
    spread = best.user_attrs["spread"]
    return Search(family, best.params, model, best.value, spread, _table(study))


def _score(
    family: str, params: dict[str, Any], seed: int, fit: pd.DataFrame, rest: pd.DataFrame
) -> tuple[float, float]:
    """RMSE on `rest` of a model trained on `fit`, and the seconds it took."""
    started = time.perf_counter()
    with threadpool_limits(1, "openmp"):  # two are slower than one, four times on a busy machine
        model = FAMILIES[family].build(params, seed).fit(fit[NAMES], fit[TARGET])
        rmse = root_mean_squared_error(rest[TARGET], model.predict(rest[NAMES]))
    return float(rmse), time.perf_counter() - started


def _tell(study: optuna.Study, trial: optuna.Trial, folds: list[tuple[float, float]]) -> None:
    scores, seconds = zip(*folds, strict=True)
    trial.set_user_attr("spread", float(np.std(scores)))
    trial.set_user_attr("seconds", sum(seconds))
    study.tell(trial, float(np.mean(scores)))


def _table(study: optuna.Study) -> pd.DataFrame:
    rows = [
        {
            "rmse": trial.value,
            "seconds": trial.user_attrs["seconds"],
            **trial.params,
        }
        for trial in study.trials
    ]
    return pd.DataFrame(rows).rename_axis("trial")
