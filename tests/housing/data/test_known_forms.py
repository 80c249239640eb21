import numpy as np
import pandas as pd
import pytest

from housing.data.errors import DataError
from housing.data.files import table_files
from housing.data.known_forms import convert_columns
from housing.data.synthetic import generate_sample
from housing.schema import COLUMNS, FEATURE_NAMES, TARGET
from tests.support.census_counts import load_census_counts, make_census_counts


@pytest.fixture
def counts():
    return make_census_counts(generate_sample(20))


def read_back(tmp_path, frame, **options):
    path = tmp_path / "housing.csv"
    frame.to_csv(path, **options)
    return table_files.read_table(path).frame


VARIANTS = {
    "as in the book": lambda counts: counts,
    "in another order, in capitals": lambda counts: counts[counts.columns[::-1]].rename(
        columns=str.upper
    ),
    "in the original's spelling": lambda counts: counts.rename(
        columns=lambda name: name.replace("_", " ").title().replace(" ", "")
    ),
    "in R's spelling, without proximity": lambda counts: counts.drop(
        columns="ocean_proximity"
    ).rename(columns=lambda name: name.replace("_", ".")),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("has_index", [False, True])
def test_the_book_s_file_gives_the_rows_and_values_of_the_raw_file(
    tmp_path, real_data, variant, has_index
):
    counts = load_census_counts()
    frame = read_back(tmp_path, VARIANTS[variant](counts), index=has_index)
    converted = convert_columns(frame).frame
    expected = real_data.frame.assign(
        AveBedrms=real_data.frame.AveBedrms.mask(counts.total_bedrooms.isna())
    )
    assert converted.AveBedrms.isna().sum() == 207
    pd.testing.assert_frame_equal(converted[COLUMNS], expected[COLUMNS], check_exact=True)
    assert sorted(converted) == sorted(COLUMNS)


def test_the_notes_say_what_was_done(counts):
    conversion = convert_columns(counts.rename_axis(None))
    assert conversion.notes == [
        "the columns are those of Géron's and Kaggle's housing.csv: rooms, bedrooms and people "
        "were divided by households",
        "median_house_value was converted from dollars to units of 100,000 dollars",
        "ocean_proximity was left out",
    ]
    assert conversion.source_names["AveRooms"] == "total_rooms / households"


def test_a_column_for_each_value_of_the_proximity_is_left_out(counts):
    encoded = pd.get_dummies(counts, columns=["ocean_proximity"])
    conversion = convert_columns(encoded)
    assert sorted(conversion.frame) == sorted(COLUMNS)
    assert "ocean_proximity_<1H OCEAN was left out" in conversion.notes


def test_a_frame_without_house_values_is_converted(counts):
    conversion = convert_columns(counts.drop(columns=["median_house_value", "ocean_proximity"]))
    assert sorted(conversion.frame) == sorted(FEATURE_NAMES)


def test_of_a_missing_column_what_it_would_make_is_missing(counts):
    conversion = convert_columns(counts.drop(columns="total_bedrooms"))
    assert set(COLUMNS) - set(conversion.frame) == {"AveBedrms"}
    conversion = convert_columns(counts.drop(columns="households"))
    assert set(COLUMNS) - set(conversion.frame) == {"AveRooms", "AveBedrms", "AveOccup"}


def test_a_block_group_without_households_has_a_problem_and_no_finite_average(counts):
    counts.loc[3, ["households", "total_rooms"]] = 0
    counts.loc[5, "households"] = -1
    conversion = convert_columns(counts)
    assert conversion.row_problems == {
        3: "households is 0, expected at least 1",
        5: "households is -1, expected at least 1",
    }
    averages = conversion.frame[["AveRooms", "AveBedrms", "AveOccup"]]
    assert np.isinf(averages.loc[[3, 5]]).all(axis=None)
    assert np.isfinite(averages.drop(index=[3, 5])).all(axis=None)


def test_text_in_the_place_of_a_count_stays_text(counts):
    counts = counts.astype({"total_rooms": object, "households": object})
    counts.loc[2, "total_rooms"] = "many"
    counts.loc[4, "households"] = "a few"
    frame = convert_columns(counts).frame
    assert frame.AveRooms.loc[[2, 4]].tolist() == ["many", "a few"]
    assert frame.AveOccup.loc[4] == "a few"
    assert isinstance(frame.AveRooms.loc[3], float)


def test_house_values_that_are_no_dollars_are_taken_as_they_are(counts):
    counts["median_house_value"] /= 100_000
    conversion = convert_columns(counts)
    assert conversion.frame[TARGET].max() < 6
    assert "median_house_value was taken as it is, in units of 100,000 dollars" in conversion.notes


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index", "id", "Id", "rownames"])
def test_a_column_that_numbers_the_rows_is_left_out_and_said(name):
    frame = generate_sample(20)
    numbered = frame.copy()
    numbered.insert(0, name, np.random.default_rng(0).permutation(20) + 37_137.0)
    conversion = convert_columns(numbered)
    assert conversion.frame.equals(frame)
    [note] = conversion.notes
    assert "which numbers the rows, was left out" in note


def test_a_nameless_column_without_values_is_left_out_and_one_of_text_is_not():
    frame = generate_sample(20)
    assert convert_columns(frame.assign(**{"": np.nan})).frame.equals(frame)
    assert list(convert_columns(frame.assign(id="a")).frame) == [*COLUMNS, "id"]


def test_a_frame_in_our_columns_is_left_as_it_is():
    frame = generate_sample(20)
    conversion = convert_columns(frame)
    assert conversion.frame.equals(frame)
    assert (conversion.notes, conversion.row_problems, conversion.source_names) == ([], {}, {})


def test_a_column_of_the_form_that_is_there_twice_is_named(counts):
    frame = pd.concat([counts, counts[["latitude"]]], axis=1)
    with pytest.raises(DataError, match="the column latitude is there 2 times, expected once"):
        convert_columns(frame)
