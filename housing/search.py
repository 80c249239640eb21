"""The hyper-parameter search: Optuna proposes, cross-validation on the training part decides."""

import time
from typing import Any, NamedTuple

import numpy as np
import optuna
import pandas as pd
from sklearn.base import RegressorMixin
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import KFold

from housing.models import FAMILIES
from housing.schema import NAMES, TARGET


class Search(NamedTuple):
    """What a search found."""

    family: str
    params: dict[str, Any]  # the best ones
    model: RegressorMixin  # built with them and trained on the whole training part
    rmse: float  # their mean over the folds, in $100,000
    spread: float  # the folds' standard deviation, in $100,000
    trials: pd.DataFrame  # a row a trial: state, rmse (NaN if pruned), seconds, and its params


def search(
    family: str, train: pd.DataFrame, trials: int = 10, folds: int = 3, seed: int = 42
) -> Search:
    """The best of `trials` settings of a family, by cross-validated RMSE on the training part.

    TPE (Bergstra et al., 2011), the family's own first guess tried first; a trial whose mean
    after a fold is worse than the median of the earlier ones is pruned. The same seed gives the
    same answer. Raises ValueError for an unknown family or less than one trial.
    """
    if family not in FAMILIES:
        raise ValueError(f"family is {family!r}, expected one of {', '.join(FAMILIES)}")
    if trials < 1:
        raise ValueError(f"trials is {trials}, expected at least 1")
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else a line on stderr for each trial
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    study.enqueue_trial(FAMILIES[family].first)
    study.optimize(lambda trial: _score(trial, family, train, folds, seed), n_trials=trials)
    best = study.best_trial
    model = FAMILIES[family].build(best.params, seed).fit(train[NAMES], train[TARGET])
    spread = best.user_attrs["spread"]
    return Search(family, best.params, model, best.value, spread, _table(study))


def _score(trial: optuna.Trial, family: str, train: pd.DataFrame, folds: int, seed: int) -> float:
    params = FAMILIES[family].space(trial)
    started, scores = time.perf_counter(), []
    for fold, (fit, score) in enumerate(KFold(folds, shuffle=True, random_state=seed).split(train)):
        part, rest = train.iloc[fit], train.iloc[score]
        model = FAMILIES[family].build(params, seed).fit(part[NAMES], part[TARGET])
        scores.append(root_mean_squared_error(rest[TARGET], model.predict(rest[NAMES])))
        trial.report(float(np.mean(scores)), fold)
        trial.set_user_attr("seconds", time.perf_counter() - started)
        if fold < folds - 1 and trial.should_prune():
            raise optuna.TrialPruned
    trial.set_user_attr("spread", float(np.std(scores)))
    return float(np.mean(scores))


def _table(study: optuna.Study) -> pd.DataFrame:
    rows = [
        {
            "state": trial.state.name.lower(),
            "rmse": trial.value if trial.state.name == "COMPLETE" else np.nan,
            "seconds": trial.user_attrs["seconds"],
            **trial.params,
        }
        for trial in study.trials
    ]
    return pd.DataFrame(rows).rename_axis("trial")
