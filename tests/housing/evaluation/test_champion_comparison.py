import numpy as np
import pytest

from housing.data.synthetic import generate_sample
from housing.evaluation import champion_comparison
from housing.schema import TARGET


def test_the_gain_is_the_difference_of_the_errors():
    y_true = np.zeros(100)
    gain = champion_comparison.rmse_gain(y_true, y_true + 0.1, y_true + 0.3)
    np.testing.assert_allclose(gain, [20_000] * 3)  # each row has the same gain


def test_a_row_that_is_hard_for_both_does_not_widen_the_interval():
    """The error of one row is $1,000,000 for both: an unpaired interval would be as wide."""
    rng = np.random.default_rng(0)
    baseline_pred = rng.normal(scale=0.3, size=1_000)
    baseline_pred[0] = 10.0
    gain = champion_comparison.rmse_gain(np.zeros(1_000), baseline_pred * 0.9, baseline_pred)
    assert 0 < gain.low < gain.value < gain.high
    assert gain.high - gain.low < 5_000


def test_intervals_contain_the_true_gain_as_often_as_promised():
    rng, y_true, n_inside = np.random.default_rng(1), np.zeros(300), 0
    true_gain = (0.5 - np.sqrt(0.36 * 0.25 + 0.04)) * 100_000
    for seed in range(200):
        baseline_pred = rng.normal(scale=0.5, size=300)
        y_pred = 0.6 * baseline_pred + rng.normal(scale=0.2, size=300)
        gain = champion_comparison.rmse_gain(
            y_true, y_pred, baseline_pred, confidence_level=0.8, seed=seed
        )
        n_inside += gain.low <= true_gain <= gain.high
    assert 0.72 < n_inside / 200 < 0.88


def test_a_prediction_that_is_not_finite_gains_minus_infinity():
    y_pred = np.array([0.0, np.nan])
    assert champion_comparison.rmse_gain(np.zeros(2), y_pred, np.ones(2)).low == -np.inf


@pytest.mark.parametrize("level", [0, 1, 90])
def test_a_confidence_level_is_between_0_and_1(level):
    with pytest.raises(ValueError, match=f"confidence_level is {level}, expected a number"):
        champion_comparison.rmse_gain(np.zeros(2), np.zeros(2), np.zeros(2), level)


def test_the_group_that_got_worse_the_most_is_named():
    train, test = generate_sample(500), generate_sample(2_000, seed=1)
    y_true = test[TARGET].to_numpy()
    in_forties = (test.HouseAge >= 40) & (test.HouseAge < 50)
    table = champion_comparison.compare_slices(
        test, y_true + 0.1 + 0.2 * in_forties, y_true + 0.2, train
    )
    assert table.loc[("house age", "40 to 49 years"), "worse by, %"] == pytest.approx(50, abs=0.1)
    assert champion_comparison.worst_group(table).name == ("house age", "40 to 49 years")
    with pytest.raises(LookupError, match="no group has 5000"):
        champion_comparison.worst_group(table, 5_000)
