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

from housing.inference.price_bands import (
    BAND_LOWER_EDGES,
    BAND_UPPER_EDGES,
    band_numbers,
    interval_bounds,
)
from housing.models.families import TRUSTED_TYPES

# the part of a band's misses that lies below its interval of scores. A cheap block group is missed
# rather because it was guessed too high, a dear one too low: equal parts would make every interval
# reach for both ends, and be 5 % wider. No guess is too high for a capped value.
LOWER_TAIL_SHARES = np.array([0.9, 0.7, 0.5, 0.3, 0.1, 0.3])
MIN_ROWS_PER_BAND = 50  # a band with fewer rows than this borrows those that are nearest in value
MIN_SCALE = 0.02  # the smallest scale, $2,000: the booster may answer 0 or less
MAX_RESIDUAL = 0.5  # $50,000: a larger residual says no more of how uncertain a guess like it is
CALIBRATION_FOLDS = 5
SCALE_MODEL_PARAMS = {
    "max_iter": 100,
    "max_leaf_nodes": 15,
    "learning_rate": 0.06,
    "max_features": 0.33,  # faster, and intervals 1 % narrower than with all at each split
    "early_stopping": False,
    "random_state": 0,
}


class IntervalModel(NamedTuple):
    """All that an interval needs: trees and two arrays, so that a graph can hold it too."""

    scale: HistGradientBoostingRegressor  # signs -> the typical residual, in $100,000
    lows: np.ndarray  # (6,): a score below it is a miss, a row a price band
    highs: np.ndarray  # (6,): and one above it
    level: float  # the share of misses that the quantiles were taken for

    def predict(
        self, uncertainty_features: np.ndarray, y_pred: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The lower and the upper ends, (n,) each, in $100,000, from 0 to the cap.

        signs: (n, m), the columns of `calibrate`. guess: (n,) in $100,000. An interval holds its
        guess, unless the guess itself is below 0 or above the cap. An upper end at the cap means
        $500,000 or more. Raises ValueError for a wrong shape or a number that is not finite.
        """
        uncertainty_features, y_pred = _validate_arrays(uncertainty_features, y_pred=y_pred)
        if uncertainty_features.shape[1] != self.scale.n_features_in_:
            raise ValueError(
                f"uncertainty_features has {uncertainty_features.shape[1]} columns, expected the {self.scale.n_features_in_} "
                "it was calibrated on"
            )
        return interval_bounds(
            y_pred, _predict_scales(self.scale, uncertainty_features), self.lows, self.highs
        )

    def dumps(self) -> bytes:
        """What `loads` makes the same intervals of: skops, no pickle."""
        return io.dumps(self._asdict())

    @classmethod
    def loads(cls, content: bytes) -> "IntervalModel":
        """What `dumps` gave. Raises skops' UntrustedTypesFoundException for a foreign type."""
        return cls(**io.loads(content, trusted=TRUSTED_TYPES))


def calibrate(
    uncertainty_features: np.ndarray,
    y_true: np.ndarray,
    y_pred: np.ndarray,
    coverage: float = 0.9,
    seed: int = 0,
) -> IntervalModel:
    """Intervals that hold the share `coverage` of the true values, overall and in each price band.

    signs: (n, m) float64, whatever tells how uncertain a guess is. truth: (n,) in $100,000. guess:
    (n,) in $100,000, of models that have not seen the row: guesses of the training fit give
    intervals that are too narrow. seed: of the folds. Raises ValueError for a wrong shape, a number
    that is not finite, a coverage outside 0 to 1, or fewer than 50 rows.
    """
    uncertainty_features, y_true, y_pred = _validate_arrays(
        uncertainty_features, y_true=y_true, y_pred=y_pred
    )
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is {coverage}, expected a share between 0 and 1")
    if len(y_true) < MIN_ROWS_PER_BAND:
        raise ValueError(
            f"there are {len(y_true)} rows, expected at least {MIN_ROWS_PER_BAND} to calibrate on"
        )
    residual = np.abs(y_true - y_pred)
    scale = np.empty(len(y_true))  # each row's by a booster that has not seen its residual
    for fit, rest in KFold(CALIBRATION_FOLDS, shuffle=True, random_state=seed).split(
        uncertainty_features
    ):
        scale[rest] = _predict_scales(
            _fit_scale_model(uncertainty_features[fit], residual[fit]), uncertainty_features[rest]
        )
    score = (y_true - y_pred) / scale
    bands = rows_by_band(y_true)
    level = _find_miscoverage(y_true, y_pred, scale, score, bands, coverage)
    return IntervalModel(
        _fit_scale_model(uncertainty_features, residual),
        *conformal_quantiles(score, bands, level),
        level,
    )


def rows_by_band(y_true: np.ndarray) -> list[np.ndarray]:
    """The rows of each price band; where they are fewer than 50, with the next in value."""
    rows, own = [], band_numbers(y_true)
    for number, (bottom, top) in enumerate(zip(BAND_LOWER_EDGES, BAND_UPPER_EDGES, strict=True)):
        away = np.maximum(bottom - y_true, y_true - top)
        nearest = np.argsort(np.where(own == number, -np.inf, away), kind="stable")
        rows.append(nearest[: max(MIN_ROWS_PER_BAND, np.count_nonzero(own == number))])
    return rows


def conformal_quantiles(
    scores: np.ndarray, band_rows: list[np.ndarray], miscoverage: float
) -> tuple[np.ndarray, np.ndarray]:
    """(6,) lower and (6,) upper scores between which all but the share `level` of a band lies.

    bands: as `members` gives them. Weibull's position (n + 1) p is the conformal one: it counts
    the row to come.
    """
    both = [
        np.quantile(
            scores[rows], [miscoverage * below, 1 - miscoverage * (1 - below)], method="weibull"
        )
        for rows, below in zip(band_rows, LOWER_TAIL_SHARES, strict=True)
    ]
    lows, highs = np.transpose(both)
    return lows, highs


def _find_miscoverage(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    scales: np.ndarray,
    scores: np.ndarray,
    band_rows: list[np.ndarray],
    coverage: float,
) -> float:
    """The share of misses to ask of each band for `coverage` overall, by bisection.

    Above 1 - coverage, as a hull holds more than its parts.
    """
    few, many = 0.0, 1.0
    for _ in range(20):
        level = (few + many) / 2
        low, high = interval_bounds(y_pred, scales, *conformal_quantiles(scores, band_rows, level))
        if np.mean((low <= y_true) & (y_true <= high)) >= coverage:
            few = level
        else:
            many = level
    return few


def _fit_scale_model(
    uncertainty_features: np.ndarray, residuals: np.ndarray
) -> HistGradientBoostingRegressor:
    with threadpool_limits(1, "openmp"):  # two are slower than one, on a busy machine
        return HistGradientBoostingRegressor(**SCALE_MODEL_PARAMS).fit(
            uncertainty_features, np.minimum(residuals, MAX_RESIDUAL)
        )


def _predict_scales(
    scale_model: HistGradientBoostingRegressor, uncertainty_features: np.ndarray
) -> np.ndarray:
    with threadpool_limits(1, "openmp"):
        return np.maximum(scale_model.predict(uncertainty_features), MIN_SCALE)


def _validate_arrays(uncertainty_features: np.ndarray, **vectors: Any) -> list[np.ndarray]:
    """Everything as float64 arrays of one length, all finite; signs as rounded as float32."""
    uncertainty_features = np.asarray(uncertainty_features, float)
    if uncertainty_features.ndim != 2:
        raise ValueError(
            f"uncertainty_features has the shape {uncertainty_features.shape}, expected (rows, columns)"
        )
    arrays = {name: np.asarray(values, float) for name, values in vectors.items()}
    for name, values in arrays.items():
        if values.shape != (len(uncertainty_features),):
            raise ValueError(
                f"{name} has the shape {values.shape}, expected ({len(uncertainty_features)},)"
            )
    for name, values in {"uncertainty_features": uncertainty_features, **arrays}.items():
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise ValueError(f"{name} holds {bad} numbers that are not finite")
    # a last digit that the served graph adds up otherwise must not decide at a split
    return [uncertainty_features.astype(np.float32).astype(float), *arrays.values()]
