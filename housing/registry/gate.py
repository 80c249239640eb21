"""The gate: what a candidate must show before it may become champion."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin, clone
from sklearn.metrics import root_mean_squared_error
from threadpoolctl import threadpool_limits

from housing.data.splitting import TrainTestSplit
from housing.evaluation import bootstrap, calibration
from housing.inference import served_model
from housing.models.intervals import IntervalModel
from housing.registry import versions
from housing.schema import FEATURE_NAMES, TARGET, USD_PER_UNIT

RELATIVE_TOLERANCE = (
    1e-9  # the largest relative difference between the graph's answers and the model's
)
N_RANDOM_ROWS, N_BOUNDARY_ROWS = 100_000, 20_000  # rows that both are asked, beside train and test
N_TIMING_CALLS = 200  # of one row each, to time the graph
EXPECTED_SIGNATURE = dict.fromkeys(FEATURE_NAMES, "double")  # what a candidate may ask for


class GateLimits(NamedTuple):
    """What a candidate must keep to."""

    min_gain_usd: float = 0.0  # dollars of test RMSE that it must gain, at the least
    confidence_level: float = 0.9  # of the interval of that gain, all of which must be a gain
    max_slice_loss_percent: float = 10.0  # percent by which no group of a slice may get worse
    prediction_margin: float = (
        0.2  # how far guesses may leave the training values, as a share of their range
    )
    max_latency_ms: float = 1.0  # milliseconds for one row
    max_size_mb: float = 50.0  # megabytes of the graph
    min_test_rows: int = 100  # of the test part: fewer are no evidence


DEFAULT_LIMITS = GateLimits()


class Check(NamedTuple):
    """One question the gate asked, and the answer."""

    check: str
    value: float
    limit: float
    passed: bool


def baseline_model(
    champion: versions.ModelVersion | None, split: TrainTestSplit
) -> RegressorMixin | None:
    """The champion's model; None if there is no champion.

    A champion that learnt from another split may have seen today's test rows: then its recipe is
    trained again on today's training part.
    """
    if champion is None:
        return None
    model = versions.load_model(champion)
    if champion.tags["train_sha256"] == split.manifest["sha256"]["train"]:
        return model
    return clone(model).fit(split.train[FEATURE_NAMES], split.train[TARGET])


def test_predictions(
    model: RegressorMixin, champion_model: RegressorMixin | None, split: TrainTestSplit
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) what the candidate says of the test rows, and what it must beat there.

    That is the champion's guess, or without a champion the mean of the training part.
    """
    guess = model.predict(split.test[FEATURE_NAMES])
    if champion_model is None:
        return guess, np.full(len(guess), split.train[TARGET].mean())
    return guess, champion_model.predict(split.test[FEATURE_NAMES])


def run_checks(
    model: RegressorMixin,
    onnx_model: bytes,
    split: TrainTestSplit,
    champion_model: RegressorMixin | None,
    signature_columns: Mapping[str, str],
    limits: GateLimits = DEFAULT_LIMITS,
    n_rollbacks: int = 0,
    intervals: IntervalModel | None = None,
) -> list[Check]:
    """The gate's checks, all asked even if one fails.

    served: the candidate's graph. champion: the model to beat on the same test rows; None for the
    first one, that must beat the mean of the training part, and has no slices to compare with.
    columns: name and type of each column that the candidate's signature asks for. taken_back: how
    many versions of this very model were rolled back (`promotion.taken_back`). intervals: those
    that the graph must answer with, if it is to have any.
    """
    guess, before = test_predictions(model, champion_model, split)
    finite, off = np.isfinite(guess), _max_relative_difference(model, onnx_model, split, intervals)
    checks = [
        _lower_limit_check("test rows", len(guess), limits.min_test_rows),
        Check("share of finite predictions", float(finite.mean()), 1.0, bool(finite.all())),
        _lower_limit_check(
            "share of predictions near the training values",
            _share_in_range(guess, split, limits),
            1,
        ),
        _upper_limit_check(
            "columns of the signature that are not the schema's",
            _count_signature_mismatches(signature_columns),
            0,
        ),
        _upper_limit_check("served graph differs from the model by", off, RELATIVE_TOLERANCE),
        _upper_limit_check(
            "one row takes, ms", _median_latency_ms(onnx_model, split), limits.max_latency_ms
        ),
        _upper_limit_check("served graph takes, MB", len(onnx_model) / 1e6, limits.max_size_mb),
        _upper_limit_check("times that this very model was rolled back", n_rollbacks, 0),
    ]
    if champion_model is not None:
        checks.append(_check_worst_slice(guess, before, split, limits))
    gained = bootstrap.rmse_gain(split.test[TARGET], guess, before, limits.confidence_level)
    beaten = "the training mean" if champion_model is None else "the champion"
    least = f"RMSE surely gained ({limits.confidence_level:.0%} interval), $"
    value, low = (round(one, 2) + 0.0 for one in (gained.value, gained.low))  # never -0
    return [
        *checks,
        Check(least, low, 0.0, low > 0),
        Check(
            f"test RMSE gained on {beaten}, $",
            value,
            limits.min_gain_usd,
            value > limits.min_gain_usd,
        ),
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


def checks_as_json(checks: list[Check]) -> list[dict[str, Any]]:
    """The checks as JSON can hold them: a number that is not finite becomes a text."""
    rows = [one._asdict() for one in checks]
    return [row | {"value": v if np.isfinite(v := row["value"]) else str(v)} for row in rows]


def test_rmse_usd(model: RegressorMixin | None, split: TrainTestSplit) -> float | None:
    """The model's RMSE on the test part in dollars; None for no model."""
    return None if model is None else _rmse_usd(split, model.predict(split.test[FEATURE_NAMES]))


def _upper_limit_check(name: str, value: float, limit: float) -> Check:
    return Check(name, float(value), float(limit), bool(value <= limit))


def _lower_limit_check(name: str, value: float, limit: float) -> Check:
    return Check(name, float(value), float(limit), bool(value >= limit))


def _share_in_range(predictions: np.ndarray, split: TrainTestSplit, limits: GateLimits) -> float:
    """The share of guesses that are no further outside the training values than the margin."""
    low, high = split.train[TARGET].min(), split.train[TARGET].max()
    room = (high - low) * limits.prediction_margin
    return float(np.mean((low - room <= predictions) & (predictions <= high + room)))


def _count_signature_mismatches(signature_columns: Mapping[str, str]) -> int:
    """How many columns are missing, not expected, or of another type; in another order, all."""
    if list(signature_columns) != FEATURE_NAMES and set(signature_columns) == set(FEATURE_NAMES):
        return len(FEATURE_NAMES)
    return len(set(signature_columns.items()) ^ set(EXPECTED_SIGNATURE.items()))


def _max_relative_difference(
    model: RegressorMixin, onnx_model: bytes, split: TrainTestSplit, intervals: IntervalModel | None
) -> float:
    """The largest difference, relative above $100,000: infinite if only one of them is a number.

    Of guesses, and of both ends of the intervals if there are any: on each row of train and test,
    on random rows, and on the splits of the trees.
    """
    train = split.train[FEATURE_NAMES].to_numpy()
    border = served_model.split_boundary_rows(onnx_model, train, N_BOUNDARY_ROWS)
    rows = np.vstack(
        [train, split.test[FEATURE_NAMES], served_model.random_rows(N_RANDOM_ROWS), border]
    )
    frame, session = pd.DataFrame(rows, columns=FEATURE_NAMES), served_model.load(onnx_model)
    if intervals is None:
        expected, answers = model.predict(frame), served_model.predict(session, rows)
    elif session.compute_intervals is None:
        return np.inf
    else:
        expected = np.stack(calibration.predict_with_interval(model, intervals, frame))
        answers = served_model.predict_intervals(session, rows).T
    off = np.abs(answers - expected) / np.maximum(1, np.abs(expected))
    return float(np.max(np.where(np.isnan(off), np.inf, off)))


def _median_latency_ms(onnx_model: bytes, split: TrainTestSplit) -> float:
    """The median of some calls on one thread, as in the service, in milliseconds.

    Two threads that wait for each other take 16 ms on a busy machine.
    """
    session, rows = served_model.load(onnx_model), split.test[FEATURE_NAMES].to_numpy()
    took = []
    with threadpool_limits(1, "openmp"):
        for at in np.resize(np.arange(len(rows)), N_TIMING_CALLS):
            started = time.perf_counter()
            served_model.predict(session, rows[at : at + 1])
            took.append(time.perf_counter() - started)
    return float(np.median(took)) * 1e3


def _check_worst_slice(
    predictions: np.ndarray,
    baseline_predictions: np.ndarray,
    split: TrainTestSplit,
    limits: GateLimits,
) -> Check:
    """The group that got worse the most."""
    try:
        found = bootstrap.worst_group(
            bootstrap.compare_slices(split.test, predictions, baseline_predictions, split.train)
        )
    except LookupError:  # a test part of a few rows, or guesses that are no numbers
        return Check("groups large enough to compare", 0.0, 1.0, False)
    kind, group = found.name
    return _upper_limit_check(
        f"{kind} {group} got worse by, %", found["worse by, %"], limits.max_slice_loss_percent
    )


def _rmse_usd(split: TrainTestSplit, predictions: np.ndarray) -> float:
    """In dollars; infinite if a guess is not finite."""
    if not np.isfinite(predictions).all():
        return float("inf")
    return float(root_mean_squared_error(split.test[TARGET], predictions)) * USD_PER_UNIT
