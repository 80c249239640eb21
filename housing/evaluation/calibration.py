"""Intervals for a trained model: what tells how uncertain a guess is, and how far off it may be."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin, clone
from sklearn.pipeline import Pipeline

from housing.evaluation.metrics import extrapolated_rmse_ratio
from housing.models import intervals
from housing.models.intervals import IntervalModel
from housing.schema import FEATURE_NAMES, TARGET
from housing.training.search import SearchResult


class IntervalPrediction(NamedTuple):
    """What the model says of some rows, (n,) each, in $100,000."""

    prediction: np.ndarray
    low: np.ndarray
    high: np.ndarray


def calibrate_intervals(
    result: SearchResult, train: pd.DataFrame, curve: pd.DataFrame, coverage: float = 0.9
) -> IntervalModel:
    """Intervals for the guesses of a search's best model, from its out-of-fold residuals.

    What tells how uncertain a guess is: the guess, and the columns its last step sees. Those of a
    training row leave its own value out, as those of the models that guessed it did. No test row
    has a part in it.

    curve: `evaluate.learning_curve`. The models that guessed the training rows learnt from fewer
    rows than the one that guesses from now on. It says by how much they are worse, and the
    intervals are narrowed by as much: else they would hold 91 % for 90.
    """
    columns = train[FEATURE_NAMES]
    if isinstance(result.model, Pipeline):
        columns = clone(result.model[:-1]).fit_transform(columns, train[TARGET])
    signs = np.column_stack([columns, result.out_of_fold_predictions])
    made = intervals.calibrate(
        signs, train[TARGET].to_numpy(), result.out_of_fold_predictions, coverage
    )
    better = extrapolated_rmse_ratio(curve, result.n_folds / (result.n_folds - 1))
    return made._replace(lows=made.lows * better, highs=made.highs * better)


def predict_with_interval(
    model: RegressorMixin, calibrated_intervals: IntervalModel, rows: pd.DataFrame
) -> IntervalPrediction:
    """The guess for each row, and the ends of its interval."""
    columns, last = rows[FEATURE_NAMES], model
    if isinstance(model, Pipeline):  # its columns are made once, for the guess and for the signs
        columns, last = model[:-1].transform(columns), model[-1]
    guess = last.predict(columns)
    return IntervalPrediction(
        guess, *calibrated_intervals.predict(np.column_stack([columns, guess]), guess)
    )
