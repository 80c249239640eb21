"""What is counted of rows: all of them once, in every group, and by the same measure."""

import numpy as np
import pandas as pd
import pytest

from housing import geography
from housing.evaluation import slices
from housing.monitoring.quantities import (
    LABELLED_ESTIMATE,
    MODEL_DIMENSIONS,
    QUANTITIES,
    RANK_VALUES,
    Dimension,
    HistogramKey,
    RowKind,
    values_of,
)
from housing.monitoring.reference.row_counts import count_rows, rank_weights
from housing.schema import FEATURE_NAMES, TARGET

COUNTED = {
    kind: {quantity.name for quantity in QUANTITIES if quantity.rows == kind} - {"joint"}
    for kind in RowKind
}


def test_a_rank_between_two_values_counts_for_both_in_parts():
    weights = rank_weights(np.array([0, 0.5, 0.9875, 1, np.nan]))
    assert weights.sum(axis=1) == pytest.approx([1, 1, 1, 1, 0])
    assert weights[:4] @ RANK_VALUES == pytest.approx([0, 0.5, 0.9875, 1])
    assert weights[2, 19:] == pytest.approx([0.25, 0.75])


def test_every_quantity_of_predictions_is_counted_for_all_rows(held_out):
    counts = count_rows(held_out.requests(), held_out.reference)
    assert {key.quantity for key in counts.histograms} == COUNTED[RowKind.PREDICTIONS]
    for quantity in QUANTITIES:
        if quantity.name in COUNTED[RowKind.PREDICTIONS] - {"in_region"}:
            histogram = counts.histograms[HistogramKey(quantity.name)]
            assert histogram.shape == values_of(quantity).shape
            assert histogram.sum() == pytest.approx(len(held_out.test))


def test_labelled_rows_are_counted_by_their_errors_and_their_estimates(held_out):
    counts = count_rows(held_out.labelled(), held_out.reference)
    assert {key.quantity for key in counts.histograms} == (
        COUNTED[RowKind.LABELLED] | {LABELLED_ESTIMATE}
    )


@pytest.mark.parametrize("dimension", MODEL_DIMENSIONS)
def test_the_groups_of_a_dimension_add_up_to_all_rows(held_out, dimension):
    counts = count_rows(held_out.labelled(), held_out.reference)
    groups = [
        array
        for key, array in counts.histograms.items()
        if key[:2] == ("absolute_error", dimension)
    ]
    assert len(groups) > 1
    assert sum(groups) == pytest.approx(counts.histograms[HistogramKey("absolute_error")])


def test_moments_are_in_dollars_and_in_the_unit_of_the_feature(held_out):
    rows = held_out.labelled()
    labelled, predicted = (
        count_rows(table, held_out.reference) for table in (rows, rows.drop(columns="truth"))
    )
    errors = (rows.prediction - rows.truth) * 1e5
    expected = [len(rows), errors.sum(), (errors**2).sum()]
    assert labelled.moments[HistogramKey("error")] == pytest.approx(expected)
    in_bay = (geography.assign_regions(rows) == "Bay Area").to_numpy()
    bay_key = HistogramKey("absolute_error", Dimension.REGION, "Bay Area")
    assert labelled.moments[bay_key][1] == pytest.approx(errors[in_bay].abs().sum())
    n_rows, total, _ = predicted.moments[HistogramKey("HouseAge")]
    assert total / n_rows == pytest.approx(rows.HouseAge.mean())


def test_the_price_of_a_group_is_the_predicted_one(held_out):
    row = held_out.labelled()[:1].assign(prediction=2.5, truth=4.5)
    keys = count_rows(row, held_out.reference).histograms
    assert HistogramKey("error", Dimension.PRICE, "$200k to 300k") in keys
    assert HistogramKey("error", Dimension.PRICE, "$400k to 500k") not in keys
    cheap = count_rows(row.assign(prediction=-0.1), held_out.reference).histograms
    assert HistogramKey("error", Dimension.PRICE, "below $100k") in cheap


def test_distances_are_great_circles_to_the_nearest_training_row(held_out):
    rows = held_out.requests()
    distances_km = held_out.reference.distances_km(rows)
    assert distances_km == pytest.approx(
        geography.distance_to_nearest_km(rows, held_out.train), abs=1e-6
    )
    counts = count_rows(rows, held_out.reference)
    expected = slices.distance_band(rows, held_out.train).value_counts()
    for band in slices.DISTANCE_BANDS:
        key = HistogramKey("estimated_error", Dimension.DISTANCE, band)
        assert counts.histograms.get(key, np.zeros(1)).sum() == pytest.approx(expected[band])


def test_the_share_of_a_region_is_counted_over_all_rows(held_out):
    rows = held_out.requests()[:10].assign(Latitude=37.77, Longitude=-122.42)
    counts = count_rows(rows, held_out.reference)
    shares = {
        key.group: array.tolist()
        for key, array in counts.histograms.items()
        if key.quantity == "in_region"
    }
    assert shares == {region: [10, 0] for region in geography.REGIONS} | {"Bay Area": [0, 10]}


def test_each_caller_that_occurs_has_a_group(held_out):
    rows = held_out.requests()[:5].assign(
        caller=["ann", "ann", "bob", "", "ann"], warned=[True, False, True, False, False]
    )
    counts = count_rows(rows, held_out.reference)
    warned = {
        key.group: array.tolist()
        for key, array in counts.histograms.items()
        if key[:2] == ("warned", Dimension.CALLER)
    }
    assert warned == {"ann": [2, 1], "bob": [0, 1], "": [1, 0]}


def test_rows_without_an_interval_count_only_where_none_is_needed(held_out):
    rows = held_out.labelled()[:4].assign(low=np.nan, high=np.nan)
    histograms = count_rows(rows, held_out.reference).histograms
    assert histograms[HistogramKey("error")].sum() == pytest.approx(4)
    assert HistogramKey("missed") not in histograms
    assert HistogramKey("interval_rank") not in histograms


def test_a_truth_at_the_end_of_the_interval_is_inside(held_out):
    rows = held_out.labelled()[:4]
    rows = rows.assign(truth=[*rows.low[:2], rows.high.iloc[2], rows.high.iloc[3] + 0.01])
    assert count_rows(rows, held_out.reference).histograms[HistogramKey("missed")].tolist() == [
        3, 1,
    ]  # fmt: skip


def test_no_rows_have_no_counts(held_out):
    for rows in (held_out.requests(), held_out.labelled()):
        counts = count_rows(rows[:0], held_out.reference)
        assert not counts.histograms
        assert not counts.moments


def test_fresh_rows_look_like_the_held_out_ones_and_changed_ones_do_not(held_out):
    rows = held_out.requests().sample(400, random_state=0)
    poorer = rows.assign(MedInc=rows.MedInc * 0.7)
    means = {}
    for name, table in (("fresh", rows), ("poorer", poorer)):
        histogram = count_rows(table, held_out.reference).histograms[HistogramKey("MedInc")]
        means[name] = histogram @ RANK_VALUES / histogram.sum()
    assert means["fresh"] == pytest.approx(0.5, abs=0.05)
    assert means["poorer"] < 0.4


def test_the_columns_are_those_of_a_log_with_any_index(held_out):
    rows = held_out.labelled()
    shuffled = rows.sample(frac=1, random_state=0).set_index(pd.RangeIndex(len(rows)))
    first, second = (count_rows(table, held_out.reference) for table in (rows, shuffled))
    assert list(first.histograms) == list(second.histograms)
    for key, histogram in first.histograms.items():
        assert second.histograms[key] == pytest.approx(histogram)
    assert set(rows) >= {*FEATURE_NAMES} - {TARGET}
