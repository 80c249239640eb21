import numpy as np
import pytest

from housing.data.synthetic import generate_sample
from housing.evaluation import bootstrap
from housing.schema import TARGET


def test_the_gain_is_the_difference_of_the_errors():
    truth = np.zeros(100)
    found = bootstrap.rmse_gain(truth, truth + 0.1, truth + 0.3)
    np.testing.assert_allclose(found, [20_000] * 3)  # each row says the same


def test_a_hard_row_for_both_is_no_doubt():
    """One row is off by $1,000,000 for both: unpaired intervals would be as wide as that."""
    rng = np.random.default_rng(0)
    truth = np.zeros(1_000)
    before = rng.normal(scale=0.3, size=1_000)
    before[0] = 10.0
    found = bootstrap.rmse_gain(truth, before * 0.9, before)
    assert 0 < found.low < found.value < found.high
    assert found.high - found.low < 5_000


def test_intervals_hold_the_true_gain_as_often_as_they_say():
    rng, truth, held = np.random.default_rng(1), np.zeros(300), 0
    for seed in range(200):
        before = rng.normal(scale=0.5, size=300)
        guess = 0.6 * before + rng.normal(scale=0.2, size=300)
        true = (0.5 - np.sqrt(0.36 * 0.25 + 0.04)) * 100_000
        found = bootstrap.rmse_gain(truth, guess, before, confidence_level=0.8, seed=seed)
        held += found.low <= true <= found.high
    assert 0.72 < held / 200 < 0.88


def test_a_guess_that_is_no_number_gains_nothing():
    guess = np.array([0.0, np.nan])
    assert bootstrap.rmse_gain(np.zeros(2), guess, np.ones(2)).low == -np.inf


@pytest.mark.parametrize("certainty", [0, 1, 90])
def test_a_certainty_is_a_share(certainty):
    with pytest.raises(ValueError, match=f"certainty is {certainty}, expected a share"):
        bootstrap.rmse_gain(np.zeros(2), np.zeros(2), np.zeros(2), certainty)


def test_the_group_that_got_worse_the_most_is_named():
    train, test = generate_sample(500), generate_sample(2_000, seed=1)
    truth = test[TARGET].to_numpy()
    before, guess = truth + 0.2, truth + 0.1
    old = (test.HouseAge >= 40) & (test.HouseAge < 50)
    table = bootstrap.compare_slices(test, guess + 0.2 * old, before, train)
    assert table.loc[("house age", "40 to 49 years"), "worse by, %"] == pytest.approx(50, abs=0.1)
    assert bootstrap.worst_group(table).name == ("house age", "40 to 49 years")
    with pytest.raises(LookupError, match="no group has 5000"):
        bootstrap.worst_group(table, 5_000)
