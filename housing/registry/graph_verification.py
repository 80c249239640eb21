"""Whether the served graph predicts what its model does, and how fast."""

import time

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin
from threadpoolctl import threadpool_limits

from housing.data.splitting import TrainTestSplit
from housing.evaluation import calibration
from housing.inference import served_model
from housing.models.intervals import IntervalModel
from housing.schema import FEATURE_NAMES

# by which the predictions of two forms of a model may differ: `relative_differences`
RELATIVE_TOLERANCE = 1e-9
# rows on which graph and model are compared, besides train and test
N_RANDOM_ROWS = 100_000
N_BOUNDARY_ROWS = 20_000
N_TIMING_CALLS = 200  # of one row each


def relative_differences(predictions: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return by how much predictions differ: relative above $100,000, else in $100,000."""
    return np.abs(predictions - expected) / np.maximum(1, np.abs(expected))


def max_relative_difference(
    model: RegressorMixin, onnx_model: bytes, split: TrainTestSplit, intervals: IntervalModel | None
) -> float:
    """Return the largest difference between graph and model, relative above $100,000.

    Compares the predictions, and both ends of the intervals if there are any, on each row of train
    and test, on random rows, and on the splits of the trees. Infinite if only one of the two
    predicts a number.
    """
    train_rows = split.train[FEATURE_NAMES].to_numpy()
    boundary_rows = served_model.split_boundary_rows(onnx_model, train_rows, N_BOUNDARY_ROWS)
    random_rows = served_model.random_rows(N_RANDOM_ROWS)
    rows = np.vstack([train_rows, split.test[FEATURE_NAMES], random_rows, boundary_rows])
    frame, session = pd.DataFrame(rows, columns=FEATURE_NAMES), served_model.load(onnx_model)
    if intervals is None:
        expected, predictions = model.predict(frame), served_model.predict(session, rows)
    elif session.compute_intervals is None:
        return np.inf
    else:
        expected = np.stack(calibration.predict_with_interval(model, intervals, frame))
        predictions = served_model.predict_intervals(session, rows).T
    differences = relative_differences(predictions, expected)
    return float(np.max(np.where(np.isnan(differences), np.inf, differences)))


def median_latency_ms(onnx_model: bytes, split: TrainTestSplit) -> float:
    """Return the median duration of a prediction of one row, in milliseconds.

    Uses one thread, as the service does: two threads that wait for each other take 16 ms on a busy
    machine.
    """
    session, rows = served_model.load(onnx_model), split.test[FEATURE_NAMES].to_numpy()
    durations = []
    with threadpool_limits(1, "openmp"):
        for index in np.resize(np.arange(len(rows)), N_TIMING_CALLS):
            started_at = time.perf_counter()
            served_model.predict(session, rows[index : index + 1])
            durations.append(time.perf_counter() - started_at)
    return float(np.median(durations)) * 1e3
