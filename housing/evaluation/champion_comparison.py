"""Compare candidate and champion on the same rows: the gain, its interval, and the worst slice."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from housing.evaluation.bootstrap import percentile_interval
from housing.evaluation.slices import errors_by_slice
from housing.schema import USD_PER_UNIT

N_RESAMPLES = 2_000


class RmseGain(NamedTuple):
    """The dollars of RMSE gained, and the ends of the confidence interval of that gain."""

    value: float
    low: float
    high: float


def rmse_gain(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    baseline_pred: np.ndarray,
    confidence_level: float = 0.9,
    seed: int = 0,
) -> RmseGain:
    """Return the RMSE of `baseline_pred` less that of `y_pred`, in dollars: positive is better.

    y_true, y_pred, baseline_pred: (n,) each, in $100,000, of the same rows. Paired percentile
    bootstrap (Efron & Tibshirani, 1993, chapter 16): both predictions are scored on the same
    resampled rows, so that a row which is hard for both does not widen the interval. A prediction
    that is not finite gains minus infinity. Raises ValueError if confidence_level is not between 0
    and 1.
    """
    new, baseline = _squared_errors(y_true, y_pred), _squared_errors(y_true, baseline_pred)
    if not np.isfinite(new).all():
        return RmseGain(-np.inf, -np.inf, -np.inf)

    low, high = percentile_interval(
        (new, baseline), _gain_of_squares, N_RESAMPLES, confidence_level, seed
    )
    return RmseGain(float(_gain_of_squares(new, baseline)), float(low), float(high))


def compare_slices(
    test: pd.DataFrame, y_pred: np.ndarray, baseline_pred: np.ndarray, train: pd.DataFrame
) -> pd.DataFrame:
    """Return a row for each group of each slice: size, both RMSE in dollars, and the loss.

    test, train: (n, 9); y_pred, baseline_pred: (n,) in $100,000, of the test rows. The index is
    (slice, group), as in `slices.errors_by_slice`; the loss is in percent of the baseline's RMSE.
    """
    table = errors_by_slice(test, y_pred, train)[["block groups", "RMSE, $"]]
    baseline_rmse = errors_by_slice(test, baseline_pred, train)["RMSE, $"]
    loss_percent = (table["RMSE, $"] / baseline_rmse.where(baseline_rmse > 0) - 1) * 100
    return table.assign(**{"RMSE before, $": baseline_rmse, "worse by, %": loss_percent})


def worst_group(table: pd.DataFrame, min_rows: int = 50) -> pd.Series:
    """Return the row of `compare_slices` that got worse the most, named (slice, group).

    Groups of fewer than `min_rows` block groups are left out: chance decides in a few rows. Raises
    LookupError if there is no larger one.
    """
    losses = table[table["block groups"] >= min_rows]["worse by, %"].dropna()
    if losses.empty:
        raise LookupError(f"no group has {min_rows} block groups or more")
    return table.loc[losses.idxmax()]


def _gain_of_squares(new: np.ndarray, baseline: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the RMSE gained, from squared errors."""
    return np.sqrt(baseline.mean(axis)) - np.sqrt(new.mean(axis))


def _squared_errors(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Return (n,) squared errors in dollars squared."""
    return ((np.asarray(y_pred, float) - np.asarray(y_true, float)) * USD_PER_UNIT) ** 2
