"""Candidate and champion on the same rows: what is gained, how surely, and who loses by it."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from housing.evaluation.slices import slices
from housing.schema import USD

DRAWS = 2_000
CHUNK = 100  # draws at once: their numbers stay in the processor's cache


class Gain(NamedTuple):
    """Dollars of RMSE gained, and between which two numbers that lies with some certainty."""

    value: float
    low: float
    high: float


def gain(
    truth: np.ndarray, guess: np.ndarray, before: np.ndarray, certainty: float = 0.9, seed: int = 0
) -> Gain:
    """The RMSE of `before` less that of `guess`, in dollars; positive if the guess is better.

    truth, guess, before: (n,) each, in $100,000, of the same rows. Paired percentile bootstrap
    (Efron & Tibshirani, 1993, chapter 16): both are scored on the same drawn rows, so that a row
    which is hard for both does not count as doubt. A guess that is not finite gains minus infinity.
    Raises ValueError if certainty is not between 0 and 1.
    """
    if not 0 < certainty < 1:
        raise ValueError(f"certainty is {certainty!r}, expected a share between 0 and 1")
    new, old = _squares(truth, guess), _squares(truth, before)
    if not np.isfinite(new).all():
        return Gain(*[-np.inf] * 3)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(0, DRAWS, CHUNK):
        rows = rng.integers(len(new), size=(CHUNK, len(new)))
        drawn.append(np.sqrt(old[rows].mean(axis=1)) - np.sqrt(new[rows].mean(axis=1)))
    edges = np.quantile(np.concatenate(drawn), [(1 - certainty) / 2, (1 + certainty) / 2])
    return Gain(float(np.sqrt(old.mean()) - np.sqrt(new.mean())), *edges.tolist())


def by_slice(
    test: pd.DataFrame, guess: np.ndarray, before: np.ndarray, train: pd.DataFrame
) -> pd.DataFrame:
    """A row a group of each slice: block groups, both RMSE in dollars, and how much worse it got.

    test, train: (n, 9); guess, before: (n,) in $100,000, of the test rows. The index is (slice,
    group), as `slices.slices` has it.
    """
    table = slices(test, guess, train)[["block groups", "RMSE, $"]]
    old = slices(test, before, train)["RMSE, $"]
    worse = (table["RMSE, $"] / old.where(old > 0) - 1) * 100
    return table.assign(**{"RMSE before, $": old, "worse by, %": worse})


def worst(table: pd.DataFrame, least: int = 50) -> pd.Series:
    """The row of `by_slice`'s table that got worse the most, named (slice, group).

    Groups of fewer than `least` block groups are not asked: in a few rows chance decides. Raises
    LookupError if there is no larger one.
    """
    asked = table[table["block groups"] >= least]["worse by, %"].dropna()
    if asked.empty:
        raise LookupError(f"no group has {least} block groups or more")
    return table.loc[asked.idxmax()]


def _squares(truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
    return ((np.asarray(guess, float) - np.asarray(truth, float)) * USD) ** 2
