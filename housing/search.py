"""The hyper-parameter search: Optuna proposes, cross-validation on the training part decides."""

import hashlib
import inspect
import json
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
import pandas as pd
from sklearn.base import RegressorMixin
from sklearn.metrics import root_mean_squared_error
from threadpoolctl import threadpool_limits

from housing import blend, features, folds, models, neighbours, network, paths, workers
from housing.models import FAMILIES
from housing.schema import NAMES, TARGET, USD

BATCH = 4  # trials proposed at once: more use more cores, fewer learn more from each other
START = 4  # trials whose first fold is seen before one is given up after it
Say = Callable[[str], None]


class Budget(NamedTuple):
    """How long a search may take."""

    trials: dict[str, int]  # settings tried, a family
    folds: int  # parts of the cross-validation
    minutes: float  # after that no further trial is proposed; each family has one at least


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
    var/searches/ as it arrives, so a search that was stopped goes on where it was.

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
    with workers.workers(where) as run:
        scores = _Scores(train, budget.folds, seed, run)
        studies = [
            _study(one, trials or budget.trials[one], scores, started + budget.minutes * 60, say)
            for one in families
        ]
        say(f"training the best of {len(families)} families on all {len(train):,} rows")
        best = [one.best_trial.user_attrs["params"] for one in studies]
        tasks = zip(families, best, strict=True)
        trained = run(_trained, [(*one, seed, scores.data) for one in tasks])
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
    data = _kept(train)
    with workers.workers(where) as run:
        parts = run(_guesses, [(found.family, found.params, seed, data, *cut) for cut in cuts])
    return _together(cuts, parts)


def _study(family: str, trials: int, scores: "_Scores", deadline: float, say: Say) -> optuna.Study:
    """The family's trials, in memory: the scores are what is kept, and replayed after a stop."""
    title = FAMILIES[family].title
    study = optuna.create_study(pruner=optuna.pruners.MedianPruner(n_startup_trials=START))
    study.enqueue_trial(FAMILIES[family].first)
    for done in range(0, trials, BATCH):
        if done and time.monotonic() > deadline:
            break
        best = f", best so far ${study.best_value * USD:,.0f}" if done else ""
        say(f"{title}: trial {done + 1} of {trials}{best}")
        # a sampler a batch: after a stop, too, the next proposals are the same
        study.sampler = optuna.samplers.TPESampler(seed=scores.seed + done, constant_liar=True)
        batch = [study.ask() for _ in range(min(BATCH, trials - done))]
        for trial in batch:
            trial.set_user_attr("params", FAMILIES[family].space(trial))
        _try(study, family, batch, scores)
    return study


def _try(study: optuna.Study, family: str, batch: list[optuna.Trial], scores: "_Scores") -> None:
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
        trial.set_user_attr("seconds", sum(one.seconds for one in seen[trial.number]))
        if trial in going:
            study.tell(trial, float(np.mean(rmse)))
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def _found(
    family: str, study: optuna.Study, model: RegressorMixin, guesses: np.ndarray, count: int
) -> Search:
    best = study.best_trial
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


class _Score(NamedTuple):
    rmse: float
    seconds: float


class _Scores:
    """Scores of settings on folds: each is computed once, and kept in a file as it arrives.

    The file's name tells data, seed, folds and the code of the models apart.
    """

    def __init__(self, train: pd.DataFrame, count: int, seed: int, run: workers.Run) -> None:
        self.folds, self.seed, self.run = count, seed, run
        self.data = _kept(train)
        made_by = "".join(
            inspect.getsource(one) for one in (blend, features, models, neighbours, network)
        )
        told = f"{self.data.stem} {seed} {count} {made_by}"
        name = hashlib.sha256(told.encode()).hexdigest()[:16]
        self.file = self.data.with_name(f"{name}.jsonl")
        self.known: dict[str, _Score] = {}
        self.guessed: dict[str, np.ndarray] = {}  # in memory alone: they can be made again
        if self.file.exists():
            for line in self.file.read_text().splitlines(keepends=True):
                if line.endswith("\n"):  # else the process died while it wrote
                    key, *score = json.loads(line)
                    self.known[key] = _Score(*score)

    def of(self, family: str, asked: list[tuple[dict[str, Any], int]]) -> list[_Score]:
        """One for each of (settings, fold)."""
        keys = [_key(family, params, fold) for params, fold in asked]
        new = [at for at, key in enumerate(keys) if key not in self.known]
        tasks = [(family, *asked[at], self.folds, self.seed, self.data) for at in new]
        with self.file.open("a") as file:
            scored = self.run(_score, tasks) if tasks else []
            for at, (*score, guesses) in zip(new, scored, strict=True):
                self.known[keys[at]], self.guessed[keys[at]] = _Score(*score), guesses
                file.write(json.dumps([keys[at], *score]) + "\n")
        return [self.known[one] for one in keys]

    def guesses(self, family: str, params: dict[str, Any]) -> np.ndarray:
        """(n,) of each row by the model of the fold that held it out."""
        cuts = folds.random(len(_read(self.data)[1]), self.folds, self.seed)
        keys = [_key(family, params, fold) for fold in range(self.folds)]
        new = [at for at, key in enumerate(keys) if key not in self.guessed]
        tasks = [(family, params, self.seed, self.data, *cuts[at]) for at in new]
        for at, guesses in zip(new, self.run(_guesses, tasks) if tasks else [], strict=True):
            self.guessed[keys[at]] = guesses
        return _together(cuts, [self.guessed[one] for one in keys])


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
