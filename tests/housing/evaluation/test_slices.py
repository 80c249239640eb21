import numpy as np
import pandas as pd
import pytest

from housing.data.synthetic import generate_sample
from housing.evaluation import slices
from housing.schema import HOUSE_VALUE_CAP, TARGET


@pytest.fixture(scope="module")
def frame():
    return generate_sample(2_000)


@pytest.fixture(scope="module")
def table(frame):
    y_pred = frame[TARGET].to_numpy() + np.random.default_rng(0).normal(0, 0.3, len(frame))
    return slices.errors_by_slice(frame, y_pred, train=generate_sample(3_000, seed=1))


def test_the_errors_of_a_group_are_counted_and_in_dollars():

    y_true, y_pred = pd.Series([1.0, 1.0, 2.0]), np.array([1.5, 1.5, 1.0])
    table = slices.errors_by_group(y_true, y_pred, pd.Series(["a", "a", "b"]))
    assert list(table.loc["a"]) == [2, 50_000, 50_000, 50_000]
    assert list(table.loc["b"]) == [1, 100_000, 100_000, -100_000]


def test_capped_block_groups_have_their_own_price_band():
    frame = generate_sample(5_000)
    bands = slices.price_band(frame)
    assert bands.notna().all()
    assert ((bands == "capped at $500k") == (frame.MedHouseVal >= HOUSE_VALUE_CAP)).all()


def test_incomes_are_in_dollars_a_year():
    bands = slices.income_band(pd.DataFrame({"MedInc": [0.4999, 2.0, 5.9, 15.0001]}))
    assert list(bands) == ["below $20k", "$20k to 30k", "$40k to 60k", "above $80k"]


def test_age_bands_are_decades():
    bands = slices.age_band(pd.DataFrame({"HouseAge": [9.0, 10.0, 52.0]}))
    assert list(bands) == ["0 to 9 years", "10 to 19 years", "50 to 59 years"]


def test_a_hundredth_of_a_degree_is_below_a_kilometre_westward_and_not_northward():
    train = pd.DataFrame({"Latitude": [34.05], "Longitude": [-118.25]})
    locations = [(34.05, -118.25), (34.05, -118.26), (34.06, -118.25), (35.05, -118.25)]
    bands = slices.distance_band(pd.DataFrame(locations, columns=list(train)), train)
    assert list(bands) == ["at the same spot", "below 1 km", "1 to 5 km", "above 5 km"]


def test_each_slice_contains_every_block_group_once(frame, table):
    by_slice = table.groupby(level="slice")
    names = {"price band", "income", "house age", "region", "nearest training row"}
    assert set(by_slice.groups) == names
    assert (by_slice["block groups"].sum() == len(frame)).all()
    assert by_slice["share of squared error, %"].sum().between(99.5, 100.5).all()


def test_without_training_rows_there_is_no_slice_by_distance(frame):
    table = slices.errors_by_slice(frame, frame[TARGET].to_numpy() + 0.1)
    assert "nearest training row" not in table.index.get_level_values("slice")


def test_the_share_of_the_error_is_that_of_the_squared_error(frame):
    cheap = frame[TARGET] < 1
    y_pred = frame[TARGET].to_numpy() + np.where(cheap, 0.2, 0.1)
    row = slices.errors_by_slice(frame, y_pred).loc[("price band", "below $100k")]
    expected = 4 * cheap.sum() / (4 * cheap.sum() + (~cheap).sum()) * 100
    assert row["share of squared error, %"] == pytest.approx(expected, abs=0.05)


def test_the_worst_group_of_each_slice_is_returned_unless_it_is_small(table):
    small_group = table.index[table["block groups"] < 50][0]
    modified = table.copy()
    modified.loc[small_group, "RMSE, $"] = 900_000
    modified.loc[("income", "$30k to 40k"), "RMSE, $"] = 800_000
    worst = slices.worst_groups(modified)
    assert worst.index[0] == ("income", "$30k to 40k")
    assert list(worst.index.get_level_values("slice").sort_values()) == sorted(
        set(table.index.get_level_values("slice"))
    )
    assert small_group not in worst.index
    assert slices.worst_groups(modified, min_rows=1).index[0] == small_group
