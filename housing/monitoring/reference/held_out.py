"""The reference of a model version: what its held-out rows look like, to compare traffic with.

Everything is computed from rows that the model was not trained on, and by the very functions that
count the traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from housing.evaluation.calibration import IntervalPrediction
from housing.inference import training_domain
from housing.inference.training_domain import TrainingDomain
from housing.monitoring.counts import RowCounts
from housing.monitoring.quantities import QUANTITIES, RANK_VALUES
from housing.monitoring.reference import estimated_error, row_counts
from housing.monitoring.reference.rank_scale import RankScale, fit_rank_scale
from housing.monitoring.reference.row_counts import RowScales
from housing.schema import COORDINATE_NAMES, FEATURE_NAMES, TARGET, USD_PER_UNIT

MAX_SAMPLE_ROWS = 2_000


@dataclass(frozen=True, eq=False, kw_only=True)
class Reference(RowScales):
    """The held-out rows of a model version, predicted by it, as the monitoring needs them."""

    model_name: str
    model_version: str  # empty as long as it is not registered
    row_count: int  # held-out rows
    counts: RowCounts  # of the held-out rows, with and without their true values
    # by feature, (21,): the mean prediction in $ of the held-out rows at each of RANK_VALUES
    prediction_by_value: Mapping[str, np.ndarray]
    sample: pd.DataFrame  # held-out rows, at most MAX_SAMPLE_ROWS: features, and their prediction


def build_reference(
    test: pd.DataFrame,
    predictions: IntervalPrediction,
    train: pd.DataFrame,
    model_name: str,
    model_version: str = "",
    domain: TrainingDomain | None = None,
) -> Reference:
    """Build the reference of a model version from its held-out rows.

    test, train: features and true value. predictions: of the test rows, in $100,000; low and high
    are NaN for a model without intervals. domain: of the training rows, that warns of rows outside
    of it; by default it is fitted.
    """
    rows = _held_out_rows(test, predictions, domain or fit_domain(train))
    labelled_rows = rows.assign(truth=test[TARGET].to_numpy(float))
    places = np.unique(train[COORDINATE_NAMES].to_numpy(float), axis=0)
    distances_km = row_counts.distances_km(row_counts.index_places(places), rows)
    labelled_values = row_counts.labelled_values(labelled_rows)
    error_rows = row_counts.error_rows(rows, distances_km)
    errors_usd = labelled_values["absolute_error"]
    estimates_usd = estimated_error.cross_fitted_estimates(error_rows, errors_usd)
    values = row_counts.prediction_values(rows, distances_km, estimates_usd) | labelled_values
    scales = RowScales(
        rank_scales=_fit_rank_scales(values),
        error_table=estimated_error.fit_error_table(error_rows, errors_usd),
        training_places=places,
    )
    return Reference(
        rank_scales=scales.rank_scales,
        error_table=scales.error_table,
        training_places=places,
        model_name=model_name,
        model_version=model_version,
        row_count=len(rows),
        counts=_count_both(rows, labelled_rows, scales, estimates_usd),
        prediction_by_value=_predictions_by_value(rows, scales.rank_scales),
        sample=rows[[*FEATURE_NAMES, "prediction"]].sample(
            min(len(rows), MAX_SAMPLE_ROWS), random_state=0
        ),
    )


def fit_domain(train: pd.DataFrame) -> TrainingDomain:
    """Return the domain of some training rows, as the service knows it."""
    return training_domain.from_json(training_domain.fit(train))


def _held_out_rows(
    test: pd.DataFrame, predictions: IntervalPrediction, domain: TrainingDomain
) -> pd.DataFrame:
    """Return the test rows as if they had been requests, with the columns of `count_rows`."""
    features = test[FEATURE_NAMES].astype(float).reset_index(drop=True)
    warnings = training_domain.out_of_domain_warnings(domain, features.to_numpy())
    return features.assign(
        prediction=predictions.prediction,
        low=predictions.low,
        high=predictions.high,
        warned=[bool(texts) for texts in warnings],
        caller="",
    )


def _fit_rank_scales(values: Mapping[str, np.ndarray]) -> dict[str, RankScale]:
    """Return the scale of each quantity that is a rank; none for a quantity without any value."""
    return {
        quantity.name: fit_rank_scale(values[quantity.name])
        for quantity in QUANTITIES
        if not quantity.is_share and np.isfinite(values.get(quantity.name, np.nan)).any()
    }


def _count_both(
    rows: pd.DataFrame, labelled_rows: pd.DataFrame, scales: RowScales, estimates_usd: np.ndarray
) -> RowCounts:
    """Count held-out rows without and with their true values; without those of callers."""
    without, with_truth = (
        row_counts.count_rows(table, scales, estimates_usd) for table in (rows, labelled_rows)
    )
    return RowCounts(
        {**without.histograms, **with_truth.histograms}, {**without.moments, **with_truth.moments}
    )


def _predictions_by_value(
    rows: pd.DataFrame, rank_scales: Mapping[str, RankScale]
) -> dict[str, np.ndarray]:
    """Return the mean prediction in $ at each of RANK_VALUES, by feature.

    Where no held-out row is, it is interpolated.
    """
    predictions_usd = rows.prediction.to_numpy(float) * USD_PER_UNIT
    tables = {}
    for name in FEATURE_NAMES:
        weights = row_counts.rank_weights(rank_scales[name].ranks(rows[name].to_numpy()))
        totals = weights.sum(axis=0)
        has_rows = totals > 0
        means = (predictions_usd @ weights)[has_rows] / totals[has_rows]
        tables[name] = np.interp(RANK_VALUES, RANK_VALUES[has_rows], means)
    return tables
