"""The hyper-parameter search: Optuna proposes, cross-validation on the training part decides."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import optuna
import pandas as pd
from sklearn.base import RegressorMixin

from housing.models.families import FAMILIES
from housing.schema import USD_PER_UNIT
from housing.training import executors, folds
from housing.training.budgets import BUDGETS, Budget
from housing.training.cross_validation import CrossValidation

# trials proposed at once: more use more cores, fewer learn more from each other
TRIALS_PER_BATCH = 4
PRUNER_WARMUP_TRIALS = 4  # first folds that are seen before a trial is pruned after its own
MIN_STANDARD_ERRORS = 2  # by which a trial must be better than the initial settings
ProgressCallback = Callable[[str], None]


class SearchResult(NamedTuple):
    """The best settings of a family, the model trained with them, and all trials."""

    family: str
    params: dict[str, Any]  # the best settings
    model: RegressorMixin  # built with them and trained on the whole training part
    rmse: float  # their mean over the folds, in $100,000
    rmse_std: float  # the folds' standard deviation, in $100,000
    trials: pd.DataFrame  # a row a trial: rmse (NaN: pruned), first_fold, seconds, its params
    # (n,) in $100,000: of each training row by a model that was trained without it
    out_of_fold_predictions: np.ndarray
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
    """Find the best settings of each family, by cross-validated RMSE on the training part.

    TPE (Bergstra et al., 2011), each family's initial settings tried first, in batches whose folds
    run in parallel; a trial worse than the median after its first fold is pruned. The same seed
    gives the same result on any number of cores, and on any machines. Scores and best models are
    cached in var/searches/ as they arrive: a search that was stopped resumes, and one that was
    finished is read.

    n_trials: in each family, if not 0, instead of the budget's. on_progress: is called with a line
    on the progress. executor_address: see `executors.executor`. Raises ValueError for an unknown
    family or budget, or n_trials below 0.
    """
    budget = _check_arguments(families, budget, n_trials)
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else a line on stderr for each trial
    started_at = time.monotonic()
    deadline = started_at + budget.max_minutes * 60
    on_progress = on_progress or (lambda line: None)
    with executors.executor(executor_address) as run_tasks:
        fold_indices = folds.random_folds(len(train), budget.n_folds, seed)
        cross_validation = CrossValidation(train, fold_indices, seed, run_tasks)
        studies = {
            family: _run_study(
                family,
                n_trials or budget.n_trials[family],
                cross_validation,
                deadline,
                on_progress,
                budget.param_overrides.get(family, {}),
            )
            for family in families
        }
        on_progress(f"training the best of {len(families)} families on all {len(train):,} rows")
        results = _train_best(studies, cross_validation, budget.n_folds)
    total_trials = sum(len(study.trials) for study in studies.values())
    seconds = time.monotonic() - started_at
    on_progress(f"{len(families)} families, {total_trials} trials, {seconds:,.0f} s")
    return results


def _train_best(
    studies: Mapping[str, optuna.Study], cross_validation: CrossValidation, n_folds: int
) -> dict[str, SearchResult]:
    """Train each family's best settings on the whole training part."""
    best = {family: _select_trial(study).user_attrs for family, study in studies.items()}
    models = cross_validation.refit([(family, best[family]["params"]) for family in best])
    return {
        family: SearchResult(
            family=family,
            params=best[family]["params"],
            model=model,
            rmse=float(np.mean(best[family]["folds"])),
            rmse_std=float(np.std(best[family]["folds"])),
            trials=_trials_table(studies[family]),
            out_of_fold_predictions=cross_validation.out_of_fold_predictions(
                family, best[family]["params"]
            ),
            n_folds=n_folds,
        )
        for family, model in zip(best, models, strict=True)
    }


def _check_arguments(families: Sequence[str], budget: str | Budget, n_trials: int) -> Budget:
    """Return the budget of that name, or the budget itself. Raises ValueError."""
    unknown = [family for family in families if family not in FAMILIES]
    if unknown or not families:
        name = unknown[0] if unknown else ""
        raise ValueError(f"family is {name!r}, expected some of {', '.join(FAMILIES)}")
    if isinstance(budget, str) and budget not in BUDGETS:
        raise ValueError(f"budget is {budget!r}, expected one of {', '.join(BUDGETS)}")
    if n_trials < 0:
        raise ValueError(f"trials is {n_trials}, expected 1 or more, or 0 for the budget's")
    return BUDGETS[budget] if isinstance(budget, str) else budget


def predict_out_of_fold(
    result: SearchResult, train: pd.DataFrame, fold_indices: folds.FoldIndices, seed: int = 42
) -> np.ndarray:
    """Return the (n,) prediction of each training row by the result's settings, without its fold.

    fold_indices: (train, held-out) row numbers; each row is held out in one fold.
    """
    with executors.executor() as run_tasks:
        cross_validation = CrossValidation(train, fold_indices, seed, run_tasks)
        return cross_validation.out_of_fold_predictions(result.family, result.params)


def _run_study(
    family: str,
    n_trials: int,
    cross_validation: CrossValidation,
    deadline: float,
    on_progress: ProgressCallback,
    param_overrides: dict[str, Any],
) -> optuna.Study:
    """Run the family's trials. The study is in memory: after a stop its cached scores replay it.

    Proposing 48 trials anew takes 0.15 s; writing them to Optuna's own storage took 0.4 s (journal)
    to 2 s (sqlite), and two runs at once would each see the other's trials in it.
    """
    title = FAMILIES[family].title
    study = optuna.create_study(
        pruner=optuna.pruners.MedianPruner(n_startup_trials=PRUNER_WARMUP_TRIALS)
    )
    study.enqueue_trial(FAMILIES[family].initial_params | param_overrides)
    for n_finished in range(0, n_trials, TRIALS_PER_BATCH):
        if n_finished and time.monotonic() > deadline:
            break
        best = f", best so far ${study.best_value * USD_PER_UNIT:,.0f}" if n_finished else ""
        on_progress(f"{title}: trial {n_finished + 1} of {n_trials}{best}")
        # a sampler for each batch: the next proposals are the same after a stop, too
        study.sampler = optuna.samplers.TPESampler(
            seed=cross_validation.seed + n_finished, constant_liar=True
        )
        batch = [study.ask() for _ in range(min(TRIALS_PER_BATCH, n_trials - n_finished))]
        for trial in batch:
            params = FAMILIES[family].suggest_params(trial)
            fixed = {
                name: value for name, value in param_overrides.items() if name not in trial.params
            }
            trial.set_user_attr("params", params | fixed)
        _run_batch(study, family, batch, cross_validation)
    return study


def _run_batch(
    study: optuna.Study,
    family: str,
    batch: list[optuna.Trial],
    cross_validation: CrossValidation,
) -> None:
    """Evaluate all trials of a batch on the first fold, the promising ones on the others."""
    params = [trial.user_attrs["params"] for trial in batch]
    first_scores = cross_validation.evaluate(family, [(settings, 0) for settings in params])
    for trial, score in zip(batch, first_scores, strict=True):
        trial.report(score.rmse, 0)
    max_folds = len(cross_validation.fold_indices)
    n_folds = [1 if trial.should_prune() else max_folds for trial in batch]
    pairs = zip(params, n_folds, strict=True)
    scores = iter(
        cross_validation.evaluate(
            family, [(settings, fold) for settings, count in pairs for fold in range(count)]
        )
    )
    for trial, count in zip(batch, n_folds, strict=True):
        trial_scores = list(islice(scores, count))
        rmse = [score.rmse for score in trial_scores]
        trial.set_user_attr("folds", rmse)
        trial.set_user_attr("seconds", sum(score.seconds for score in trial_scores))
        if count == max_folds:
            study.tell(trial, float(np.mean(rmse)))
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def _select_trial(study: optuna.Study) -> optuna.trial.FrozenTrial:
    """Return the trial with the least RMSE if it is clearly better than the first; else the first.

    Of many trials as good as the first, one is better by chance, and not on other rows. Clearly: by
    more than two standard errors of the differences on the same folds; where only two models are
    compared, Breiman et al. (1984) ask for one.
    """
    first, best = study.trials[0], study.best_trial
    if best.number == first.number:
        return first
    gains = np.subtract(first.user_attrs["folds"], best.user_attrs["folds"])
    standard_error = gains.std(ddof=1) / np.sqrt(len(gains))
    return best if gains.mean() > MIN_STANDARD_ERRORS * standard_error else first


def _trials_table(study: optuna.Study) -> pd.DataFrame:
    completed = optuna.trial.TrialState.COMPLETE
    rows = [
        {
            "rmse": trial.value if trial.state == completed else np.nan,
            "first_fold": trial.user_attrs["folds"][0],
            "seconds": trial.user_attrs["seconds"],
            **trial.user_attrs["params"],
        }
        for trial in study.trials
    ]
    return pd.DataFrame(rows).rename_axis("trial")
