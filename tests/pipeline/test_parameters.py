from datetime import date
from pathlib import Path

import pytest

from pipeline import parameters

CELL = """
from typing import Annotated, Literal
from annotated_types import Gt, Lt

share: Annotated[float, Gt(0), Lt(1)] = 0.2  # held back for the test
kind: Literal["random", "spatial"] = "random"
names: list[str] = ["a", "b"]
"""


def test_name_type_default_and_help_are_read(notebook):
    share, kind, names = parameters.read(notebook("one", parameters=CELL))
    assert share == ("share", "Annotated[float, Gt(0), Lt(1)]", 0.2, "held back for the test")
    assert (kind.default, kind.help) == ("random", "")
    assert names.default == ["a", "b"]


def test_a_notebook_without_parameters_has_none(notebook):
    assert parameters.read(notebook("one", "1 + 1")) == []


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        ("int", "7", 7),
        ("float", "0.5", 0.5),
        ("bool", "true", True),
        ("str", "007", "007"),
        ("date", "2026-11-23", date(2026, 11, 23)),
        ("Path", "a b.csv", Path("a b.csv")),
        ("list[int]", "[1, 2]", [1, 2]),
        ("Annotated[list[str], MinLen(1)]", '["a"]', ["a"]),
        ("Optional[int]", "3", 3),
        ("Literal['a', 'b']", "b", "b"),
    ],
)
def test_a_text_becomes_a_value_of_the_type(annotation, text, value):
    parsed = parameters.Parameter("x", annotation, None, "").parse(text)
    assert parsed == value
    assert type(parsed) is type(value) or isinstance(value, Path)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ("int", "three"),
        ("int", "1.5"),
        ("Annotated[float, Gt(0), Lt(1)]", "1.5"),
        ("Literal['a']", "b"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(annotation, text):
    with pytest.raises(ValueError, match=f"x is '{text}', expected ") as failed:
        parameters.Parameter("x", annotation, None, "").parse(text)
    assert annotation in str(failed.value)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("x = 1", "expected NAME: TYPE = VALUE"),
        ("x: Colour = 1", "Colour is no type the runner knows"),
        ("x: int = 1 + y", "the default must be a literal"),
    ],
)
def test_a_bad_line_is_named_with_its_notebook(notebook, cell, says):
    with pytest.raises(ValueError, match=r"one\.ipynb, parameters cell, line 1") as failed:
        parameters.read(notebook("one", parameters=cell))
    assert says in str(failed.value)
