import pytest
from IPython.core.interactiveshell import InteractiveShell

from housing.data.errors import MAX_LISTED_PROBLEMS, DataError, MissingDataError


def test_an_error_is_one_line_with_its_first_problem():
    error = DataError("a.csv cannot be used", ["one is wrong", "two is wrong"], "Correct it.")
    assert str(error) == "a.csv cannot be used: one is wrong; and 1 more. Correct it."
    assert str(DataError("a.csv is empty")) == "a.csv is empty"


def test_a_notebook_shows_all_problems_and_no_stack(capsys):
    problems = [f"problem {number}" for number in range(MAX_LISTED_PROBLEMS + 2)]
    shell = InteractiveShell()
    try:
        raise DataError("a.csv cannot be used", problems, "Correct it.")
    except DataError:
        shell.showtraceback()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a.csv cannot be used:"
    assert lines[1:-2] == [f"- {problem}" for problem in problems[:MAX_LISTED_PROBLEMS]]
    assert lines[-2:] == ["and 2 more problems", "Correct it."]


def test_missing_data_is_a_lookup_error_too():
    with pytest.raises(LookupError, match="no file"):
        raise MissingDataError("there is no file a.csv")
