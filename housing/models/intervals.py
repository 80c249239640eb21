"""Prediction intervals that hold the true value nine times in ten.

A booster learns from out-of-fold residuals how uncertain a prediction is; conformal quantiles of
the residuals in units of that scale turn it into an interval. The quantiles are taken separately
for each price band ("label-conditional" or "Mondrian": Vovk, Gammerman & Shafer, Algorithmic
Learning in a Random World, 2005, chapter 4; the scaled residual: Lei et al., Distribution-Free
Predictive Inference for Regression, 2018, section 5.2): with one pair for all, expensive block
groups are missed twice as often as cheap ones.
"""

from typing import NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold, cross_val_predict
from skops import io
from threadpoolctl import threadpool_limits

from housing.inference.price_bands import (
    BAND_LOWER_EDGES,
    BAND_UPPER_EDGES,
    band_numbers,
    interval_bounds,
)
from housing.models.persistence import TRUSTED_TYPES

# the share of a band's misses that lies below its interval of scores. A cheap block group is mostly
# missed because its prediction was too high, an expensive one because it was too low: equal shares
# would make every interval reach for both ends, and be 5 % wider. No prediction is too high for a
# capped value.
LOWER_TAIL_SHARES = np.array([0.9, 0.7, 0.5, 0.3, 0.1, 0.3])
MIN_ROWS_PER_BAND = 50  # a band with fewer rows borrows those that are nearest in value
MIN_SCALE = 0.02  # $2,000: the booster may predict 0 or less
MAX_RESIDUAL = 0.5  # $50,000: a larger residual says no more of how uncertain its prediction is
CALIBRATION_FOLDS = 5
BISECTION_STEPS = 20
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

    # uncertainty features -> the typical residual, in $100,000
    scale: HistGradientBoostingRegressor
    lows: np.ndarray  # (6,) one per price band: a lower score is a miss
    highs: np.ndarray  # (6,) a higher score is a miss
    level: float  # the share of misses that the quantiles were taken for

    def predict(
        self, uncertainty_features: np.ndarray, y_pred: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and the upper bounds, (n,) each, in $100,000, from 0 to the cap.

        uncertainty_features: (n, m), the columns given to `calibrate`. y_pred: (n,) in $100,000. An
        interval holds its prediction, unless that is below 0 or above the cap. An upper bound at
        the cap means $500,000 or more. Raises ValueError for a wrong shape or a number that is not
        finite.
        """
        features = _validate_features(uncertainty_features)
        y_pred = _validate_vector("y_pred", y_pred, len(features))
        expected = self.scale.n_features_in_
        if features.shape[1] != expected:
            raise ValueError(
                f"uncertainty_features has {features.shape[1]} columns, "
                f"expected the {expected} it was calibrated on"
            )
        with threadpool_limits(1, "openmp"):
            scales = np.maximum(self.scale.predict(features), MIN_SCALE)
        return interval_bounds(y_pred, scales, self.lows, self.highs)

    def dumps(self) -> bytes:
        """Return the model as a skops file, which `loads` reads."""
        return io.dumps(self._asdict())

    @classmethod
    def loads(cls, content: bytes) -> "IntervalModel":
        """Read what `dumps` returned. Raises skops' UntrustedTypesFoundException."""
        return cls(**io.loads(content, trusted=TRUSTED_TYPES))


def calibrate(
    uncertainty_features: np.ndarray,
    y_true: np.ndarray,
    y_pred: np.ndarray,
    coverage: float = 0.9,
    seed: int = 0,
) -> IntervalModel:
    """Fit intervals that hold the share `coverage` of true values, overall and in each price band.

    uncertainty_features: (n, m) float64, whatever may say how uncertain a prediction is. y_true:
    (n,) in $100,000. y_pred: (n,) in $100,000, of models that have not seen the row: predictions
    for the rows a model was fitted on give intervals that are too narrow. seed: of the folds.
    Raises ValueError for a wrong shape, a number that is not finite, a coverage outside 0 to 1, or
    fewer than 50 rows.
    """
    features = _validate_features(uncertainty_features)
    y_true = _validate_vector("y_true", y_true, len(features))
    y_pred = _validate_vector("y_pred", y_pred, len(features))
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is {coverage}, expected a share between 0 and 1")
    if len(y_true) < MIN_ROWS_PER_BAND:
        raise ValueError(
            f"there are {len(y_true)} rows, expected at least {MIN_ROWS_PER_BAND} to calibrate on"
        )
    residuals = np.minimum(np.abs(y_true - y_pred), MAX_RESIDUAL)
    scale_model = HistGradientBoostingRegressor(**SCALE_MODEL_PARAMS)
    folds = KFold(CALIBRATION_FOLDS, shuffle=True, random_state=seed)
    with threadpool_limits(1, "openmp"):  # two threads are slower than one, on a busy machine
        # each row's scale by a booster that has not seen its residual
        raw_scales = cross_val_predict(scale_model, features, residuals, cv=folds)
        scale_model.fit(features, residuals)
    scales = np.maximum(raw_scales, MIN_SCALE)
    scores = (y_true - y_pred) / scales
    band_rows = rows_by_band(y_true)
    miscoverage = _find_miscoverage(y_true, y_pred, scales, scores, band_rows, coverage)
    lows, highs = conformal_quantiles(scores, band_rows, miscoverage)
    return IntervalModel(scale_model, lows, highs, miscoverage)


def rows_by_band(y_true: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each price band; of at least 50, the others being the next in value."""
    rows, numbers = [], band_numbers(y_true)
    for band, (low, high) in enumerate(zip(BAND_LOWER_EDGES, BAND_UPPER_EDGES, strict=True)):
        in_band = numbers == band
        distances = np.maximum(low - y_true, y_true - high)
        nearest = np.argsort(np.where(in_band, -np.inf, distances), kind="stable")
        rows.append(nearest[: max(MIN_ROWS_PER_BAND, np.count_nonzero(in_band))])
    return rows


def conformal_quantiles(
    scores: np.ndarray, band_rows: list[np.ndarray], miscoverage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the (6,) lower and the (6,) upper scores between which a row is no miss.

    miscoverage: the share of each band's rows that shall be outside. band_rows: as `rows_by_band`
    returns them. Weibull's position (n + 1) p is the conformal one: it counts the row to come.
    """
    quantiles = [
        np.quantile(
            scores[rows],
            [miscoverage * lower_share, 1 - miscoverage * (1 - lower_share)],
            method="weibull",
        )
        for rows, lower_share in zip(band_rows, LOWER_TAIL_SHARES, strict=True)
    ]
    lows, highs = np.transpose(quantiles)
    return lows, highs


def _find_miscoverage(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    scales: np.ndarray,
    scores: np.ndarray,
    band_rows: list[np.ndarray],
    coverage: float,
) -> float:
    """Return the share of misses to allow each band for `coverage` overall, by bisection.

    It is above 1 - coverage, as a hull holds more than its parts.
    """
    lowest, highest = 0.0, 1.0
    for _ in range(BISECTION_STEPS):
        middle = (lowest + highest) / 2
        quantiles = conformal_quantiles(scores, band_rows, middle)
        low, high = interval_bounds(y_pred, scales, *quantiles)
        if np.mean((low <= y_true) & (y_true <= high)) >= coverage:
            lowest = middle
        else:
            highest = middle
    return lowest


def _validate_features(uncertainty_features: np.ndarray) -> np.ndarray:
    """Return (n, m) finite float64, rounded to float32; raise ValueError for anything else."""
    features = np.asarray(uncertainty_features, float)
    if features.ndim != 2:
        raise ValueError(
            f"uncertainty_features has the shape {features.shape}, expected (rows, columns)"
        )
    _check_finite("uncertainty_features", features)
    # the served graph may sum in another order: the last digit must not decide at a split
    return features.astype(np.float32).astype(float)


def _validate_vector(name: str, values: np.ndarray, n_rows: int) -> np.ndarray:
    """Return (n_rows,) finite float64, or raise ValueError with the name of the argument."""
    values = np.asarray(values, float)
    if values.shape != (n_rows,):
        raise ValueError(f"{name} has the shape {values.shape}, expected ({n_rows},)")
    _check_finite(name, values)
    return values


def _check_finite(name: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        n_invalid = int((~np.isfinite(values)).sum())
        raise ValueError(f"{name} holds {n_invalid} numbers that are not finite")
