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


def test_a_missing_column_is_named(frame):
    assert find_problems(frame.drop(columns="MedInc")) == ["column MedInc is missing"]


def test_an_extra_column_is_named(frame):
    assert find_problems(frame.assign(Colour=1.0)) == ["column Colour is not expected"]


def test_a_wrong_dtype_is_named_with_an_example(frame):
    invalid = frame.assign(HouseAge=["old", *frame.HouseAge.astype(str)[1:]])
    [problem] = find_problems(invalid)
    assert problem.startswith("HouseAge has dtype ")
    assert problem.endswith("expected float64 (for example 'old')")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (np.nan, "Population is empty in 3 rows (row 4: nan)"),
        (np.inf, "Population is infinite in 3 rows (row 4: inf)"),
        (-5, "Population is outside 1 to 50,000 people in 3 rows (row 4: -5)"),
    ],
)
def test_invalid_values_are_counted_with_an_example(frame, value, problem):
    frame.loc[[4, 7, 9], "Population"] = value
    assert find_problems(frame) == [problem]


def test_duplicate_rows_are_counted(frame):
    duplicated = pd.concat([frame, frame[:2]], ignore_index=True)
    assert find_problems(duplicated) == ["2 rows repeat an earlier row (row 50)"]


def test_an_empty_frame_is_a_problem(frame):
    assert find_problems(frame[:0]) == ["there is no row"]
    assert "there is no row" in find_problems(pd.DataFrame())


def test_all_problems_are_listed_at_once(frame):
    frame.loc[0, "Latitude"] = 90
    frame.loc[1, "MedInc"] = np.nan
    with pytest.raises(ValueError, match="cannot be used") as error:
        validate(frame.drop(columns="HouseAge"))
    message = str(error.value)
    assert "HouseAge is missing" in message
    assert "Latitude is outside 32 to 42.5 degrees north in 1 row (row 0: 90)" in message
    assert "MedInc is empty in 1 row" in message


def test_the_real_data_is_valid(real_data):
    assert find_problems(real_data.frame) == []
