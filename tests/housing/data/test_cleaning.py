import numpy as np
import pandas as pd
import pytest

from housing.data import cleaning, data_versions, loading, splitting
from housing.data.errors import DataError
from housing.data.synthetic import generate_sample
from housing.schema import COLUMNS
from tests.support.census_counts import GAP_COUNT, load_census_counts, make_census_counts

ROWS = 200


@pytest.fixture
def load(tmp_path):
    """Write a frame, or the text of a file, and load it."""

    def load_content(content, name="mine.csv"):
        path = tmp_path / name
        if isinstance(content, str):
            path.write_text(content)
        else:
            content.to_csv(path, index=False)
        return loading.load_dataset(str(path))

    return load_content


def faulty_frame():
    """Return ROWS good rows between rows with a fault each, the last of which has two."""
    frame = generate_sample(ROWS + 5).astype(object)
    frame.loc[3, "MedInc"] = "abc"
    frame.loc[5, "Latitude"] = 99
    frame.loc[8, "HouseAge"] = None
    frame.loc[9] = frame.loc[1]
    frame.loc[20, ["Population", "MedInc"]] = [0, -1]
    return frame


def test_good_data_stays_as_it_is(load):
    dataset = cleaning.clean(load(generate_sample(ROWS)))
    assert dataset.frame.equals(generate_sample(ROWS))
    assert (dataset.dropped_rows, dataset.description) == ({}, "The file mine.csv, 200 rows")


def test_all_problems_are_in_one_error(load):
    frame = faulty_frame().rename(columns={"AveRooms": "averooms"}).assign(Colour="red")
    text = frame.to_csv(index=False) + "1,2,3\n"
    with pytest.raises(DataError) as error:
        cleaning.clean(load(text))
    assert error.value.summary == "The file mine.csv cannot be used"
    assert error.value.problems == [
        "column AveRooms is missing (the file has averooms: rename it)",
        "column Colour is not expected: remove it",
        "the number of values is wrong in 1 row (row 206: 3 values, expected 10)",
        "MedInc is no number in 1 row (row 4: 'abc'), expected 0 to 20 ($10,000 a year)",
        "MedInc is out of range in 1 row (row 21: -1), expected 0 to 20 ($10,000 a year)",
        "HouseAge is empty in 1 row (row 9), expected 0 to 100 (years)",
        "Population is out of range in 1 row (row 21: 0), expected 1 to 50,000 (people)",
        "Latitude is out of range in 1 row (row 6: 99), expected 32 to 42.5 (degrees north)",
        "an earlier row is repeated in 1 row (row 10: the same as row 2)",
    ]
    assert error.value.problems == cleaning.find_problems(load(text))
    assert "`-p bad_rows=drop`" in error.value.advice


def test_rows_with_a_problem_can_be_dropped_and_are_counted_by_their_first_reason(load):
    text = faulty_frame().to_csv(index=False) + "1,2,3\n"
    dataset = cleaning.clean(load(text), "drop")
    assert len(dataset.frame) == ROWS
    assert dataset.frame.dtypes.eq(float).all()
    assert set(range(ROWS + 5)) - set(dataset.frame.index) == {3, 5, 8, 9, 20}
    assert dataset.dropped_rows == {
        "the number of values is wrong": 1,
        "MedInc is no number": 1,
        "MedInc is out of range": 1,
        "HouseAge is empty": 1,
        "Latitude is out of range": 1,
        "an earlier row is repeated": 1,
    }
    assert dataset.description.startswith(
        "The file mine.csv, 206 rows; 6 of 206 rows were left out (the number of values is wrong: 1"
    )
    assert dataset.description.endswith("; and 1 more)")


def test_dropping_rows_does_not_help_a_missing_column(load):
    with pytest.raises(DataError, match="column MedInc is missing") as error:
        cleaning.clean(load(faulty_frame().drop(columns="MedInc")), "drop")
    assert len(error.value.problems) == 1


@pytest.mark.parametrize("bad_rows", ["refuse", "drop"])
def test_too_few_rows_are_an_error(load, bad_rows):
    with pytest.raises(DataError, match=r"mine\.csv has 99 rows, expected at least 100"):
        cleaning.clean(load(generate_sample(99)), bad_rows)


def test_too_few_rows_left_are_an_error_that_says_why(load):
    frame = generate_sample(ROWS)
    frame.loc[:150, "MedInc"] = 70
    with pytest.raises(DataError, match=r"has 200 rows, of which 49 can be used") as error:
        cleaning.clean(load(frame), "drop")
    assert error.value.problems[0].startswith("MedInc is out of range in 151 rows (row 1: 70")
    with pytest.raises(DataError, match="MedInc is out of range") as error:
        cleaning.clean(load(frame))
    assert "bad_rows" not in error.value.advice


def test_the_book_s_file_gives_the_raw_file_s_rows_without_those_with_gaps(load, real_data):
    counts = load_census_counts()
    dataset = cleaning.clean(load(counts, "housing.csv"))
    has_bedrooms = counts.total_bedrooms.notna()
    expected = real_data.frame[has_bedrooms.to_numpy()]
    pd.testing.assert_frame_equal(dataset.frame, expected, check_exact=True)
    assert dataset.dropped_rows == {"total_bedrooms is empty": GAP_COUNT}


def test_the_rows_left_out_are_in_the_manifest_and_the_data_s_description(load):
    counts = make_census_counts(generate_sample(ROWS))
    counts.loc[:4, "total_bedrooms"] = np.nan
    manifest = splitting.write_split(cleaning.clean(load(counts, "housing.csv")))
    assert manifest["rows"] == {"raw": 200, "train": 156, "test": 39}
    assert manifest["dropped"] == {"total_bedrooms is empty": 5}
    left_out = "5 of 200 rows were left out (total_bedrooms is empty: 5)"
    assert manifest["said"].endswith(f"ocean_proximity was left out; {left_out}")
    description = data_versions.describe_data(manifest)
    assert description.startswith("A file, 195 block groups, sha256 ")
    assert description.endswith(left_out)
    assert "dropped" not in splitting.write_split(loading.load_dataset("sample", n_rows=100))


def test_only_gaps_of_a_converted_file_are_left_out_without_being_asked(load):
    counts = make_census_counts(generate_sample(ROWS)).astype({"population": object})
    counts.loc[0, ["total_bedrooms", "households"]] = [np.nan, 0]
    counts.loc[1, "households"] = 0
    counts.loc[2, "population"] = "many"
    counts.loc[3, "median_income"] = 70
    with pytest.raises(DataError) as error:
        cleaning.clean(load(counts))
    assert error.value.problems == [
        "no average per household can be taken in 2 rows (row 2: households is 0, expected at "
        "least 1, row 3: population is 'many', expected a number)",
        "median_income is out of range in 1 row (row 4: 70), expected 0 to 20 ($10,000 a year)",
    ]
    dataset = cleaning.clean(load(counts), "drop")
    assert sum(dataset.dropped_rows.values()) == 4
    assert np.isfinite(dataset.frame).all(axis=None)


def test_missing_columns_of_the_book_s_file_have_its_names(load):
    counts = make_census_counts(generate_sample(ROWS))
    lacking = counts.drop(columns=["median_house_value", "households"]).rename(
        columns={"total_bedrooms": "bedrooms_total"}
    )
    with pytest.raises(DataError) as error:
        cleaning.clean(load(lacking))
    assert error.value.problems == [
        "column median_house_value is missing (for the median house value, $100,000)",
        "column households is missing (the divisor of the averages)",
        "column bedrooms_total is not expected: remove it",
    ]


def test_a_sample_and_columns_in_another_order_are_cleaned_to_ours(load):
    dataset = cleaning.clean(load(generate_sample(ROWS)[COLUMNS[::-1]]))
    assert list(dataset.frame) == COLUMNS
