"""What older house values are worth at the prices that labelled rows show: an index by region.

Some thousand labelled rows cannot outvote 16,512 older ones that contradict them, and are too few
to learn from alone. Where prices have changed, the older rows still tell what makes one place
dearer than another; so they stay, and their values are multiplied by what has changed: the median
ratio of true value and what a model of the older rows predicts, among labelled rows as compared
with older ones (a hedonic price index; Hill, 2013, Hedonic price indexes for residential housing).
It is taken only if it makes the errors on the newest labelled rows clearly smaller: without a
change, the values stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold, cross_val_predict
from threadpoolctl import threadpool_limits

from housing import geography
from housing.evaluation.champion_comparison import rmse_gain
from housing.schema import FEATURE_NAMES, HOUSE_VALUE_CAP, TARGET, USD_PER_UNIT

UNCHANGED = "older values as they are"
# of the labelled rows, the newest: they decide between the indexes, each half of them between those
# that are estimated without it
NEWEST_SHARE = 0.25
# the rows at today's prices begin at these shares of all: they may have changed a short while ago
START_SHARES = (0.0, 0.25, 0.5, 0.75, 0.875, 0.9375)
CONFIDENCE_LEVEL = 0.98  # of the gain that an index must show: its lower end is at 1 %
MIN_GAIN_SHARE = 0.01  # of the error, that it must gain at least: some 3 % of all prices
MAX_PREDICTION = 3.5  # in $100,000: dearer true values may be capped, which would bias a ratio
MIN_VALUE = 0.1  # in $100,000: keeps a true value of 0 out of the logarithm
PRIOR_ROWS = 30.0  # of a region, for which its own ratio counts half
N_FOLDS = 3  # of the older rows, whose usual ratios are those of models that have not seen them
MIN_ROWS = 30  # that an index is estimated from


class ValueIndex(NamedTuple):
    """The factors that bring values to today's prices, and the evidence for them."""

    factors: Mapping[str, float]  # region -> factor of the data's values; empty: they stay
    start: int  # the labelled rows from this one on, in the order of time, are at today's prices
    earlier_factors: Mapping[str, float]  # region -> factor of those before; empty: they stay
    # a row for each index that was tried: its RMSE on the held-out labelled rows; its gain over the
    # last index that was taken, and the lower end of that gain's interval; whether it was taken
    evidence: pd.DataFrame


class _Ratios(NamedTuple):
    """What rows say of the prices, (n,) each."""

    log_ratios: np.ndarray  # true value / what a model of the older rows predicts; NaN: capped
    regions: np.ndarray


def estimate(older: pd.DataFrame, labelled: pd.DataFrame, seed: int = 42) -> ValueIndex:
    """Estimate by which factors the prices of labelled rows differ from those of older rows.

    older: (n, 9), the training rows of the data. labelled: (m, 9), in the order of time; none of a
    test part. Beginning with none, the indexes are tried from the simplest on: the same everywhere,
    or by region; from all labelled rows, or the later ones. Each is taken if its errors on the
    newest labelled rows are clearly smaller than those of the last one.
    """
    with threadpool_limits(1):  # more are slower on a busy machine, and the numbers are the same
        reference, X, y = _reference_model(seed), older[FEATURE_NAMES], older[TARGET]
        folds = KFold(N_FOLDS, shuffle=True, random_state=seed)
        older_ratios = _compare(older, cross_val_predict(reference, X, y, cv=folds))
        predictions = reference.fit(X, y).predict(labelled[FEATURE_NAMES])
    ratios = _subtract_medians(_compare(labelled, predictions), older_ratios)
    newest = np.arange(len(labelled) - round(NEWEST_SHARE * len(labelled)), len(labelled))
    y_true, best_pred = labelled[TARGET].to_numpy()[newest], predictions[newest]
    best = False, -1  # whether by region, from which row on
    evidence = [(UNCHANGED, _rmse_usd(y_true, best_pred), np.nan, np.nan, True)]
    for by_region in (False, True):
        for start in sorted({round(share * len(labelled)) for share in START_SHARES}):
            if len(labelled) - start < 2 * MIN_ROWS:
                continue
            y_pred = _predict_newest(predictions, ratios, newest, start, by_region)
            gain = rmse_gain(y_true, y_pred, best_pred, CONFIDENCE_LEVEL, seed)
            is_better = gain.low > 0 and gain.value > MIN_GAIN_SHARE * _rmse_usd(y_true, best_pred)
            name = (
                f"{'by region' if by_region else 'everywhere'}, from labelled row {start + 1:,} on"
            )
            evidence.append((name, _rmse_usd(y_true, y_pred), gain.value, gain.low, is_better))
            if is_better:
                best, best_pred = (by_region, start), y_pred
    return _final_index(ratios, *best, _evidence_table(evidence))


def _predict_newest(
    predictions: np.ndarray, ratios: _Ratios, newest: np.ndarray, start: int, by_region: bool
) -> np.ndarray:
    """Return what is predicted for the newest rows, (n_newest,), with an index from a row on.

    predictions: (m,) of all labelled rows. Every second of the newest rows is predicted with the
    factors of all others, and the other way round.
    """
    is_today = np.arange(len(predictions)) >= start
    scaled = predictions.copy()
    for half in (newest[::2], newest[1::2]):
        is_fitted = is_today.copy()
        is_fitted[half] = False
        factors = _estimate_factors(ratios, is_fitted, by_region)
        scales = pd.Series(ratios.regions[half]).map(factors).to_numpy(float)
        scaled[half] = np.minimum(predictions[half] * scales, HOUSE_VALUE_CAP)
    return np.where(is_today, scaled, predictions)[newest]


def _reference_model(seed: int) -> HistGradientBoostingRegressor:
    """Return a model of prices that needs no tuning: the ratio is a median, not its last digit."""
    return HistGradientBoostingRegressor(random_state=seed)


def _compare(labelled: pd.DataFrame, predictions: np.ndarray) -> _Ratios:
    values, predicted = (
        np.log(np.maximum(prices, MIN_VALUE)) for prices in (labelled[TARGET], predictions)
    )
    log_ratios = np.where(predictions < MAX_PREDICTION, values - predicted, np.nan)
    return _Ratios(log_ratios, geography.assign_regions(labelled).to_numpy(str))


def _subtract_medians(ratios: _Ratios, older: _Ratios) -> _Ratios:
    """Return the ratios without what they are among older rows that the model has not seen.

    A model predicts means: half of the true values are 3 % below, as few are far above.
    """
    older_factors = _estimate_factors(older, slice(None), by_region=True)
    usual = np.log(pd.Series(ratios.regions).map(older_factors).to_numpy(float))
    return ratios._replace(log_ratios=ratios.log_ratios - usual)


def _estimate_factors(
    ratios: _Ratios, rows: slice | np.ndarray, by_region: bool
) -> dict[str, float]:
    """Return the median ratio for each region, that of few rows drawn towards the overall one."""
    log_ratios, regions = ratios.log_ratios[rows], ratios.regions[rows]
    overall = float(np.nan_to_num(np.nanmedian(log_ratios)))
    factors = {}
    for region in geography.REGIONS:
        own = log_ratios[(regions == region) & np.isfinite(log_ratios)] if by_region else []
        weight = len(own) / (len(own) + PRIOR_ROWS)
        own_median = float(np.median(own)) if len(own) else overall
        factors[region] = float(np.exp(weight * own_median + (1 - weight) * overall))
    return factors


def _final_index(
    ratios: _Ratios, by_region: bool, start: int, evidence: pd.DataFrame
) -> ValueIndex:
    """Return the index that was taken, estimated from the held-out rows too."""
    if start < 0:
        return ValueIndex({}, 0, {}, evidence)
    factors = _estimate_factors(ratios, slice(start, None), by_region)
    if start < MIN_ROWS:
        return ValueIndex(factors, 0, {}, evidence)
    then = _estimate_factors(ratios, slice(0, start), by_region)
    earlier_factors = {region: factor / then[region] for region, factor in factors.items()}
    return ValueIndex(factors, start, earlier_factors, evidence)


def _evidence_table(rows: list[tuple[str, float, float, float, bool]]) -> pd.DataFrame:
    columns = ["index", "RMSE, $", "better by, $", "at least, $", "taken"]
    return pd.DataFrame(rows, columns=columns).set_index("index")


def _rmse_usd(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    return float(np.sqrt(np.mean((y_true - y_pred) ** 2))) * USD_PER_UNIT
