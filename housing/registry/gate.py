"""The gate: the checks that a candidate must pass before it may become champion."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from sklearn.base import RegressorMixin, clone
from sklearn.metrics import root_mean_squared_error

from housing.data.splitting import TrainTestSplit
from housing.evaluation import champion_comparison
from housing.models.intervals import IntervalModel
from housing.registry import graph_verification, missing_champion, recent_gate, versions
from housing.registry.gate_checks import (
    CHAMPION_GAIN_CHECK,
    DEFAULT_LIMITS,
    GAIN_INTERVAL_CHECK,
    LABELLED_ROWS_CHECK,
    MEAN_GAIN_CHECK,
    Check,
    GateLimits,
    describe_failure,
    describe_gain,
    gain_checks,
)
from housing.registry.graph_verification import RELATIVE_TOLERANCE
from housing.schema import FEATURE_NAMES, TARGET, USD_PER_UNIT

EXPECTED_SIGNATURE = dict.fromkeys(FEATURE_NAMES, "double")  # column -> type


class Verdict(NamedTuple):
    """The decision of the gate, and the reason in a sentence."""

    promoted: bool
    reason: str


def baseline_model(
    champion: versions.ModelVersion | None, split: TrainTestSplit
) -> RegressorMixin | None:
    """Return the model to beat, the champion's; None if there is no champion.

    A champion that may have seen today's test rows (`recent_gate.has_seen_test_rows`) is replaced
    by a clone of it that is fitted to today's training part.
    """
    if champion is None:
        return None
    model = versions.load_model(champion)
    if not recent_gate.has_seen_test_rows(champion.tags, split.manifest):
        return model
    return clone(model).fit(split.train[FEATURE_NAMES], split.train[TARGET])


class Baseline(NamedTuple):
    """The model to beat."""

    model: RegressorMixin | None  # None: there is no champion, or it cannot be compared with
    note: str  # why the champion, present or last, cannot be compared with; empty if it can
    # labelled rows that the champion has learnt from, if today's split has none
    labelled_rows: int = 0


def load_baseline(
    name: str, champion: versions.ModelVersion | None, split: TrainTestSplit
) -> Baseline:
    """Return the champion's model; none, with a note that says why, if it is not there any more.

    A champion that cannot be loaded counts as none, as it cannot be served again either. name: of
    the registered model. Raises StoreUnreachableError if its files cannot be fetched now.
    """
    if champion is None:
        return Baseline(None, missing_champion.describe(name))
    try:
        versions.check_data_source(champion)
        model = baseline_model(champion, split)
        if model is not None:
            model.predict(split.test[FEATURE_NAMES][:1])
        n_labelled = recent_gate.count_missing_labelled_rows(champion.tags, split.manifest)
        return Baseline(model, "", n_labelled)
    except OSError:  # it may be there, and cannot be read now
        raise
    except Exception as error:  # a model made by hand may fail in any way
        return Baseline(
            None,
            f"version {champion.version}, the champion, cannot be compared with, as it cannot be "
            f"served: {error}. The candidate is compared with the training mean instead",
        )


def predict_test_rows(
    model: RegressorMixin, champion_model: RegressorMixin | None, split: TrainTestSplit
) -> tuple[np.ndarray, np.ndarray]:
    """Predict the test rows with the candidate and with its baseline, (n,) each in $100,000.

    The baseline is the champion, or the mean of the training part if there is no champion.
    """
    predictions = model.predict(split.test[FEATURE_NAMES])
    if champion_model is None:
        return predictions, np.full(len(predictions), split.train[TARGET].mean())
    return predictions, champion_model.predict(split.test[FEATURE_NAMES])


def check_labelled_rows(baseline: Baseline) -> list[Check]:
    """Check that the candidate does not undo what the champion has learnt from the log.

    Test rows of the data alone would not show that prices have changed since. Returns no check if
    there is nothing to undo.
    """
    if not baseline.labelled_rows:
        return []
    return [Check.at_most(LABELLED_ROWS_CHECK, baseline.labelled_rows, 0)]


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
    """Run every check of the gate, even after one has failed.

    onnx_model: the candidate's graph. champion_model: the model to beat on the same test rows; None
    for the first candidate, which must beat the mean of the training part and has no slices to
    compare with. signature_columns: name and type of each column of the candidate's signature.
    n_rollbacks: how many versions of this very model were rolled back
    (`promotion.previous_rollbacks`). intervals: those that the graph must predict, if any. With
    labelled rows, the gain is that on the recent test rows, and the test rows are compared at
    today's prices (`recent_gate`).
    """
    predictions, baseline_predictions = predict_test_rows(model, champion_model, split)
    checks = [
        Check.at_least("test rows", len(predictions), limits.min_test_rows),
        Check.at_least("share of finite predictions", np.isfinite(predictions).mean(), 1),
        Check.at_least(
            "share of predictions near the training values",
            _share_in_range(predictions, split, limits),
            1,
        ),
        Check.at_most(
            "signature columns that differ from the schema",
            _count_signature_mismatches(signature_columns),
            0,
        ),
        *_serving_checks(model, onnx_model, split, limits, intervals),
        Check.at_most("earlier rollbacks of this very model", n_rollbacks, 0),
    ]
    if split.recent_test is not None:
        return [*checks, *recent_gate.run_checks(model, champion_model, split, limits)]
    if champion_model is not None:
        checks.append(_check_worst_slice(predictions, baseline_predictions, split, limits))
    gain_check = MEAN_GAIN_CHECK if champion_model is None else CHAMPION_GAIN_CHECK
    level = limits.confidence_level
    gain = champion_comparison.rmse_gain(
        split.test[TARGET], predictions, baseline_predictions, level
    )
    return [
        *checks,
        *gain_checks(gain, GAIN_INTERVAL_CHECK, gain_check, limits.min_gain_usd, level),
    ]


def verdict(checks: list[Check]) -> Verdict:
    """Decide whether the candidate is promoted, and give the reason in a sentence."""
    failed_checks = [check for check in checks if not check.passed]
    if failed_checks:
        return Verdict(False, "; ".join(map(describe_failure, failed_checks)))
    return Verdict(True, f"all {len(checks)} checks passed; {describe_gain(checks[-1])}")


def rmse_on_test_rows_usd(model: RegressorMixin | None, split: TrainTestSplit) -> float | None:
    """Return the model's RMSE on the test rows in dollars; None for no model.

    It is infinite if a prediction is not finite.
    """
    if model is None:
        return None
    predictions = model.predict(split.test[FEATURE_NAMES])
    if not np.isfinite(predictions).all():
        return float("inf")
    return float(root_mean_squared_error(split.test[TARGET], predictions)) * USD_PER_UNIT


def _serving_checks(
    model: RegressorMixin,
    onnx_model: bytes,
    split: TrainTestSplit,
    limits: GateLimits,
    intervals: IntervalModel | None,
) -> list[Check]:
    """Check that the graph predicts what the model does, quickly, and in little memory."""
    difference = graph_verification.max_relative_difference(model, onnx_model, split, intervals)
    latency = graph_verification.median_latency_ms(onnx_model, split)
    size_mb = len(onnx_model) / 1e6
    return [
        Check.at_most("served graph differs from the model by", difference, RELATIVE_TOLERANCE),
        Check.at_most("median latency of one row, ms", latency, limits.max_latency_ms),
        Check.at_most("size of the served graph, MB", size_mb, limits.max_size_mb),
    ]


def _share_in_range(predictions: np.ndarray, split: TrainTestSplit, limits: GateLimits) -> float:
    """Return the share of predictions within the training values, extended by the margin."""
    low, high = split.train[TARGET].min(), split.train[TARGET].max()
    margin = (high - low) * limits.prediction_margin
    return float(np.mean((low - margin <= predictions) & (predictions <= high + margin)))


def _count_signature_mismatches(signature_columns: Mapping[str, str]) -> int:
    """Count the columns that are missing, unexpected or of another type; in another order, all."""
    if list(signature_columns) != FEATURE_NAMES and set(signature_columns) == set(FEATURE_NAMES):
        return len(FEATURE_NAMES)
    return len(set(signature_columns.items()) ^ set(EXPECTED_SIGNATURE.items()))


def _check_worst_slice(
    predictions: np.ndarray,
    baseline_predictions: np.ndarray,
    split: TrainTestSplit,
    limits: GateLimits,
) -> Check:
    """Check the group whose RMSE increased the most."""
    try:
        table = champion_comparison.compare_slices(
            split.test, predictions, baseline_predictions, split.train
        )
        worst_group = champion_comparison.worst_group(table)
    except LookupError:  # the test part has few rows, or no prediction is a number
        return Check("groups large enough to compare", 0.0, 1.0, False)
    slice_name, group = worst_group.name
    return Check.at_most(
        f"RMSE increase of {slice_name} {group}, %",
        worst_group["worse by, %"],
        limits.max_slice_loss_percent,
    )
