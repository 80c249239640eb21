import numpy as np
import pandas as pd
import pytest

from housing.data.synthetic import generate_sample
from housing.data.validation import find_problems, validate


@pytest.fixture
def frame():
    return generate_sample(50)


def test_a_valid_frame_is_returned_unchanged(frame):
    assert validate(frame) is frame


def test_a_missing_column_is_named_with_what_it_is(frame):
    assert find_problems(frame.drop(columns="MedInc")) == [
        "column MedInc is missing (median household income, $10,000 a year)"
    ]


@pytest.mark.parametrize(
    "spelling", ["medinc", "MEDINC", "MedInc ", "Med Inc", "med_inc", "MedIncome", "median_income"]
)
def test_a_missing_column_is_named_with_the_nearest_name_of_the_file(frame, spelling):
    shown_name = repr(spelling) if " " in spelling else spelling
    assert find_problems(frame.rename(columns={"MedInc": spelling})) == [
        f"column MedInc is missing (the file has {shown_name}: rename it)"
    ]


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("Latitude", "Lat"),
        ("Longitude", "Lon"),
        ("Longitude", "lng"),
        ("AveBedrms", "AveBedrooms"),
        ("MedHouseVal", "MedHouseValue"),
        ("MedHouseVal", "target"),
        ("MedHouseVal", "median_house_value"),
    ],
)
def test_what_others_call_a_column_is_its_nearest_name(frame, name, spelling):
    [problem] = find_problems(frame.rename(columns={name: spelling}))
    assert problem == f"column {name} is missing (the file has {spelling}: rename it)"


def test_a_file_of_something_else_is_one_sentence_for_its_missing_columns():
    problems = find_problems(pd.DataFrame({"colour": ["red"], "weight": [1.0]}))
    assert problems == [
        "columns MedInc, HouseAge, AveRooms, AveBedrms, Population, AveOccup, Latitude, Longitude, "
        "MedHouseVal are missing",
        "columns colour, weight are not expected: remove them",
    ]


def test_extra_columns_are_named_and_a_long_list_is_shortened(frame):
    assert find_problems(frame.assign(Colour=1.0)) == ["column Colour is not expected: remove it"]
    extra = pd.DataFrame(1.0, frame.index, [f"extra{number}" for number in range(500)])
    [problem] = find_problems(pd.concat([frame, extra], axis=1))
    assert problem.endswith("extra11 and 488 more columns are not expected: remove them")


def test_a_column_that_is_there_twice_is_named(frame):
    twice = pd.concat([frame, frame[["MedInc"]]], axis=1)
    assert find_problems(twice) == ["column MedInc is there 2 times, expected once"]


def test_texts_are_named_with_their_rows(frame):
    frame = frame.astype({"HouseAge": object})
    frame.loc[3, "HouseAge"], frame.loc[7, "HouseAge"] = "old", "x" * 500
    [problem] = find_problems(frame)
    assert problem == (
        "HouseAge is no number in 2 rows (row 4: 'old', row 8: '" + "x" * 39 + "…), "
        "expected 0 to 100 (years)"
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (np.nan, "Population is empty in 4 rows (row 5, row 8, row 10, …)"),
        (
            np.inf,
            "Population is infinite in 4 rows (row 5: inf, row 8: inf, row 10: inf, …)",
        ),
        (-5, "Population is out of range in 4 rows (row 5: -5, row 8: -5, row 10: -5, …)"),
    ],
)
def test_invalid_values_are_counted_with_the_first_rows(frame, value, problem):
    frame.loc[[4, 7, 9, 20], "Population"] = value
    assert find_problems(frame) == [f"{problem}, expected 1 to 50,000 (people)"]


@pytest.mark.parametrize(
    ("value", "is_separated"), [("1,138", True), ("1 138", True), ("12a", False)]
)
def test_thousands_separators_are_named(frame, value, is_separated):
    [problem] = find_problems(frame.assign(Population=[value] * 50))
    assert problem.endswith("one decimal mark in the whole file") == is_separated


def test_texts_make_no_repeated_rows(frame):
    frame = pd.concat([frame, frame[:1]], ignore_index=True).astype({"Population": object})
    frame.loc[[0, 50], "Population"] = ["a", "b"]
    [problem] = find_problems(frame)
    assert problem.startswith("Population is no number in 2 rows (row 1: 'a', row 51: 'b')")


def test_booleans_are_no_numbers(frame):
    [problem] = find_problems(frame.assign(HouseAge=np.array([True] * 50, object)))
    assert problem.startswith("HouseAge is no number in 50 rows (row 1: True")


def test_repeated_rows_are_counted_with_what_they_repeat(frame):
    duplicated = pd.concat([frame, frame[1:3]], ignore_index=True)
    assert find_problems(duplicated) == [
        "an earlier row is repeated in 2 rows (row 51: the same as row 2, row 52: the same as row "
        "3)"
    ]


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda frame: frame.assign(MedHouseVal=frame.MedHouseVal * 1e5), "divide it by 100,000"),
        (lambda frame: frame.assign(MedInc=frame.MedInc * 1e4), "divide it by 10,000"),
        (lambda frame: frame.assign(MedHouseVal=frame.MedHouseVal * 100), "divide it by 100"),
        (lambda frame: frame.assign(Longitude=-frame.Longitude), "seems to lack its minus sign"),
        (
            lambda frame: frame.assign(Longitude=frame.Latitude, Latitude=frame.Longitude),
            "seems to be swapped with Longitude",
        ),
    ],
)
def test_another_unit_is_recognized_by_its_size(frame, change, hint):
    assert hint in find_problems(change(frame))[0]
    assert all("in 50 rows" in problem for problem in find_problems(change(frame)))


def test_an_empty_frame_is_a_problem(frame):
    assert find_problems(frame[:0]) == ["there is no row"]
    assert "there is no row" in find_problems(pd.DataFrame())


def test_all_problems_are_listed_at_once(frame):
    frame.loc[0, "Latitude"] = 90
    frame.loc[1, "MedInc"] = np.nan
    with pytest.raises(ValueError, match="cannot be used") as error:
        validate(frame.drop(columns="HouseAge"))
    assert error.value.problems == [
        "column HouseAge is missing (median age of the houses, years)",
        "MedInc is empty in 1 row (row 2), expected 0 to 20 ($10,000 a year)",
        "Latitude is out of range in 1 row (row 1: 90), expected 32 to 42.5 (degrees north)",
    ]


def test_the_real_data_is_valid(real_data):
    assert find_problems(real_data.frame) == []
