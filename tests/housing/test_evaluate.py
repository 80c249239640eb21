import numpy as np
import pandas as pd
import pytest

from housing import evaluate
from housing.sample import sample
from housing.schema import CAP


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
