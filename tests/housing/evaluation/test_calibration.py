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
def new_rows():
    return generate_sample(8_000, seed=1)


@pytest.fixture(scope="module")
def results(train, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOUSING_HOME", str(tmp_path_factory.mktemp("home")))
        return search.tune_families(["tree", "neighbours"], train, "quick")


@pytest.mark.parametrize("family", ["tree", "neighbours"])
def test_nine_of_ten_true_values_of_new_rows_lie_inside(results, train, new_rows, family):
    calibrated = calibration.calibrate_intervals(results[family], train, FLAT)
    y_pred, low, high = calibration.predict_with_interval(
        results[family].model, calibrated, new_rows
    )
    y_true = new_rows[TARGET].to_numpy()
    np.testing.assert_array_equal(y_pred, results[family].model.predict(new_rows[FEATURE_NAMES]))
    # above 0.9: the out-of-fold models were trained on half of the rows
    assert 0.89 < np.mean((low <= y_true) & (y_true <= high)) < 0.94


def test_a_steep_learning_curve_narrows_the_intervals(results, train, new_rows):
    widths = []
    for curve in (FLAT, STEEP):
        calibrated = calibration.calibrate_intervals(results["tree"], train, curve)
        _, low, high = calibration.predict_with_interval(
            results["tree"].model, calibrated, new_rows
        )
        widths.append(np.mean(high - low))
    # two folds: the model has twice the rows, for which the curve predicts an error 28 % smaller
    assert widths[1] / widths[0] == pytest.approx(0.72, abs=0.08)


def test_a_training_row_does_not_use_its_own_value(results, train):
    """With its own value among its neighbors' values, each training row would look certain."""
    calibrated = calibration.calibrate_intervals(results["neighbours"], train, FLAT)
    _, low, high = calibration.predict_with_interval(
        results["neighbours"].model, calibrated, train[:500]
    )
    training_width, new_rows = np.mean(high - low), generate_sample(500, seed=2)
    _, low, high = calibration.predict_with_interval(
        results["neighbours"].model, calibrated, new_rows
    )
    assert np.mean(high - low) > 0.8 * training_width


def test_intervals_are_the_same_after_saving_and_loading(results, train, new_rows):
    calibrated = calibration.calibrate_intervals(results["tree"], train, FLAT)
    loaded = intervals.IntervalModel.loads(calibrated.dumps())
    expected, predicted = (
        calibration.predict_with_interval(results["tree"].model, interval_model, new_rows)
        for interval_model in (calibrated, loaded)
    )
    np.testing.assert_array_equal(predicted, expected)
