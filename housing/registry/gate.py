"""The gate: what a candidate must show before it may become champion."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin, clone
from sklearn.metrics import root_mean_squared_error
from threadpoolctl import threadpool_limits

from housing.data.splitting import Split
from housing.evaluation import bootstrap, calibration
from housing.inference import served_model
from housing.models.intervals import Intervals
from housing.registry import versions
from housing.schema import NAMES, TARGET, USD

SAME = 1e-9  # the largest relative difference between the graph's answers and the model's
RANDOM, BORDERS = 100_000, 20_000  # rows that both are asked, beside train and test
CALLS = 200  # of one row each, to time the graph
SIGNATURE = dict.fromkeys(NAMES, "double")  # what a candidate may ask for


class Limits(NamedTuple):
    """What a candidate must keep to."""

    min_gain: float = 0.0  # dollars of test RMSE that it must gain, at the least
    certainty: float = 0.9  # of the interval of that gain, all of which must be a gain
    max_loss: float = 10.0  # percent by which no group of a slice may get worse
    margin: float = 0.2  # how far guesses may leave the training values, as a share of their range
    max_ms: float = 1.0  # milliseconds for one row
    max_mb: float = 50.0  # megabytes of the graph
    least_rows: int = 100  # of the test part: fewer are no evidence


LIMITS = Limits()


class Check(NamedTuple):
    """One question the gate asked, and the answer."""

    check: str
    value: float
    limit: float
    passed: bool


def to_beat(champion: versions.Version | None, split: Split) -> RegressorMixin | None:
    """The champion's model; None if there is no champion.

    A champion that learnt from another split may have seen today's test rows: then its recipe is
    trained again on today's training part.
    """
    if champion is None:
        return None
    model = versions.load_version(champion)
    if champion.tags["train_sha256"] == split.manifest["sha256"]["train"]:
        return model
    return clone(model).fit(split.train[NAMES], split.train[TARGET])


def guesses(
    model: RegressorMixin, champion: RegressorMixin | None, split: Split
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) what the candidate says of the test rows, and what it must beat there.

    That is the champion's guess, or without a champion the mean of the training part.
    """
    guess = model.predict(split.test[NAMES])
    if champion is None:
        return guess, np.full(len(guess), split.train[TARGET].mean())
    return guess, champion.predict(split.test[NAMES])


def judge(
    model: RegressorMixin,
    served: bytes,
    split: Split,
    champion: RegressorMixin | None,
    columns: Mapping[str, str],
    limits: Limits = LIMITS,
    taken_back: int = 0,
    intervals: Intervals | None = None,
) -> list[Check]:
    """The gate's checks, all asked even if one fails.

    served: the candidate's graph. champion: the model to beat on the same test rows; None for the
    first one, that must beat the mean of the training part, and has no slices to compare with.
    columns: name and type of each column that the candidate's signature asks for. taken_back: how
    many versions of this very model were rolled back (`promotion.taken_back`). intervals: those
    that the graph must answer with, if it is to have any.
    """
    guess, before = guesses(model, champion, split)
    finite, off = np.isfinite(guess), _difference(model, served, split, intervals)
    checks = [
        _at_least("test rows", len(guess), limits.least_rows),
        Check("share of finite predictions", float(finite.mean()), 1.0, bool(finite.all())),
        _at_least("share of predictions near the training values", _near(guess, split, limits), 1),
        _at_most("columns of the signature that are not the schema's", _foreign(columns), 0),
        _at_most("served graph differs from the model by", off, SAME),
        _at_most("one row takes, ms", _latency(served, split), limits.max_ms),
        _at_most("served graph takes, MB", len(served) / 1e6, limits.max_mb),
        _at_most("times that this very model was rolled back", taken_back, 0),
    ]
    if champion is not None:
        checks.append(_slices(guess, before, split, limits))
    gained = bootstrap.gain(split.test[TARGET], guess, before, limits.certainty)
    beaten = "the training mean" if champion is None else "the champion"
    least = f"RMSE surely gained ({limits.certainty:.0%} interval), $"
    value, low = (round(one, 2) + 0.0 for one in (gained.value, gained.low))  # never -0
    return [
        *checks,
        Check(least, low, 0.0, low > 0),
        Check(f"test RMSE gained on {beaten}, $", value, limits.min_gain, value > limits.min_gain),
    ]


def verdict(checks: list[Check]) -> tuple[bool, str]:
    """Is the candidate promoted, and the reason in a sentence."""
    failed = [one for one in checks if not one.passed]
    if failed:
        return False, "; ".join(
            f"{one.check}: {one.value:,g} (limit {one.limit:,g})" for one in failed
        )
    last = checks[-1]
    return True, f"all {len(checks)} checks passed; {last.check}: {last.value:,.0f}"


def told(checks: list[Check]) -> list[dict[str, Any]]:
    """The checks as JSON can hold them: a number that is not finite becomes a text."""
    rows = [one._asdict() for one in checks]
    return [row | {"value": v if np.isfinite(v := row["value"]) else str(v)} for row in rows]


def rmse_usd(model: RegressorMixin | None, split: Split) -> float | None:
    """The model's RMSE on the test part in dollars; None for no model."""
    return None if model is None else _rmse_usd(split, model.predict(split.test[NAMES]))


def _at_most(check: str, value: float, limit: float) -> Check:
    return Check(check, float(value), float(limit), bool(value <= limit))


def _at_least(check: str, value: float, limit: float) -> Check:
    return Check(check, float(value), float(limit), bool(value >= limit))


def _near(guess: np.ndarray, split: Split, limits: Limits) -> float:
    """The share of guesses that are no further outside the training values than the margin."""
    low, high = split.train[TARGET].min(), split.train[TARGET].max()
    room = (high - low) * limits.margin
    return float(np.mean((low - room <= guess) & (guess <= high + room)))


def _foreign(columns: Mapping[str, str]) -> int:
    """How many columns are missing, not expected, or of another type; in another order, all."""
    if list(columns) != NAMES and set(columns) == set(NAMES):
        return len(NAMES)
    return len(set(columns.items()) ^ set(SIGNATURE.items()))


def _difference(
    model: RegressorMixin, served: bytes, split: Split, intervals: Intervals | None
) -> float:
    """The largest difference, relative above $100,000: infinite if only one of them is a number.

    Of guesses, and of both ends of the intervals if there are any: on each row of train and test,
    on random rows, and on the splits of the trees.
    """
    train = split.train[NAMES].to_numpy()
    border = served_model.border_rows(served, train, BORDERS)
    rows = np.vstack([train, split.test[NAMES], served_model.random_rows(RANDOM), border])
    frame, session = pd.DataFrame(rows, columns=NAMES), served_model.session(served)
    if intervals is None:
        expected, answers = model.predict(frame), served_model.predict(session, rows)
    elif session.bound is None:
        return np.inf
    else:
        expected = np.stack(calibration.bounds(model, intervals, frame))
        answers = served_model.intervals(session, rows).T
    off = np.abs(answers - expected) / np.maximum(1, np.abs(expected))
    return float(np.max(np.where(np.isnan(off), np.inf, off)))


def _latency(served: bytes, split: Split) -> float:
    """The median of some calls on one thread, as in the service, in milliseconds.

    Two threads that wait for each other take 16 ms on a busy machine.
    """
    session, rows = served_model.session(served), split.test[NAMES].to_numpy()
    took = []
    with threadpool_limits(1, "openmp"):
        for at in np.resize(np.arange(len(rows)), CALLS):
            started = time.perf_counter()
            served_model.predict(session, rows[at : at + 1])
            took.append(time.perf_counter() - started)
    return float(np.median(took)) * 1e3


def _slices(guess: np.ndarray, before: np.ndarray, split: Split, limits: Limits) -> Check:
    """The group that got worse the most."""
    try:
        found = bootstrap.worst(bootstrap.by_slice(split.test, guess, before, split.train))
    except LookupError:  # a test part of a few rows, or guesses that are no numbers
        return Check("groups large enough to compare", 0.0, 1.0, False)
    kind, group = found.name
    return _at_most(f"{kind} {group} got worse by, %", found["worse by, %"], limits.max_loss)


def _rmse_usd(split: Split, guess: np.ndarray) -> float:
    """In dollars; infinite if a guess is not finite."""
    if not np.isfinite(guess).all():
        return float("inf")
    return float(root_mean_squared_error(split.test[TARGET], guess)) * USD
