import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeRegressor

from housing import evaluate
from housing.sample import sample
from housing.schema import CAP, NAMES, TARGET


def test_scores_are_those_of_the_definition():
    truth, guess = pd.Series([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 6.0])
    found = evaluate.scores(truth, guess)
    assert found["rmse"] == pytest.approx(3**0.5)
    assert found["mae"] == 1
    assert found["median_error"] == 0
    assert found["r2"] == pytest.approx(1 - 9 / 2)


def test_groups_are_counted_and_in_dollars():
    truth, guess = pd.Series([1.0, 1.0, 2.0]), np.array([1.5, 1.5, 1.0])
    found = evaluate.by_group(truth, guess, pd.Series(["a", "a", "b"]))
    assert list(found.loc["a"]) == [2, 50_000, 50_000, 50_000]
    assert list(found.loc["b"]) == [1, 100_000, 100_000, -100_000]


def test_every_block_group_has_a_price_band_and_capped_ones_their_own():
    frame = sample(5_000)
    bands = evaluate.price_band(frame)
    assert bands.notna().all()
    assert ((bands == "capped at $500k") == (frame.MedHouseVal >= CAP)).all()


def test_age_bands_are_decades():
    bands = evaluate.age_band(pd.DataFrame({"HouseAge": [9.0, 10.0, 52.0]}))
    assert list(bands) == ["0 to 9 years", "10 to 19 years", "50 to 59 years"]


def test_importance_is_in_dollars_and_finds_what_the_model_leans_on(trained_on_income):
    table = evaluate.importance(trained_on_income, sample(500, seed=1), seed=0, repeats=3)
    assert table.index[0] == "MedInc"
    assert table["RMSE lost, $"].iloc[0] > 10_000
    assert (table["RMSE lost, $"].iloc[1:] == 0).all()  # no other column is looked at
    again = evaluate.importance(trained_on_income, sample(500, seed=1), seed=0, repeats=3)
    pd.testing.assert_frame_equal(table, again)


@pytest.fixture
def trained_on_income():
    frame = sample(500)
    others = [one for one in NAMES if one != "MedInc"]
    same = frame[NAMES].assign(**dict.fromkeys(others, 1.0))  # nothing else to split on
    return DecisionTreeRegressor(max_depth=3).fit(same, frame[TARGET])
