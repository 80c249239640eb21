"""The gate where labelled rows were trained on: what recent test rows must show, and older ones.

The gain is judged on the recent rows, which are newer than all that candidate and champion have
seen. If prices have changed, whoever is right about them is wrong on the older test rows as they
were recorded; so these are compared at today's prices, group by group, with the champion's
predictions at today's prices: nothing that it knew of places may get lost. Two checks hold whatever
the prices are: the candidate tells dear recent rows from cheap ones, so that true values which were
mixed up cannot pass, and it ranks the recorded test rows as well as the champion does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.base import RegressorMixin

from housing import geography
from housing.data.labelled_part import read_record
from housing.data.splitting import TrainTestSplit
from housing.evaluation import champion_comparison, slices
from housing.evaluation.champion_comparison import rmse_gain
from housing.registry.gate_checks import (
    RECENT_CHAMPION_GAIN_CHECK,
    RECENT_GAIN_INTERVAL_CHECK,
    RECENT_MEAN_GAIN_CHECK,
    Check,
    GateLimits,
    gain_checks,
)
from housing.schema import FEATURE_NAMES, HOUSE_VALUE_CAP, TARGET

MIN_PREDICTION = 0.1  # in $100,000: keeps a prediction of 0 out of the denominator
PRICE_SLICE = "price band"
MIN_GROUP_ROWS = 50  # of the groups that are compared
SPREAD_CHECK = "recent RMSE gain over the mean of these rows, lower end of its"
RANK_CHECK = "fall of the rank correlation with the recorded test values"


def has_seen_test_rows(tags: Mapping[str, str], manifest: Mapping[str, Any]) -> bool:
    """Return whether a version may have been trained on rows that a split holds out.

    It has not if it was trained on the same part of the data, and on no labelled row that is as
    new as the recent test rows. tags: of the version.
    """
    sha256, record = manifest["sha256"], read_record(manifest)
    if tags.get("train_sha256") == sha256["train"]:
        return False
    older_train = tags.get("older_train_sha256") or tags.get("train_sha256")
    if older_train != sha256.get("older_train", sha256["train"]):
        return True
    return record is not None and tags.get("labelled_until", "") >= record.recent_since


def count_missing_labelled_rows(tags: Mapping[str, str], manifest: Mapping[str, Any]) -> int:
    """Return how many labelled rows a version was trained on, if a split has none; else 0."""
    return 0 if read_record(manifest) else int(tags.get("labelled_rows") or 0)


def _has_index(split: TrainTestSplit) -> bool:
    """Return whether the older values of a split were multiplied."""
    record = read_record(split.manifest)
    return record is not None and bool(record.factors)


def at_todays_prices(champion_predictions: np.ndarray, split: TrainTestSplit) -> np.ndarray:
    """Return the champion's (n,) predictions for the test rows, at today's prices.

    They are multiplied by the median ratio of today's value and prediction in their region, if the
    test values were. A champion that is wrong by the change of prices alone would lose in most
    groups and win by chance in others: among the cheapest places it was too dear before.
    """
    if not _has_index(split):
        return champion_predictions
    ratios = split.test[TARGET] / np.maximum(champion_predictions, MIN_PREDICTION)
    regions = geography.assign_regions(split.test)
    factors = ratios.groupby(regions, observed=True).transform("median").to_numpy()
    return np.minimum(champion_predictions * factors, HOUSE_VALUE_CAP)


def run_checks(
    model: RegressorMixin,
    champion_model: RegressorMixin | None,
    split: TrainTestSplit,
    limits: GateLimits,
) -> list[Check]:
    """Check the candidate on the older test rows, and on the recent ones, which decide.

    split: with recent test rows. champion_model: the model to beat; None for the mean of the
    training part.
    """
    if champion_model is None:
        return _check_recent_rows(model, None, split, limits)
    return [
        _check_older_groups(model, champion_model, split, limits),
        _check_ranks(model, champion_model, split, limits),
        *_check_recent_rows(model, champion_model, split, limits),
    ]


def _check_older_groups(
    model: RegressorMixin,
    champion_model: RegressorMixin,
    split: TrainTestSplit,
    limits: GateLimits,
) -> Check:
    """Check the group of older rows whose RMSE increased the most, of those that surely got worse.

    The champion's predictions are at today's prices by the test rows themselves, so they are better
    than any that it can give: the loss of a small group may well be chance, the more so the more
    groups there are (Bonferroni, 1936). Bands of the true price
    are left out: among the dearest rows, whatever is multiplied wins by being too high. So are rows
    at the cap, which whatever is multiplied and then capped predicts exactly.
    """
    fair = at_todays_prices(champion_model.predict(split.test[FEATURE_NAMES]), split)
    is_compared = np.ones(len(fair), bool)
    if _has_index(split):
        is_compared = (split.test[TARGET] < HOUSE_VALUE_CAP).to_numpy()
    test, fair = split.test[is_compared], fair[is_compared]
    predictions = model.predict(test[FEATURE_NAMES])
    table = champion_comparison.compare_slices(test, predictions, fair, split.train)
    table = table[table["block groups"] >= MIN_GROUP_ROWS].drop(index=PRICE_SLICE, level="slice")
    losses = table["worse by, %"].dropna()
    level = 1 - (1 - limits.confidence_level) / max(len(losses), 1)
    groups = {groups.name: groups for groups in slices.assign_groups(test, split.train)}
    for (slice_name, group), loss in losses.sort_values(ascending=False).items():
        in_group = (groups[slice_name] == group).to_numpy()
        gain = rmse_gain(
            test[TARGET].to_numpy()[in_group],
            predictions[in_group],
            fair[in_group],
            level,
        )
        if loss <= limits.max_slice_loss_percent or not gain.high >= 0:
            name = f"RMSE increase of older rows at today's prices: {slice_name} {group}, %"
            return Check.at_most(name, loss, limits.max_slice_loss_percent)
    return Check("groups large enough to compare", 0.0, 1.0, False)


def _check_recent_rows(
    model: RegressorMixin,
    champion_model: RegressorMixin | None,
    split: TrainTestSplit,
    limits: GateLimits,
) -> list[Check]:
    recent, level = split.recent_test, limits.confidence_level
    assert recent is not None
    predictions = model.predict(recent[FEATURE_NAMES])
    y_true = recent[TARGET].to_numpy()
    spread = rmse_gain(y_true, predictions, np.full(len(recent), y_true.mean()), level)
    checks = [
        Check.at_least("recent test rows", len(recent), limits.min_test_rows),
        gain_checks(spread, SPREAD_CHECK, "", 0, level)[0],
    ]
    if champion_model is None:
        baseline, gain_check = (
            np.full(len(recent), split.train[TARGET].mean()),
            RECENT_MEAN_GAIN_CHECK,
        )
    else:
        baseline, gain_check = (
            champion_model.predict(recent[FEATURE_NAMES]),
            RECENT_CHAMPION_GAIN_CHECK,
        )
    gain = rmse_gain(y_true, predictions, baseline, level)
    return checks + gain_checks(
        gain, RECENT_GAIN_INTERVAL_CHECK, gain_check, limits.min_gain_usd, level
    )


def compare_test_parts(
    model: RegressorMixin, champion_model: RegressorMixin | None, split: TrainTestSplit
) -> pd.DataFrame:
    """Return a row for each test part: its rows, both RMSE in dollars, and the gain's interval.

    Without a champion, the baseline is the mean of the training part.
    """
    parts = {"test rows": split.test}
    if split.recent_test is not None and split.recorded_test is not None:
        parts = {
            "recent test rows": split.recent_test,
            "older test rows, at today's prices": split.test,
        }
        parts["older test rows, as recorded"] = split.recorded_test
    table = {}
    for name, rows in parts.items():
        y_true, features = rows[TARGET].to_numpy(), rows[FEATURE_NAMES]
        baseline = np.full(len(rows), split.train[TARGET].mean())
        if champion_model is not None:
            baseline = champion_model.predict(features)
        gain = rmse_gain(y_true, model.predict(features), baseline)
        zero_error = rmse_gain(y_true, y_true, baseline)
        table[name] = {
            "rows": len(rows),
            "RMSE before, $": zero_error.value,
            "RMSE, $": zero_error.value - gain.value,
            "gain, $": gain.value,
            "at least, $": gain.low,
            "at most, $": gain.high,
        }
    return pd.DataFrame(table).T


def _check_ranks(
    model: RegressorMixin,
    champion_model: RegressorMixin,
    split: TrainTestSplit,
    limits: GateLimits,
) -> Check:
    """Check that places are ranked as well as before: that changes little when prices do."""
    rows = split.test if split.recorded_test is None else split.recorded_test
    before, after = (
        spearmanr(judged.predict(rows[FEATURE_NAMES]), rows[TARGET]).statistic
        for judged in (champion_model, model)
    )
    return Check.at_most(RANK_CHECK, before - after, limits.max_rank_loss)
