"""A model in use: its training rows, its held-out rows, and others from which traffic is drawn.

Traffic that is drawn from the held-out rows themselves would make it too easy to see nothing.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import pandas as pd

from housing.data import loading, splitting
from housing.evaluation import calibration, learning_curves
from housing.evaluation.calibration import IntervalPrediction
from housing.inference import training_domain
from housing.inference.training_domain import TrainingDomain
from housing.models.intervals import IntervalModel
from housing.monitoring.reference.held_out import Reference, build_reference
from housing.schema import FEATURE_NAMES, TARGET
from housing.training import search
from housing.training.search import SearchResult

TRAINING_SHARE = 0.5
HELD_OUT_SHARE = 0.2  # as many rows as in production; the others are the traffic's


class Model(NamedTuple):
    """A trained model, its intervals and its training domain."""

    result: SearchResult
    intervals: IntervalModel
    domain: TrainingDomain

    def answer(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the features and the truth, with prediction, low, high ($100,000) and warned."""
        features = rows[FEATURE_NAMES].reset_index(drop=True)
        prediction, low, high = calibration.predict_with_interval(
            self.result.model, self.intervals, features
        )
        warnings = training_domain.out_of_domain_warnings(self.domain, features.to_numpy(float))
        return features.assign(
            prediction=prediction,
            low=low,
            high=high,
            warned=[bool(texts) for texts in warnings],
            truth=rows["truth"].to_numpy(float),
        )


class Deployment(NamedTuple):
    """A model, its held-out rows, and the rows that its users have: the columns of `answer`."""

    model: Model
    training: pd.DataFrame  # features and target
    held_out: pd.DataFrame
    population: pd.DataFrame
    reference: Reference  # of the held-out rows


@cache
def deploy(seed: int) -> Deployment:
    """Split the data at random, and train gradient boosting on half of it."""
    frame = loading.load_dataset("california").frame
    training, others = splitting.split_train_test(frame, 1 - TRAINING_SHARE, seed)
    population_share = 1 - HELD_OUT_SHARE / (1 - TRAINING_SHARE)
    held_out, population = splitting.split_train_test(others, population_share, seed)
    result = search.tune_families(["boosting"], training, "quick", n_trials=1)["boosting"]
    curve = learning_curves.search_learning_curve(result, training)
    intervals = calibration.calibrate_intervals(result, training, curve)
    domain = training_domain.from_json(training_domain.fit(training))
    model = Model(result, intervals, domain)
    held_out_rows, population_rows = (
        model.answer(rows.rename(columns={TARGET: "truth"})) for rows in (held_out, population)
    )
    predictions = IntervalPrediction(
        *(held_out_rows[name].to_numpy() for name in IntervalPrediction._fields)
    )
    reference = build_reference(held_out, predictions, training, "simulated", "1", domain)
    return Deployment(model, training, held_out_rows, population_rows, reference)
