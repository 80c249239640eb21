import numpy as np
import pandas as pd
import pytest

from housing.data.synthetic import generate_sample
from housing.evaluation import calibration
from housing.models import intervals
from housing.schema import FEATURE_NAMES, TARGET
from housing.training import search

FLAT = pd.DataFrame({"RMSE, $": [50_000.0, 50_000.0, 50_000.0]}, [1_000, 2_000, 4_000])
STEEP = pd.DataFrame({"RMSE, $": [62_500.0, 50_000.0, 40_000.0]}, [1_000, 2_000, 4_000])


@pytest.fixture(scope="module")
def train():
    return generate_sample(4_000)


@pytest.fixture(scope="module")
def fresh():
    return generate_sample(8_000, seed=1)


@pytest.fixture(scope="module")
def found(train, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOUSING_HOME", str(tmp_path_factory.mktemp("home")))
        return search.tune_families(["tree", "neighbours"], train, "quick")


@pytest.mark.parametrize("family", ["tree", "neighbours"])
def test_nine_of_ten_new_values_lie_inside(found, train, fresh, family):
    calibrated = calibration.calibrate_intervals(found[family], train, FLAT)
    guess, low, high = calibration.predict_with_interval(found[family].model, calibrated, fresh)
    truth = fresh[TARGET].to_numpy()
    np.testing.assert_array_equal(guess, found[family].model.predict(fresh[FEATURE_NAMES]))
    # above 0.9: the guesses calibrated on are of models that knew half of the rows
    assert 0.89 < np.mean((low <= truth) & (truth <= high)) < 0.94


def test_a_model_that_learnt_from_more_rows_gets_narrower_intervals(found, train, fresh):
    widths = []
    for curve in (FLAT, STEEP):
        calibrated = calibration.calibrate_intervals(found["tree"], train, curve)
        _, low, high = calibration.predict_with_interval(found["tree"].model, calibrated, fresh)
        widths.append(np.mean(high - low))
    # two folds: the model has twice the rows, for which the curve promises an error 28 % less
    assert widths[1] / widths[0] == pytest.approx(0.72, abs=0.08)


def test_a_row_does_not_tell_its_own_value(found, train):
    """With its own value among its neighbours', each guess of a training row would look sure."""
    calibrated = calibration.calibrate_intervals(found["neighbours"], train, FLAT)
    _, low, high = calibration.predict_with_interval(
        found["neighbours"].model, calibrated, train[:500]
    )
    shown, fresh = np.mean(high - low), generate_sample(500, seed=2)
    _, low, high = calibration.predict_with_interval(found["neighbours"].model, calibrated, fresh)
    assert np.mean(high - low) > 0.8 * shown


def test_intervals_are_the_same_after_a_way_through_a_file(found, train, fresh):
    calibrated = calibration.calibrate_intervals(found["tree"], train, FLAT)
    again = intervals.IntervalModel.loads(calibrated.dumps())
    once, twice = (
        calibration.predict_with_interval(found["tree"].model, one, fresh)
        for one in (calibrated, again)
    )
    np.testing.assert_array_equal(once, twice)
