"""Logs of some days, a reference to count them by, and true values, for tests of the monitoring."""

import json
import sqlite3
from contextlib import closing, contextmanager
from functools import cache

import numpy as np

from housing.data import splitting, synthetic
from housing.evaluation.calibration import IntervalPrediction
from housing.monitoring.reference.held_out import build_reference
from housing.prediction_log import archive, feedback, months
from housing.schema import FEATURE_NAMES, TARGET
from tests.support.logged_predictions import timed_row, write_log

MODEL_NAME = "california-housing"


@cache
def held_out_rows():
    """Return the training rows and the held-out ones."""
    return splitting.split_train_test(synthetic.generate_sample(400), 0.5, 0)


@cache
def reference(offset=0.0):
    """Return the reference of a model whose every prediction is wrong by about $10,000.

    offset: in $100,000, which the intervals are wider by.
    """
    train, test = held_out_rows()
    prices = test[TARGET].to_numpy() + np.random.default_rng(0).normal(0, 0.1, len(test))
    width = 0.3 + offset + 0.1 * np.arange(len(test)) / len(test)
    predictions = IntervalPrediction(prices, prices - width, prices + width)
    return build_reference(test, predictions, train, MODEL_NAME, "1")


def load_reference(name, version):
    """Return the same reference for each version."""
    return reference()


def traffic_row(day, number, **overrides):
    """Return the row of a request on a day: each number asks for another block group.

    day: like 2026-11-30.
    """
    _, test = held_out_rows()
    values = test.iloc[number % len(test)]
    columns = {
        "input": json.dumps(dict(zip(FEATURE_NAMES, values[FEATURE_NAMES].tolist(), strict=True))),
        "prediction": float(values[TARGET]),
        "low": float(values[TARGET]) - 0.4,
        "high": float(values[TARGET]) + 0.4,
        "caller": f"key-{number % 2}",
    }
    hour, minute = divmod(number, 60)
    asked_at = f"{day}T{hour:02}:{minute:02}:00.000+00:00"
    return timed_row(asked_at, number, **(columns | overrides))


def refused_traffic_row(day, number, problem, **overrides):
    """Return the row of a request that was refused."""
    columns = {
        "status": 422, "problem": problem, "input": '{"MedInc', "prediction": None, "low": None,
        "high": None, "model_name": None, "model_version": None,
    }  # fmt: skip
    return traffic_row(day, number, **(columns | overrides))


def write_traffic(log, days, rows_per_day=6, **overrides):
    """Add some rows of each day to a log; return all of them."""
    rows = [traffic_row(day, number, **overrides) for day in days for number in range(rows_per_day)]
    write_log(log, rows)
    return rows


def record_truth(log, rows, day, error=0.1):
    """Record a true value of each row, at noon of a day.

    error: of the prediction, in $100,000.
    """

    @contextmanager
    def open_exclusively():
        with closing(sqlite3.connect(log, isolation_level=None)) as connection:
            yield connection

    values = [feedback.TrueValue(row["id"], row["prediction"] - error) for row in rows]
    feedback.record_true_values(open_exclusively, values, f"{day}T12:00:00.000+00:00")


def archive_until(log, time):
    """Move the rows that were asked before a time to their months."""
    archive.archive_rows(log, time, months.archive_folder(), lambda _: None)
