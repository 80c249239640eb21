"""Calibrate prediction intervals for a trained model, and predict with them."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin, clone
from sklearn.pipeline import Pipeline

from housing.evaluation.learning_curves import extrapolated_rmse_ratio
from housing.models import intervals
from housing.models.intervals import IntervalModel
from housing.schema import FEATURE_NAMES, TARGET
from housing.training.search import SearchResult


class IntervalPrediction(NamedTuple):
    """Predictions and the ends of their intervals, (n,) each, in $100,000."""

    prediction: np.ndarray
    low: np.ndarray
    high: np.ndarray


def calibrate_intervals(
    result: SearchResult, train: pd.DataFrame, curve: pd.DataFrame, coverage: float = 0.9
) -> IntervalModel:
    """Calibrate intervals for a search's best model, from its out-of-fold residuals.

    The uncertainty of a prediction is derived from the prediction itself and the columns that the
    model's last step sees. Those of a training row leave its own value out, as the models that
    predicted it did. No test row is used.

    curve: from `learning_curves.learning_curve`. The out-of-fold models were trained on fewer rows
    than the final one; the curve says by how much they are worse, and the intervals are narrowed by
    as much: else they would hold 91 % for 90.
    """
    columns = train[FEATURE_NAMES]
    if isinstance(result.model, Pipeline):
        columns = clone(result.model[:-1]).fit_transform(columns, train[TARGET])
    uncertainty_features = np.column_stack([columns, result.out_of_fold_predictions])
    calibrated = intervals.calibrate(
        uncertainty_features, train[TARGET].to_numpy(), result.out_of_fold_predictions, coverage
    )
    ratio = extrapolated_rmse_ratio(curve, result.n_folds / (result.n_folds - 1))
    return calibrated._replace(lows=calibrated.lows * ratio, highs=calibrated.highs * ratio)


def predict_with_interval(
    model: RegressorMixin, calibrated_intervals: IntervalModel, rows: pd.DataFrame
) -> IntervalPrediction:
    """Predict each row with the ends of its interval."""
    columns, last_step = rows[FEATURE_NAMES], model
    if isinstance(model, Pipeline):  # transformed once, for the prediction and for its uncertainty
        columns, last_step = model[:-1].transform(columns), model[-1]
    y_pred = last_step.predict(columns)
    low, high = calibrated_intervals.predict(np.column_stack([columns, y_pred]), y_pred)
    return IntervalPrediction(y_pred, low, high)
