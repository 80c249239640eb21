"""The hyper-parameter search: Optuna proposes, cross-validation on the training part decides."""

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import optuna
import pandas as pd
from sklearn.base import RegressorMixin

from housing.models.families import FAMILIES
from housing.schema import USD_PER_UNIT
from housing.training import executors, folds
from housing.training.cross_validation import CachedCrossValidation, cross_val_predict

TRIALS_PER_BATCH = (
    4  # trials proposed at once: more use more cores, fewer learn more from each other
)
PRUNER_WARMUP_TRIALS = 4  # trials whose first fold is seen before one is given up after it
MIN_STANDARD_ERRORS = 2  # standard errors that a trial must be better than the first guess
ProgressCallback = Callable[[str], None]


class Budget(NamedTuple):
    """How long a search may take."""

    n_trials: dict[str, int]  # settings tried, a family
    n_folds: int  # parts of the cross-validation
    max_minutes: float  # after that no further trial is proposed; each family has one at least
    param_overrides: Mapping[str, dict[str, Any]] = MappingProxyType(
        {}
    )  # what is worth the time, a family


BUDGETS = {
    "quick": Budget(dict.fromkeys(FAMILIES, 1), n_folds=2, max_minutes=1),
    "default": Budget(
        {"linear": 8, "tree": 8, "forest": 1, "boosting": 3, "neighbours": 3, "blend": 1},
        n_folds=3,
        max_minutes=2,
    ),
    "thorough": Budget(
        {"linear": 40, "tree": 40, "forest": 12, "boosting": 48, "neighbours": 48, "blend": 48},
        n_folds=5,
        max_minutes=60,
        param_overrides={
            "blend": {
                "trees": 600,
                "learning_rate": 0.055,
                "leaves": 32,
                "narrow_trees": 600,
                "networks": 2,
            }
        },
    ),
}


class SearchResult(NamedTuple):
    """What a search found."""

    family: str
    params: dict[str, Any]  # the best ones
    model: RegressorMixin  # built with them and trained on the whole training part
    rmse: float  # their mean over the folds, in $100,000
    rmse_std: float  # the folds' standard deviation, in $100,000
    trials: pd.DataFrame  # a row a trial: rmse (NaN: given up), first_fold, seconds, its params
    out_of_fold_predictions: (
        np.ndarray
    )  # (n,) in $100,000: of each training row by a model that has not seen it
    n_folds: int  # of the cross-validation those models come from


def tune_families(
    families: Sequence[str],
    train: pd.DataFrame,
    budget: str | Budget = "default",
    n_trials: int = 0,
    seed: int = 42,
    on_progress: ProgressCallback | None = None,
    executor_address: str | None = None,
) -> dict[str, SearchResult]:
    """For each family the best settings, by cross-validated RMSE on the training part.

    TPE (Bergstra et al., 2011), each family's own first guess tried first, in batches whose folds
    run side by side; a trial worse than the median after its first fold is given up. The same seed
    gives the same answer on any number of cores, and on any machines. Each score is kept in
    var/searches/ as it arrives, and the best models are: a search that was stopped goes on where
    it was, and one that was finished is read.

    trials: in each family, if not 0, instead of the budget's. say: is told how far it is. where:
    see `workers.workers`. Raises ValueError for an unknown family or budget, or trials below 0.
    """
    unknown = [one for one in families if one not in FAMILIES]
    if unknown or not families:
        name = unknown[0] if unknown else ""
        raise ValueError(f"family is {name!r}, expected some of {', '.join(FAMILIES)}")
    if isinstance(budget, str) and budget not in BUDGETS:
        raise ValueError(f"budget is {budget!r}, expected one of {', '.join(BUDGETS)}")
    if n_trials < 0:
        raise ValueError(f"trials is {n_trials}, expected 1 or more, or 0 for the budget's")
    budget = BUDGETS[budget] if isinstance(budget, str) else budget
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else a line on stderr for each trial
    started = time.monotonic()
    on_progress = on_progress or (lambda _: None)
    with executors.executor(executor_address) as run:
        scores = CachedCrossValidation(train, budget.n_folds, seed, run)
        studies = [
            _run_study(one, n_trials or budget.n_trials[one], scores, started + budget.max_minutes * 60, on_progress,
                   budget.param_overrides.get(one, {}))
            for one in families
        ]  # fmt: skip
        on_progress(f"training the best of {len(families)} families on all {len(train):,} rows")
        best = [_select_trial(one).user_attrs["params"] for one in studies]
        trained = scores.refit(list(zip(families, best, strict=True)))
        guesses = [scores.out_of_fold_predictions(*one) for one in zip(families, best, strict=True)]
    tried = sum(len(one.trials) for one in studies)
    on_progress(f"{len(families)} families, {tried} trials, {time.monotonic() - started:,.0f} s")
    every = zip(families, studies, trained, guesses, strict=True)
    return {one[0]: _search_result(*one, budget.n_folds) for one in every}


def predict_out_of_fold(
    result: SearchResult,
    train: pd.DataFrame,
    fold_indices: folds.FoldIndices,
    seed: int = 42,
    executor_address: str | None = None,
) -> np.ndarray:
    """(n,) what the family with those settings says of each training row, trained without it.

    cuts: (fit, rest) row numbers; each row is in one rest.
    """
    with executors.executor(executor_address) as run:
        return cross_val_predict(result.family, result.params, train, fold_indices, seed, run)


def _run_study(
    family: str,
    n_trials: int,
    cross_validation: CachedCrossValidation,
    deadline: float,
    on_progress: ProgressCallback,
    param_overrides: dict[str, Any],
) -> optuna.Study:
    """The family's trials, in memory: the scores are what is kept, and replayed after a stop."""
    title = FAMILIES[family].title
    study = optuna.create_study(
        pruner=optuna.pruners.MedianPruner(n_startup_trials=PRUNER_WARMUP_TRIALS)
    )
    study.enqueue_trial(FAMILIES[family].initial_params | param_overrides)
    for done in range(0, n_trials, TRIALS_PER_BATCH):
        if done and time.monotonic() > deadline:
            break
        best = f", best so far ${study.best_value * USD_PER_UNIT:,.0f}" if done else ""
        on_progress(f"{title}: trial {done + 1} of {n_trials}{best}")
        # a sampler a batch: after a stop, too, the next proposals are the same
        study.sampler = optuna.samplers.TPESampler(
            seed=cross_validation.seed + done, constant_liar=True
        )
        batch = [study.ask() for _ in range(min(TRIALS_PER_BATCH, n_trials - done))]
        for trial in batch:
            params = FAMILIES[family].suggest_params(trial)
            kept = {one: value for one, value in param_overrides.items() if one not in trial.params}
            trial.set_user_attr("params", params | kept)
        _run_batch(study, family, batch, cross_validation)
    return study


def _run_batch(
    study: optuna.Study,
    family: str,
    batch: list[optuna.Trial],
    cross_validation: CachedCrossValidation,
) -> None:
    """All of a batch on the first fold, the promising ones on the others."""
    seen = {}
    firsts = cross_validation.evaluate(family, [(one.user_attrs["params"], 0) for one in batch])
    for trial, first in zip(batch, firsts, strict=True):
        trial.report(first.rmse, 0)
        seen[trial.number] = [first]
    going = [one for one in batch if not one.should_prune()]
    asked = [(one, fold) for one in going for fold in range(1, cross_validation.n_folds)]
    rest = cross_validation.evaluate(
        family, [(one.user_attrs["params"], fold) for one, fold in asked]
    )
    for (trial, _), score in zip(asked, rest, strict=True):
        seen[trial.number].append(score)
    for trial in batch:
        rmse = [one.rmse for one in seen[trial.number]]
        trial.set_user_attr("first_fold", rmse[0])
        trial.set_user_attr("spread", float(np.std(rmse)))
        trial.set_user_attr("folds", rmse)
        trial.set_user_attr("seconds", sum(one.seconds for one in seen[trial.number]))
        if trial in going:
            study.tell(trial, float(np.mean(rmse)))
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def _select_trial(study: optuna.Study) -> optuna.trial.FrozenTrial:
    """The trial with the least RMSE, if it surely beats the first guess; else the first guess.

    Of many trials as good as the first, one is better by luck, and not on other rows. Sure: by more
    than two standard errors of the differences on the same folds; where only two models meet,
    Breiman et al. (1984) ask for one.
    """
    first, best = study.trials[0], study.best_trial
    if best.number == first.number:
        return first
    gains = np.subtract(first.user_attrs["folds"], best.user_attrs["folds"])
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return best if gains.mean() > MIN_STANDARD_ERRORS * error else first


def _search_result(
    family: str,
    study: optuna.Study,
    model: RegressorMixin,
    out_of_fold_predictions: np.ndarray,
    n_folds: int,
) -> SearchResult:
    best = _select_trial(study)
    params, spread = best.user_attrs["params"], best.user_attrs["spread"]
    return SearchResult(
        family,
        params,
        model,
        best.value,
        spread,
        _trials_table(study),
        out_of_fold_predictions,
        n_folds,
    )


def _trials_table(study: optuna.Study) -> pd.DataFrame:
    rows = [
        {
            "rmse": one.value if one.state == optuna.trial.TrialState.COMPLETE else np.nan,
            "first_fold": one.user_attrs["first_fold"],
            "seconds": one.user_attrs["seconds"],
            **one.user_attrs["params"],
        }
        for one in study.trials
    ]
    return pd.DataFrame(rows).rename_axis("trial")
