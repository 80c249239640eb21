"""Hand-made traffic: rows of the synthetic sample, predicted with a known error, day by day."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pandas as pd

from housing.data.synthetic import generate_sample
from housing.evaluation.calibration import IntervalPrediction
from housing.monitoring.counts import DailyCounts
from housing.monitoring.quantities import HistogramKey
from housing.monitoring.reference.held_out import Reference, build_reference
from housing.monitoring.reference.row_counts import count_rows
from housing.schema import FEATURE_NAMES, TARGET

FIRST_DAY = date(2026, 10, 1)
RELATIVE_ERROR = 0.15  # standard deviation of prediction / true value
HALF_WIDTH = 0.25  # of an interval, as a part of the prediction


def predict(frame: pd.DataFrame, seed: int = 0) -> IntervalPrediction:
    """Return predictions of which the error is drawn at random, with about 90 % of it covered."""
    noise = np.random.default_rng(seed).normal(0, RELATIVE_ERROR, len(frame))
    prediction = frame[TARGET].to_numpy() * np.exp(noise)
    width = HALF_WIDTH * prediction
    return IntervalPrediction(prediction, prediction - width, prediction + width)


def make_reference(n_rows: int = 2_000) -> Reference:
    """Return the reference of a model whose held-out rows are of the sample."""
    frame = generate_sample(2 * n_rows, seed=1)
    test, train = frame[:n_rows], frame[n_rows:]
    return build_reference(test, predict(test), train, "california-housing-sample", "1")


def make_counts(
    reference: Reference,
    n_days: int,
    rows_per_day: int,
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows,
    first_changed_day: int = 0,
    labelled: bool = True,
) -> DailyCounts:
    """Return the counts of days on which fresh rows of the sample came.

    change: of the rows with their predictions and truth, from the first changed day on.
    """
    days = tuple(FIRST_DAY + timedelta(days=number) for number in range(n_days))
    n_rows = n_days * rows_per_day
    frame = generate_sample(max(n_rows, 1), seed=2)[:n_rows]
    predictions = predict(frame, seed=3)
    rows = frame[FEATURE_NAMES].assign(
        prediction=predictions.prediction,
        low=predictions.low,
        high=predictions.high,
        warned=False,
        caller="",
        truth=frame[TARGET],
        day=np.repeat(days, rows_per_day),
    )
    is_changed = np.arange(len(rows)) >= first_changed_day * rows_per_day
    rows = pd.concat([rows[~is_changed], change(rows[is_changed].copy())])
    histograms: dict[HistogramKey, np.ndarray] = {}
    moments: dict[HistogramKey, np.ndarray] = {}
    for number, day in enumerate(days):
        day_rows = rows[rows.day == day].drop(columns="day")
        if day_rows.empty:
            continue
        for table in [day_rows.drop(columns="truth"), *([day_rows] if labelled else [])]:
            counts = count_rows(table.reset_index(drop=True), reference)
            for source, target in (
                (counts.histograms, histograms),
                (counts.moments, moments),
            ):
                for key, values in source.items():
                    target.setdefault(key, np.zeros((n_days, len(values))))[number] = values
    if n_rows:
        histograms[HistogramKey("refused")] = np.array([[rows_per_day, 0.0]] * n_days)
    requests = pd.DataFrame(
        {"day": days, "version": "1", "caller": "", "status": 200, "rows": rows_per_day}
    )
    sample = rows.groupby("day").head(20).assign(version="1")
    sample = sample[["day", "version", *FEATURE_NAMES, "prediction"]]
    empty = pd.DataFrame()
    return DailyCounts(days, histograms, moments, requests, empty, empty, empty, sample)
