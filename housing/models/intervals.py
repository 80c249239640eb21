"""How far a guess may be off: intervals that hold the true value nine times in ten.

A booster learns from out-of-fold residuals how uncertain a guess is; conformal quantiles of the
residuals in units of that scale turn it into an interval. The quantiles are taken apart for each
price band ("label-conditional" or "Mondrian": Vovk, Gammerman & Shafer, Algorithmic Learning in
a Random World, 2005, chapter 4; the scaled residual: Lei et al., Distribution-Free Predictive
Inference for Regression, 2018, section 5.2): with one pair for all, dear block groups are missed
twice as often as cheap ones.
"""

from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold
from skops import io
from threadpoolctl import threadpool_limits

from housing.inference.price_bands import BOTTOMS, TOPS, band, ends
from housing.models.families import TRUSTED_TYPES

# the part of a band's misses that lies below its interval of scores. A cheap block group is missed
# rather because it was guessed too high, a dear one too low: equal parts would make every interval
# reach for both ends, and be 5 % wider. No guess is too high for a capped value.
BELOW = np.array([0.9, 0.7, 0.5, 0.3, 0.1, 0.3])
FEW = 50  # a band with fewer rows than this borrows those that are nearest in value
FLOOR = 0.02  # the smallest scale, $2,000: the booster may answer 0 or less
LARGE = 0.5  # $50,000: a larger residual says no more of how uncertain a guess like it is
FOLDS = 5
PARAMS = {
    "max_iter": 100,
    "max_leaf_nodes": 15,
    "learning_rate": 0.06,
    "max_features": 0.33,  # faster, and intervals 1 % narrower than with all at each split
    "early_stopping": False,
    "random_state": 0,
}


class Intervals(NamedTuple):
    """All that an interval needs: trees and two arrays, so that a graph can hold it too."""

    scale: HistGradientBoostingRegressor  # signs -> the typical residual, in $100,000
    lows: np.ndarray  # (6,): a score below it is a miss, a row a price band
    highs: np.ndarray  # (6,): and one above it
    level: float  # the share of misses that the quantiles were taken for

    def predict(self, signs: np.ndarray, guess: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lower and the upper ends, (n,) each, in $100,000, from 0 to the cap.

        signs: (n, m), the columns of `calibrate`. guess: (n,) in $100,000. An interval holds its
        guess, unless the guess itself is below 0 or above the cap. An upper end at the cap means
        $500,000 or more. Raises ValueError for a wrong shape or a number that is not finite.
        """
        signs, guess = _checked(signs, guess=guess)
        if signs.shape[1] != self.scale.n_features_in_:
            raise ValueError(
                f"signs has {signs.shape[1]} columns, expected the {self.scale.n_features_in_} "
                "it was calibrated on"
            )
        return ends(guess, _scale(self.scale, signs), self.lows, self.highs)

    def dumps(self) -> bytes:
        """What `loads` makes the same intervals of: skops, no pickle."""
        return io.dumps(self._asdict())

    @classmethod
    def loads(cls, content: bytes) -> "Intervals":
        """What `dumps` gave. Raises skops' UntrustedTypesFoundException for a foreign type."""
        return cls(**io.loads(content, trusted=TRUSTED_TYPES))


def calibrate(
    signs: np.ndarray,
    truth: np.ndarray,
    guess: np.ndarray,
    coverage: float = 0.9,
    seed: int = 0,
) -> Intervals:
    """Intervals that hold the share `coverage` of the true values, overall and in each price band.

    signs: (n, m) float64, whatever tells how uncertain a guess is. truth: (n,) in $100,000. guess:
    (n,) in $100,000, of models that have not seen the row: guesses of the training fit give
    intervals that are too narrow. seed: of the folds. Raises ValueError for a wrong shape, a number
    that is not finite, a coverage outside 0 to 1, or fewer than 50 rows.
    """
    signs, truth, guess = _checked(signs, truth=truth, guess=guess)
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is {coverage}, expected a share between 0 and 1")
    if len(truth) < FEW:
        raise ValueError(f"there are {len(truth)} rows, expected at least {FEW} to calibrate on")
    residual = np.abs(truth - guess)
    scale = np.empty(len(truth))  # each row's by a booster that has not seen its residual
    for fit, rest in KFold(FOLDS, shuffle=True, random_state=seed).split(signs):
        scale[rest] = _scale(_booster(signs[fit], residual[fit]), signs[rest])
    score = (truth - guess) / scale
    bands = members(truth)
    level = _level(truth, guess, scale, score, bands, coverage)
    return Intervals(_booster(signs, residual), *quantiles(score, bands, level), level)


def members(truth: np.ndarray) -> list[np.ndarray]:
    """The rows of each price band; where they are fewer than 50, with the next in value."""
    rows, own = [], band(truth)
    for number, (bottom, top) in enumerate(zip(BOTTOMS, TOPS, strict=True)):
        away = np.maximum(bottom - truth, truth - top)
        nearest = np.argsort(np.where(own == number, -np.inf, away), kind="stable")
        rows.append(nearest[: max(FEW, np.count_nonzero(own == number))])
    return rows


def quantiles(
    score: np.ndarray, bands: list[np.ndarray], level: float
) -> tuple[np.ndarray, np.ndarray]:
    """(6,) lower and (6,) upper scores between which all but the share `level` of a band lies.

    bands: as `members` gives them. Weibull's position (n + 1) p is the conformal one: it counts
    the row to come.
    """
    both = [
        np.quantile(score[rows], [level * below, 1 - level * (1 - below)], method="weibull")
        for rows, below in zip(bands, BELOW, strict=True)
    ]
    lows, highs = np.transpose(both)
    return lows, highs


def _level(
    truth: np.ndarray,
    guess: np.ndarray,
    scale: np.ndarray,
    score: np.ndarray,
    bands: list[np.ndarray],
    coverage: float,
) -> float:
    """The share of misses to ask of each band for `coverage` overall, by bisection.

    Above 1 - coverage, as a hull holds more than its parts.
    """
    few, many = 0.0, 1.0
    for _ in range(20):
        level = (few + many) / 2
        low, high = ends(guess, scale, *quantiles(score, bands, level))
        if np.mean((low <= truth) & (truth <= high)) >= coverage:
            few = level
        else:
            many = level
    return few


def _booster(signs: np.ndarray, residual: np.ndarray) -> HistGradientBoostingRegressor:
    with threadpool_limits(1, "openmp"):  # two are slower than one, on a busy machine
        return HistGradientBoostingRegressor(**PARAMS).fit(signs, np.minimum(residual, LARGE))


def _scale(booster: HistGradientBoostingRegressor, signs: np.ndarray) -> np.ndarray:
    with threadpool_limits(1, "openmp"):
        return np.maximum(booster.predict(signs), FLOOR)


def _checked(signs: np.ndarray, **columns: Any) -> list[np.ndarray]:
    """Everything as float64 arrays of one length, all finite; signs as rounded as float32."""
    signs = np.asarray(signs, float)
    if signs.ndim != 2:
        raise ValueError(f"signs has the shape {signs.shape}, expected (rows, columns)")
    arrays = {name: np.asarray(values, float) for name, values in columns.items()}
    for name, values in arrays.items():
        if values.shape != (len(signs),):
            raise ValueError(f"{name} has the shape {values.shape}, expected ({len(signs)},)")
    for name, values in {"signs": signs, **arrays}.items():
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise ValueError(f"{name} holds {bad} numbers that are not finite")
    # a last digit that the served graph adds up otherwise must not decide at a split
    return [signs.astype(np.float32).astype(float), *arrays.values()]
