"""How large a change is: in dollars, percent or points, and whether that matters."""

import numpy as np
import pytest

from housing.monitoring.analysis.effects import compare, measure_effect
from housing.monitoring.analysis.streams import StreamKey
from housing.monitoring.counts import RowCounts
from housing.monitoring.quantities import QUANTITIES_BY_NAME, Aspect, Dimension, HistogramKey

UNIFORM = np.full(21, 10.0)
PREDICTION_BY_VALUE = {"MedInc": np.linspace(100_000, 300_000, 21)}


def effect(name, histogram, reference_histogram, means=None, aspect=Aspect.LOCATION, group=()):
    """means: of the rows and of the held-out ones."""
    key, reference_key = HistogramKey(name, *group), HistogramKey(name)
    rows, reference = (
        RowCounts(
            {} if values is None else {name_key: np.asarray(values, float)},
            {} if means is None else {name_key: np.array([10.0, 10 * means[index], 1e12])},
        )
        for index, (name_key, values) in enumerate(
            [(key, histogram), (reference_key, reference_histogram)]
        )
    )
    comparison = compare(QUANTITIES_BY_NAME[name], StreamKey(key, aspect), rows, reference)
    return measure_effect(comparison, PREDICTION_BY_VALUE)


def test_a_biased_error_is_told_in_dollars():
    result = effect("error", UNIFORM, UNIFORM, (-9_000, 500))
    assert result.is_large
    assert result.usd == -9_500
    assert result.text == "predictions are $9,000 too low on average"
    assert not effect("error", UNIFORM, UNIFORM, (-4_000, 500)).is_large


def test_a_tenth_more_absolute_error_matters():
    result = effect("absolute_error", UNIFORM, UNIFORM, (33_000, 30_000))
    assert result.is_large
    assert (
        result.text
        == "mean absolute error $33,000, 10 % more than the $30,000 of the held-out rows"
    )
    assert not effect("absolute_error", UNIFORM, UNIFORM, (32_900, 30_000)).is_large
    assert not effect("absolute_error", UNIFORM, UNIFORM, (20_000, 30_000)).is_large


@pytest.mark.parametrize(("missed", "is_large"), [(14, True), (12, False)])
def test_three_points_of_coverage_matter(missed, is_large):
    result = effect("missed", [100 - missed, missed], [900, 100])
    assert result.is_large == is_large
    assert result.usd is None


def test_refused_rows_are_compared_with_none():
    result = effect("refused", [90, 10], None, group=(Dimension.CALLER, "web"))
    assert result.is_large
    assert result.text == "10.0% refused rows, 0.0% of the held-out rows"


def test_a_feature_counts_by_what_it_does_to_the_prediction():
    shifted = UNIFORM * np.linspace(0.95, 1.05, 21)
    result = effect("MedInc", shifted, UNIFORM, (4.1, 3.9))
    assert result.usd == pytest.approx(1_833, abs=1)
    assert not result.is_large
    result = effect("MedInc", UNIFORM * np.linspace(0.7, 1.3, 21), UNIFORM, (4.1, 3.9))
    assert result.is_large
    assert result.text == (
        "mean MedInc 4.1 in place of 3.9; this raises the mean prediction by about $11,000"
    )


def test_a_stuck_feature_matters_whatever_the_model_makes_of_it():
    stuck = np.eye(21)[10]
    result = effect("MedInc", stuck, UNIFORM, (4.1, 3.9), Aspect.SPREAD)
    assert result.is_large
    assert result.text.startswith("MedInc is spread more narrowly")


def test_a_fifth_of_the_rows_with_a_stuck_feature_matters():
    partly_stuck = 0.8 * UNIFORM / UNIFORM.sum() + 0.2 * np.eye(21)[10]
    assert effect("MedInc", partly_stuck, UNIFORM, (4.1, 3.9), Aspect.SPREAD).is_large


def test_the_joint_distribution_is_told_as_the_area_under_the_roc_curve():
    result = effect("joint", UNIFORM * np.linspace(0.8, 1.2, 21), UNIFORM)
    assert not result.is_large
    result = effect("joint", UNIFORM * np.linspace(0, 2, 21), UNIFORM)
    assert result.is_large
    assert result.text.endswith("with an area under the ROC curve of 0.68")
