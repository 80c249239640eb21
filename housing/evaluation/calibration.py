"""Intervals for a trained model: what tells how uncertain a guess is, and how far off it may be."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin, clone
from sklearn.pipeline import Pipeline

from housing.evaluation.metrics import shrinkage
from housing.models import intervals
from housing.models.intervals import Intervals
from housing.schema import NAMES, TARGET
from housing.training.search import Search


class Bounds(NamedTuple):
    """What the model says of some rows, (n,) each, in $100,000."""

    guess: np.ndarray
    low: np.ndarray
    high: np.ndarray


def calibrate(
    found: Search, train: pd.DataFrame, curve: pd.DataFrame, coverage: float = 0.9
) -> Intervals:
    """Intervals for the guesses of a search's best model, from its out-of-fold residuals.

    What tells how uncertain a guess is: the guess, and the columns its last step sees. Those of a
    training row leave its own value out, as those of the models that guessed it did. No test row
    has a part in it.

    curve: `evaluate.learning_curve`. The models that guessed the training rows learnt from fewer
    rows than the one that guesses from now on. It says by how much they are worse, and the
    intervals are narrowed by as much: else they would hold 91 % for 90.
    """
    columns = train[NAMES]
    if isinstance(found.model, Pipeline):
        columns = clone(found.model[:-1]).fit_transform(columns, train[TARGET])
    signs = np.column_stack([columns, found.guesses])
    made = intervals.calibrate(signs, train[TARGET].to_numpy(), found.guesses, coverage)
    better = shrinkage(curve, found.folds / (found.folds - 1))
    return made._replace(lows=made.lows * better, highs=made.highs * better)


def bounds(model: RegressorMixin, calibrated: Intervals, rows: pd.DataFrame) -> Bounds:
    """The guess for each row, and the ends of its interval."""
    columns, last = rows[NAMES], model
    if isinstance(model, Pipeline):  # its columns are made once, for the guess and for the signs
        columns, last = model[:-1].transform(columns), model[-1]
    guess = last.predict(columns)
    return Bounds(guess, *calibrated.predict(np.column_stack([columns, guess]), guess))
