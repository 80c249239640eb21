"""Held-out rows of a generated sample, predicted with an error of known size."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from housing.data.splitting import split_train_test
from housing.data.synthetic import generate_sample
from housing.evaluation.calibration import IntervalPrediction
from housing.inference import conditional_ranges
from housing.inference.training_domain import TrainingDomain
from housing.monitoring.reference.held_out import Reference, build_reference, fit_domain
from housing.schema import TARGET


class HeldOutRows(NamedTuple):
    """Train and test rows, the predictions of the test rows, and their reference."""

    train: pd.DataFrame
    test: pd.DataFrame
    predictions: IntervalPrediction
    domain: TrainingDomain
    reference: Reference

    def requests(self) -> pd.DataFrame:
        """Return the test rows as the service would log them."""
        return self.test.drop(columns=TARGET).assign(
            **self.predictions._asdict(), warned=False, caller=""
        )

    def labelled(self) -> pd.DataFrame:
        """Return the same rows with their true values."""
        return self.requests().assign(truth=self.test[TARGET])


def predict(test: pd.DataFrame, seed: int = 0) -> IntervalPrediction:
    """Return predictions with errors that grow with the house value, and intervals that know it."""
    truth = test[TARGET].to_numpy()
    spread = 0.05 + 0.2 * truth
    prediction = truth + np.random.default_rng(seed).normal(0, spread)
    return IntervalPrediction(prediction, prediction - 1.6 * spread, prediction + 1.6 * spread)


@pytest.fixture(scope="package")
def held_out():
    train, test = split_train_test(generate_sample(3_000), test_size=0.4)
    predictions = predict(test)
    domain = fit_domain(train[: conditional_ranges.MIN_ROWS - 1])  # without the slow part
    reference = build_reference(test, predictions, train, "california-housing-sample", "1", domain)
    return HeldOutRows(train, test, predictions, domain, reference)
