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
from housing.schema import USD
from housing.training import executors, folds
from housing.training.cross_validation import Scores, out_of_fold_guesses

BATCH = 4  # trials proposed at once: more use more cores, fewer learn more from each other
START = 4  # trials whose first fold is seen before one is given up after it
SURE = 2  # standard errors that a trial must be better than the first guess
Say = Callable[[str], None]


class Budget(NamedTuple):
    """How long a search may take."""

    trials: dict[str, int]  # settings tried, a family
    folds: int  # parts of the cross-validation
    minutes: float  # after that no further trial is proposed; each family has one at least
    larger: Mapping[str, dict[str, Any]] = MappingProxyType({})  # what is worth the time, a family


BUDGETS = {
    "quick": Budget(dict.fromkeys(FAMILIES, 1), folds=2, minutes=1),
    "default": Budget(
        {"linear": 8, "tree": 8, "forest": 1, "boosting": 3, "neighbours": 3, "blend": 1},
        folds=3,
        minutes=2,
    ),
    "thorough": Budget(
        {"linear": 40, "tree": 40, "forest": 12, "boosting": 48, "neighbours": 48, "blend": 48},
        folds=5,
        minutes=60,
        larger={
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


class Search(NamedTuple):
    """What a search found."""

    family: str
    params: dict[str, Any]  # the best ones
    model: RegressorMixin  # built with them and trained on the whole training part
    rmse: float  # their mean over the folds, in $100,000
    spread: float  # the folds' standard deviation, in $100,000
    trials: pd.DataFrame  # a row a trial: rmse (NaN: given up), first_fold, seconds, its params
    guesses: np.ndarray  # (n,) in $100,000: of each training row by a model that has not seen it
    folds: int  # of the cross-validation those models come from


def search(
    families: Sequence[str],
    train: pd.DataFrame,
    budget: str | Budget = "default",
    trials: int = 0,
    seed: int = 42,
    say: Say | None = None,
    where: str | None = None,
) -> dict[str, Search]:
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
    if trials < 0:
        raise ValueError(f"trials is {trials}, expected 1 or more, or 0 for the budget's")
    budget = BUDGETS[budget] if isinstance(budget, str) else budget
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else a line on stderr for each trial
    started = time.monotonic()
    say = say or (lambda _: None)
    with executors.workers(where) as run:
        scores = Scores(train, budget.folds, seed, run)
        studies = [
            _study(one, trials or budget.trials[one], scores, started + budget.minutes * 60, say,
                   budget.larger.get(one, {}))
            for one in families
        ]  # fmt: skip
        say(f"training the best of {len(families)} families on all {len(train):,} rows")
        best = [_best(one).user_attrs["params"] for one in studies]
        trained = scores.trained(list(zip(families, best, strict=True)))
        guesses = [scores.guesses(*one) for one in zip(families, best, strict=True)]
    tried = sum(len(one.trials) for one in studies)
    say(f"{len(families)} families, {tried} trials, {time.monotonic() - started:,.0f} s")
    every = zip(families, studies, trained, guesses, strict=True)
    return {one[0]: _found(*one, budget.folds) for one in every}


def out_of_fold(
    found: Search, train: pd.DataFrame, cuts: folds.Cuts, seed: int = 42, where: str | None = None
) -> np.ndarray:
    """(n,) what the family with those settings says of each training row, trained without it.

    cuts: (fit, rest) row numbers; each row is in one rest.
    """
    with executors.workers(where) as run:
        return out_of_fold_guesses(found.family, found.params, train, cuts, seed, run)


def _study(
    family: str, trials: int, scores: Scores, deadline: float, say: Say, larger: dict[str, Any]
) -> optuna.Study:
    """The family's trials, in memory: the scores are what is kept, and replayed after a stop."""
    title = FAMILIES[family].title
    study = optuna.create_study(pruner=optuna.pruners.MedianPruner(n_startup_trials=START))
    study.enqueue_trial(FAMILIES[family].first | larger)
    for done in range(0, trials, BATCH):
        if done and time.monotonic() > deadline:
            break
        best = f", best so far ${study.best_value * USD:,.0f}" if done else ""
        say(f"{title}: trial {done + 1} of {trials}{best}")
        # a sampler a batch: after a stop, too, the next proposals are the same
        study.sampler = optuna.samplers.TPESampler(seed=scores.seed + done, constant_liar=True)
        batch = [study.ask() for _ in range(min(BATCH, trials - done))]
        for trial in batch:
            params = FAMILIES[family].space(trial)
            kept = {one: value for one, value in larger.items() if one not in trial.params}
            trial.set_user_attr("params", params | kept)
        _try(study, family, batch, scores)
    return study


def _try(study: optuna.Study, family: str, batch: list[optuna.Trial], scores: Scores) -> None:
    """All of a batch on the first fold, the promising ones on the others."""
    seen = {}
    firsts = scores.of(family, [(one.user_attrs["params"], 0) for one in batch])
    for trial, first in zip(batch, firsts, strict=True):
        trial.report(first.rmse, 0)
        seen[trial.number] = [first]
    going = [one for one in batch if not one.should_prune()]
    asked = [(one, fold) for one in going for fold in range(1, scores.folds)]
    rest = scores.of(family, [(one.user_attrs["params"], fold) for one, fold in asked])
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


def _best(study: optuna.Study) -> optuna.trial.FrozenTrial:
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
    return best if gains.mean() > SURE * error else first


def _found(
    family: str, study: optuna.Study, model: RegressorMixin, guesses: np.ndarray, count: int
) -> Search:
    best = _best(study)
    params, spread = best.user_attrs["params"], best.user_attrs["spread"]
    return Search(family, params, model, best.value, spread, _table(study), guesses, count)


def _table(study: optuna.Study) -> pd.DataFrame:
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
