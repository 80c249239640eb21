"""The reference: the held-out rows by the measures that the traffic is counted by."""

import numpy as np
import pytest

from housing.evaluation.calibration import IntervalPrediction
from housing.monitoring.quantities import (
    LABELLED_ESTIMATE,
    QUANTITIES_BY_NAME,
    RANK_VALUES,
    HistogramKey,
)
from housing.monitoring.reference.held_out import MAX_SAMPLE_ROWS, build_reference
from housing.schema import FEATURE_NAMES


def rebuild(held_out, **changes):
    """Return the reference of rows of which something is different."""
    rows = held_out._replace(**changes)
    return build_reference(rows.test, rows.predictions, rows.train, "a model", domain=rows.domain)


def test_the_mean_rank_of_each_quantity_is_one_half(held_out):
    counts = held_out.reference.counts
    for name in held_out.reference.rank_scales:
        histogram = counts.histograms[HistogramKey(name)]
        assert histogram @ RANK_VALUES / histogram.sum() == pytest.approx(0.5), name
    # all but the scores of a classifier that needs traffic
    assert set(held_out.reference.rank_scales) == {
        name for name, quantity in QUANTITIES_BY_NAME.items() if not quantity.is_share
    } - {"joint"}


def test_the_counts_are_those_of_the_held_out_rows(held_out):
    moments, rows = held_out.reference.counts.moments, held_out.labelled()
    n_rows, total, _ = moments[HistogramKey("absolute_error")]
    assert n_rows == held_out.reference.row_count == len(rows)
    assert total / n_rows == pytest.approx((rows.prediction - rows.truth).abs().mean() * 1e5)
    is_missed = (rows.truth < rows.low) | (rows.truth > rows.high)
    missed = held_out.reference.counts.histograms[HistogramKey("missed")]
    assert missed[1] == is_missed.sum()


def test_the_estimates_of_the_held_out_rows_are_as_large_as_their_errors(held_out):
    moments = held_out.reference.counts.moments
    error = moments[HistogramKey("absolute_error")][1]
    for name in ("estimated_error", LABELLED_ESTIMATE):
        assert moments[HistogramKey(name)][1] == pytest.approx(error, rel=0.02)


def test_the_predictions_at_the_ranks_of_a_feature_average_to_the_mean_prediction(held_out):
    reference = held_out.reference
    mean_usd = held_out.predictions.prediction.mean() * 1e5
    for name in FEATURE_NAMES:
        histogram = reference.counts.histograms[HistogramKey(name)]
        by_value = reference.prediction_by_value[name]
        assert histogram @ by_value / histogram.sum() == pytest.approx(mean_usd)
    assert np.argmax(reference.prediction_by_value["MedInc"]) > 15


def test_the_sample_is_of_held_out_rows_with_their_predictions(held_out):
    sample = held_out.reference.sample
    assert len(sample) == min(MAX_SAMPLE_ROWS, len(held_out.test))
    assert list(sample) == [*FEATURE_NAMES, "prediction"]
    rows = held_out.requests().reset_index(drop=True).loc[sample.index, list(sample)]
    assert (rows == sample).all(axis=None)


def test_a_model_without_intervals_has_a_reference_without_coverage(held_out):
    no_ends = np.full(len(held_out.test), np.nan)
    predictions = IntervalPrediction(held_out.predictions.prediction, no_ends, no_ends)
    reference = rebuild(held_out, predictions=predictions)
    assert HistogramKey("missed") not in reference.counts.histograms
    assert "interval_rank" not in reference.rank_scales
    estimates = reference.counts.histograms[HistogramKey("estimated_error")]
    assert estimates.sum() == pytest.approx(len(held_out.test))
