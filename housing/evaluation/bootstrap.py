"""Candidate and champion on the same rows: what is gained, how surely, and who loses by it."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from housing.evaluation.slices import errors_by_slice
from housing.schema import USD_PER_UNIT

N_RESAMPLES = 2_000
RESAMPLES_PER_CHUNK = 100  # draws at once: their numbers stay in the processor's cache


class RmseGain(NamedTuple):
    """Dollars of RMSE gained, and between which two numbers that lies with some certainty."""

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
    """The RMSE of `before` less that of `guess`, in dollars; positive if the guess is better.

    truth, guess, before: (n,) each, in $100,000, of the same rows. Paired percentile bootstrap
    (Efron & Tibshirani, 1993, chapter 16): both are scored on the same drawn rows, so that a row
    which is hard for both does not count as doubt. A guess that is not finite gains minus infinity.
    Raises ValueError if certainty is not between 0 and 1.
    """
    if not 0 < confidence_level < 1:
        raise ValueError(f"certainty is {confidence_level!r}, expected a share between 0 and 1")
    new, old = _squared_errors(y_true, y_pred), _squared_errors(y_true, baseline_pred)
    if not np.isfinite(new).all():
        return RmseGain(*[-np.inf] * 3)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(0, N_RESAMPLES, RESAMPLES_PER_CHUNK):
        rows = rng.integers(len(new), size=(RESAMPLES_PER_CHUNK, len(new)))
        drawn.append(np.sqrt(old[rows].mean(axis=1)) - np.sqrt(new[rows].mean(axis=1)))
    edges = np.quantile(
        np.concatenate(drawn), [(1 - confidence_level) / 2, (1 + confidence_level) / 2]
    )
    return RmseGain(float(np.sqrt(old.mean()) - np.sqrt(new.mean())), *edges.tolist())


def compare_slices(
    test: pd.DataFrame, y_pred: np.ndarray, baseline_pred: np.ndarray, train: pd.DataFrame
) -> pd.DataFrame:
    """A row a group of each slice: block groups, both RMSE in dollars, and how much worse it got.

    test, train: (n, 9); guess, before: (n,) in $100,000, of the test rows. The index is (slice,
    group), as `slices.slices` has it.
    """
    table = errors_by_slice(test, y_pred, train)[["block groups", "RMSE, $"]]
    old = errors_by_slice(test, baseline_pred, train)["RMSE, $"]
    worse = (table["RMSE, $"] / old.where(old > 0) - 1) * 100
    return table.assign(**{"RMSE before, $": old, "worse by, %": worse})


def worst_group(table: pd.DataFrame, min_rows: int = 50) -> pd.Series:
    """The row of `by_slice`'s table that got worse the most, named (slice, group).

    Groups of fewer than `least` block groups are not asked: in a few rows chance decides. Raises
    LookupError if there is no larger one.
    """
    asked = table[table["block groups"] >= min_rows]["worse by, %"].dropna()
    if asked.empty:
        raise LookupError(f"no group has {min_rows} block groups or more")
    return table.loc[asked.idxmax()]


def _squared_errors(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    return ((np.asarray(y_pred, float) - np.asarray(y_true, float)) * USD_PER_UNIT) ** 2
