import numpy as np
import pandas as pd
import pytest

from housing.data.synthetic import generate_sample
from housing.evaluation import metrics, slices
from housing.schema import HOUSE_VALUE_CAP, TARGET


@pytest.fixture(scope="module")
def frame():
    return generate_sample(2_000)


@pytest.fixture(scope="module")
def table(frame):
    guess = frame[TARGET].to_numpy() + np.random.default_rng(0).normal(0, 0.3, len(frame))
    return slices.errors_by_slice(frame, guess, train=generate_sample(3_000, seed=1))


def test_groups_are_counted_and_in_dollars():
    truth, guess = pd.Series([1.0, 1.0, 2.0]), np.array([1.5, 1.5, 1.0])
    found = metrics.errors_by_group(truth, guess, pd.Series(["a", "a", "b"]))
    assert list(found.loc["a"]) == [2, 50_000, 50_000, 50_000]
    assert list(found.loc["b"]) == [1, 100_000, 100_000, -100_000]


def test_every_block_group_has_a_price_band_and_capped_ones_their_own():
    frame = generate_sample(5_000)
    bands = metrics.price_band(frame)
    assert bands.notna().all()
    assert ((bands == "capped at $500k") == (frame.MedHouseVal >= HOUSE_VALUE_CAP)).all()


def test_incomes_are_in_dollars_a_year():
    bands = metrics.income_band(pd.DataFrame({"MedInc": [0.4999, 2.0, 5.9, 15.0001]}))
    assert list(bands) == ["below $20k", "$20k to 30k", "$40k to 60k", "above $80k"]


def test_age_bands_are_decades():
    bands = metrics.age_band(pd.DataFrame({"HouseAge": [9.0, 10.0, 52.0]}))
    assert list(bands) == ["0 to 9 years", "10 to 19 years", "50 to 59 years"]


def test_a_step_west_is_below_a_kilometre_and_a_step_north_is_not():
    train = pd.DataFrame({"Latitude": [34.05], "Longitude": [-118.25]})
    steps = [(34.05, -118.25), (34.05, -118.26), (34.06, -118.25), (35.05, -118.25)]
    bands = metrics.distance_band(pd.DataFrame(steps, columns=list(train)), train)
    assert list(bands) == ["at the same spot", "below 1 km", "1 to 5 km", "above 5 km"]


def test_each_slice_holds_every_block_group_once(frame, table):
    by = table.groupby(level="slice")
    kinds = {"price band", "income", "house age", "region", "nearest training row"}
    assert set(by.groups) == kinds
    assert (by["block groups"].sum() == len(frame)).all()
    assert by["share of squared error, %"].sum().between(99.5, 100.5).all()


def test_without_training_rows_there_is_no_slice_by_distance(frame):
    found = slices.errors_by_slice(frame, frame[TARGET].to_numpy() + 0.1)
    assert "nearest training row" not in found.index.get_level_values("slice")


def test_the_share_of_the_error_is_of_its_square(frame):
    far = frame[TARGET] < 1
    guess = frame[TARGET].to_numpy() + np.where(far, 0.2, 0.1)
    found = slices.errors_by_slice(frame, guess).loc[("price band", "below $100k")]
    expected = 4 * far.sum() / (4 * far.sum() + (~far).sum()) * 100
    assert found["share of squared error, %"] == pytest.approx(expected, abs=0.05)


def test_the_worst_group_of_each_slice_is_named_and_small_ones_are_not(table):
    few = table.index[table["block groups"] < 50][0]
    spoilt = table.copy()
    spoilt.loc[few, "RMSE, $"] = 900_000
    spoilt.loc[("income", "$30k to 40k"), "RMSE, $"] = 800_000
    found = slices.worst_groups(spoilt)
    assert found.index[0] == ("income", "$30k to 40k")
    assert list(found.index.get_level_values("slice").sort_values()) == sorted(
        set(table.index.get_level_values("slice"))
    )
    assert few not in found.index
    assert slices.worst_groups(spoilt, min_rows=1).index[0] == few
