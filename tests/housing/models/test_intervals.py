from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict
from skops import io
from skops.io.exceptions import UntrustedTypesFoundException

from housing.data.synthetic import generate_sample
from housing.evaluation import slices
from housing.models import intervals
from housing.schema import FEATURE_NAMES, HOUSE_VALUE_CAP, TARGET


class Predictions(NamedTuple):
    """The arguments of `calibrate`, for some rows."""

    uncertainty_features: np.ndarray
    y_true: np.ndarray
    y_pred: np.ndarray


@pytest.fixture(scope="module")
def model_and_train():
    train = generate_sample(8_000)
    return LinearRegression().fit(train[FEATURE_NAMES], train[TARGET]), train


@pytest.fixture(scope="module")
def calibration(model_and_train):
    """Out-of-fold predictions for the rows to calibrate on."""
    model, train = model_and_train
    y_pred = cross_val_predict(clone(model), train[FEATURE_NAMES], train[TARGET], cv=3)
    return Predictions(np.c_[y_pred, train[FEATURE_NAMES]], train[TARGET].to_numpy(), y_pred)


@pytest.fixture(scope="module")
def new(model_and_train):
    """Predictions for rows that no model has seen."""
    model, _ = model_and_train
    frame = generate_sample(16_000, seed=1)
    y_pred = model.predict(frame[FEATURE_NAMES])
    return Predictions(np.c_[y_pred, frame[FEATURE_NAMES]], frame[TARGET].to_numpy(), y_pred)


@pytest.fixture(scope="module")
def interval_model(calibration):
    return intervals.calibrate(*calibration)


def is_covered(interval_model, predictions):
    low, high = interval_model.predict(predictions.uncertainty_features, predictions.y_pred)
    return (low <= predictions.y_true) & (predictions.y_true <= high)


def test_nine_of_ten_new_values_are_inside(interval_model, new):
    assert is_covered(interval_model, new).mean() == pytest.approx(0.9, abs=0.015)


def test_nine_of_ten_new_values_are_inside_in_each_price_band(interval_model, new):
    covered, bands = is_covered(interval_model, new), intervals.band_numbers(new.y_true)
    assert np.bincount(bands).min() > 100
    for band in range(len(intervals.BAND_UPPER_EDGES)):
        assert 0.84 < covered[bands == band].mean() < 0.96


def test_the_scores_are_of_boosters_that_have_not_seen_the_row():
    rng = np.random.default_rng(0)  # features without information, for a booster to memorize
    features, y_true = rng.normal(size=(2_000, 20)), rng.uniform(1, 2, 2_000)
    predictions = Predictions(features, y_true, np.full(2_000, 1.5))
    interval_model = intervals.calibrate(*(values[:300] for values in predictions))
    assert is_covered(interval_model, predictions)[300:].mean() > 0.87


def test_a_certain_prediction_gets_a_narrow_interval():
    rng = np.random.default_rng(0)
    spread = rng.choice([0.05, 0.3], 2_000)
    y_true = 2.5 + spread * rng.normal(size=2_000)
    interval_model = intervals.calibrate(spread[:, None], y_true, np.full(2_000, 2.5))
    low, high = interval_model.predict([[0.05], [0.3]], [2.5, 2.5])
    assert high[1] - low[1] > 3 * (high[0] - low[0])


def test_another_coverage_can_be_requested(calibration, new):
    half = intervals.calibrate(*calibration, coverage=0.5)
    assert is_covered(half, new).mean() == pytest.approx(0.5, abs=0.02)


def test_bounds_are_in_order_and_hold_the_prediction(interval_model, new):
    # some below 0, some above the cap
    y_pred = new.y_pred + np.linspace(-3, 3, len(new.y_pred))
    low, high = interval_model.predict(new.uncertainty_features, y_pred)
    clipped = np.clip(y_pred, 0, HOUSE_VALUE_CAP)
    assert ((low >= 0) & (low <= clipped) & (clipped <= high) & (high <= HOUSE_VALUE_CAP)).all()
    assert (y_pred < 0).any()
    assert (y_pred > HOUSE_VALUE_CAP).any()


def test_an_interval_is_the_hull_of_its_bands():
    lows, highs = np.full(6, -1.0), np.array([1, 1, 1, 2, 2, 2])
    low, high = intervals.interval_bounds(np.array([2.5, 4.5]), np.array([0.4, 0.3]), lows, highs)
    np.testing.assert_allclose(low, [2.1, 4.2])
    # 2.5 + 2 * 0.4, and the cap is within 4.5 + 0.6
    np.testing.assert_allclose(high, [3.3, HOUSE_VALUE_CAP])


def test_bands_are_those_of_the_tables():
    frame = generate_sample(2_000)
    frame.loc[:5, TARGET] = [1.0, 2.0, 4.0, 5.0, HOUSE_VALUE_CAP, 0.14999]  # on the edges too
    names = slices.price_band(frame)
    assert list(intervals.band_numbers(frame[TARGET])) == list(names.cat.codes)


def test_a_band_with_few_rows_borrows_the_next_in_value():
    y_true = np.array([*np.linspace(1.01, 2, 100), *np.linspace(3.01, 3.2, 20)])
    rows = intervals.rows_by_band(y_true)
    assert sorted(rows[1]) == list(range(100))
    assert sorted(rows[3]) == [*range(70, 100), *range(100, 120)]
    assert sorted(rows[5]) == sorted(
        rows[3]
    )  # nothing is capped: the most expensive fifty stand in


def test_quantiles_count_the_row_to_come():
    scores, rows = np.arange(1.0, 100), np.arange(99)  # a new row is as likely in any of 100 gaps
    lows, highs = intervals.conformal_quantiles(scores, [rows] * 6, 0.2)
    np.testing.assert_allclose(lows, [18, 14, 10, 6, 2, 6])
    np.testing.assert_allclose(highs, [98, 94, 90, 86, 82, 86])


def test_the_same_seed_gives_the_same_intervals(calibration, new):
    subset = [values[:500] for values in calibration]
    first, repeated, reseeded = (
        intervals.calibrate(*subset, seed=seed).predict(new.uncertainty_features, new.y_pred)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(repeated, first)
    assert (reseeded[0] != first[0]).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"uncertainty_features": np.ones(100)},
            r"uncertainty_features has the shape \(100,\), expected \(rows, columns\)",
        ),
        ({"y_true": np.ones(99)}, r"y_true has the shape \(99,\), expected \(100,\)"),
        ({"y_pred": np.ones((100, 1))}, r"y_pred has the shape \(100, 1\), expected \(100,\)"),
        ({"y_pred": np.full(100, np.nan)}, "y_pred holds 100 numbers that are not finite"),
        (
            {"uncertainty_features": np.full((100, 2), np.inf)},
            "uncertainty_features holds 200 numbers that are not finite",
        ),
        ({"coverage": 1.0}, "coverage is 1.0, expected a share between 0 and 1"),
        ({"coverage": 90}, "coverage is 90, expected a share between 0 and 1"),
    ],
)
def test_an_invalid_argument_of_calibrate_is_named(change, message):
    valid = {
        "uncertainty_features": np.ones((100, 2)),
        "y_true": np.ones(100),
        "y_pred": np.ones(100),
    }
    with pytest.raises(ValueError, match=message):
        intervals.calibrate(**(valid | change))


def test_too_few_rows_are_named():
    with pytest.raises(ValueError, match="there are 49 rows, expected at least 50"):
        intervals.calibrate(np.ones((49, 2)), np.ones(49), np.ones(49))


def test_other_columns_than_those_calibrated_on_are_named(interval_model):
    with pytest.raises(
        ValueError, match="uncertainty_features has 2 columns, expected the 9 it was calibrated"
    ):
        interval_model.predict(np.ones((3, 2)), np.ones(3))


def test_a_file_with_an_untrusted_type_is_refused(interval_model):
    content = io.dumps(interval_model._asdict() | {"level": Path("/")})
    with pytest.raises(UntrustedTypesFoundException, match="pathlib"):
        intervals.IntervalModel.loads(content)
