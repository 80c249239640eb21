from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict
from skops import io
from skops.io.exceptions import UntrustedTypesFoundException

from housing.data.synthetic import generate_sample
from housing.evaluation import metrics
from housing.models import intervals
from housing.schema import FEATURE_NAMES, HOUSE_VALUE_CAP, TARGET


@pytest.fixture(scope="module")
def parts():
    """Signs, truth and guess of calibration rows, out of fold, and of rows no model has seen."""
    train, fresh = generate_sample(8_000), generate_sample(16_000, seed=1)
    model = LinearRegression()
    folds = cross_val_predict(model, train[FEATURE_NAMES], train[TARGET], cv=3)
    guess = model.fit(train[FEATURE_NAMES], train[TARGET]).predict(fresh[FEATURE_NAMES])
    return (
        (np.c_[folds, train[FEATURE_NAMES]], train[TARGET].to_numpy(), folds),
        (np.c_[guess, fresh[FEATURE_NAMES]], fresh[TARGET].to_numpy(), guess),
    )


@pytest.fixture(scope="module")
def found(parts):
    return intervals.calibrate(*parts[0])


def covered(found, signs, truth, guess):
    low, high = found.predict(signs, guess)
    return (low <= truth) & (truth <= high)


def test_nine_of_ten_new_values_lie_inside(parts, found):
    assert covered(found, *parts[1]).mean() == pytest.approx(0.9, abs=0.015)


def test_so_they_do_in_each_price_band(parts, found):
    hits, bands = covered(found, *parts[1]), intervals.band_numbers(parts[1][1])
    assert np.bincount(bands).min() > 100
    for number in range(len(intervals.BAND_UPPER_EDGES)):
        assert 0.84 < hits[bands == number].mean() < 0.96


def test_the_scores_are_of_boosters_that_have_not_seen_the_row():
    rng = np.random.default_rng(0)  # signs that tell nothing, for a booster to learn by heart
    signs, truth = rng.normal(size=(2_000, 20)), rng.uniform(1, 2, 2_000)
    guess = np.full(2_000, 1.5)
    hits = covered(intervals.calibrate(signs[:300], truth[:300], guess[:300]), signs, truth, guess)
    assert hits[300:].mean() > 0.87


def test_a_guess_that_is_sure_gets_a_narrow_interval():
    rng = np.random.default_rng(0)
    spread = rng.choice([0.05, 0.3], 2_000)
    truth = 2.5 + spread * rng.normal(size=2_000)
    found = intervals.calibrate(spread[:, None], truth, np.full(2_000, 2.5))
    low, high = found.predict([[0.05], [0.3]], [2.5, 2.5])
    assert high[1] - low[1] > 3 * (high[0] - low[0])


def test_another_coverage_can_be_asked_for(parts):
    half = intervals.calibrate(*parts[0], coverage=0.5)
    assert covered(half, *parts[1]).mean() == pytest.approx(0.5, abs=0.02)


def test_ends_are_in_order_and_hold_the_guess(parts, found):
    signs, _, guess = parts[1]
    wild = guess + np.linspace(-3, 3, len(guess))  # some below 0, some above the cap
    low, high = found.predict(signs, wild)
    held = np.clip(wild, 0, HOUSE_VALUE_CAP)
    assert ((low >= 0) & (low <= held) & (held <= high) & (high <= HOUSE_VALUE_CAP)).all()
    assert (wild < 0).any()
    assert (wild > HOUSE_VALUE_CAP).any()


def test_a_hull_of_the_bands_by_hand():
    lows, highs = np.full(6, -1.0), np.array([1, 1, 1, 2, 2, 2])
    low, high = intervals.interval_bounds(np.array([2.5, 4.5]), np.array([0.4, 0.3]), lows, highs)
    np.testing.assert_allclose(low, [2.1, 4.2])
    np.testing.assert_allclose(
        high, [3.3, HOUSE_VALUE_CAP]
    )  # 2.5 + 2 * 0.4, and the cap is within 4.5 + 0.6


def test_bands_are_those_of_the_tables():
    frame = generate_sample(2_000)
    frame.loc[:5, TARGET] = [1.0, 2.0, 4.0, 5.0, HOUSE_VALUE_CAP, 0.14999]  # on the edges too
    names = metrics.price_band(frame)
    assert list(intervals.band_numbers(frame[TARGET])) == list(names.cat.codes)


def test_a_band_with_few_rows_borrows_the_next_in_value():
    truth = np.array([*np.linspace(1.01, 2, 100), *np.linspace(3.01, 3.2, 20)])
    rows = intervals.rows_by_band(truth)
    assert sorted(rows[1]) == list(range(100))
    assert sorted(rows[3]) == [*range(70, 100), *range(100, 120)]
    assert sorted(rows[5]) == sorted(rows[3])  # nothing is capped: the dearest fifty stand in


def test_quantiles_count_the_row_to_come():
    score, rows = np.arange(1.0, 100), np.arange(99)  # a new row is as likely in any of 100 gaps
    lows, highs = intervals.conformal_quantiles(score, [rows] * 6, 0.2)
    np.testing.assert_allclose(lows, [18, 14, 10, 6, 2, 6])
    np.testing.assert_allclose(highs, [98, 94, 90, 86, 82, 86])


def test_the_same_seed_gives_the_same_intervals(parts):
    few = [values[:500] for values in parts[0]]
    signs, _, guess = parts[1]
    first, again, other = (
        intervals.calibrate(*few, seed=seed).predict(signs, guess) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(again, first)
    assert (other[0] != first[0]).any()


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
def test_what_cannot_be_calibrated_on_is_named(change, message):
    good = {
        "uncertainty_features": np.ones((100, 2)),
        "y_true": np.ones(100),
        "y_pred": np.ones(100),
    }
    with pytest.raises(ValueError, match=message):
        intervals.calibrate(**(good | change))


def test_too_few_rows_are_named():
    with pytest.raises(ValueError, match="there are 49 rows, expected at least 50"):
        intervals.calibrate(np.ones((49, 2)), np.ones(49), np.ones(49))


def test_other_signs_than_those_calibrated_on_are_named(parts, found):
    with pytest.raises(
        ValueError, match="uncertainty_features has 2 columns, expected the 9 it was calibrated"
    ):
        found.predict(np.ones((3, 2)), np.ones(3))


def test_a_file_with_a_foreign_type_is_refused(found):
    foreign = io.dumps(found._asdict() | {"level": Path("/")})
    with pytest.raises(UntrustedTypesFoundException, match="pathlib"):
        intervals.IntervalModel.loads(foreign)
