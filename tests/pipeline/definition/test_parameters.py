"""A notebook's parameters cell: how it is read, and how values are checked against it."""

from datetime import date
from pathlib import Path

import pytest

from pipeline.definition import parameters

CELL = """
from typing import Annotated, Literal
from annotated_types import Gt, Lt

share: Annotated[float, Gt(0), Lt(1)] = 0.2  # held back for the test
kind: Literal["random", "spatial"] = "random"
names: list[str] = ["a", "b"]
"""


def test_name_type_default_and_help_are_read(make_notebook):
    share, kind, names = parameters.read_parameters(make_notebook("one", parameters=CELL))
    assert share == ("share", "Annotated[float, Gt(0), Lt(1)]", 0.2, "held back for the test")
    assert (kind.default, kind.help) == ("random", "")
    assert names.default == ["a", "b"]


def test_a_notebook_without_parameters_has_none(make_notebook):
    assert parameters.read_parameters(make_notebook("one", "1 + 1")) == []


def x_parameter(annotation, default=None):
    """Return the parameters of a notebook that declares only x."""
    return [parameters.Parameter("x", annotation, default, "")]


@pytest.mark.parametrize(
    ("annotation", "default", "text", "value"),
    [
        ("int", 1, "7", 7),
        ("float", 1.0, "0.5", 0.5),
        ("bool", False, "true", True),
        ("str", "", "007", "007"),
        ("date", date(2026, 1, 1), "2026-11-23", date(2026, 11, 23)),
        ("Path", Path("a"), "a b.csv", Path("a b.csv")),
        ("list[int]", [], "[1, 2]", [1, 2]),
        ("list[str]", [], ["007", "b"], ["007", "b"]),
        ("Annotated[list[str], MinLen(1)]", ["b"], '["a"]', ["a"]),
        ("Optional[int]", None, "3", 3),
        ("Optional[int]", 1, "None", None),
        ("int | None", 1, "null", None),
        ("str", "", "None", "None"),
        ("Literal['a', 'b']", "a", "b", "b"),
        ("Literal[1, 2]", 1, "2", 2),
        ("Annotated[float, Gt(0), Lt(1)]", 0.5, "0.9", 0.9),
    ],
)
def test_a_text_becomes_a_value_of_the_type(annotation, default, text, value):
    values, problems = parameters.validate(x_parameter(annotation, default), {"x": text})
    assert problems == []
    assert values == {"x": value}
    assert type(values["x"]) is type(value)


@pytest.mark.parametrize(
    ("annotation", "default", "text"),
    [
        ("int", 1, "three"),
        ("int", 1, "1.5"),
        ("Annotated[float, Gt(0), Lt(1)]", 0.5, "1.5"),
        ("Literal['a']", "a", "b"),
        ("list[int]", [], "[1, x]"),
        ("list[int]", [], "1"),
        ("date", date(2026, 1, 1), "tomorrow"),
        ("int", 1, "None"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(annotation, default, text):
    _, [problem] = parameters.validate(x_parameter(annotation, default), {"x": text})
    assert problem.startswith(f"x is '{text}', expected {annotation} (")


def test_a_default_that_breaks_its_own_bounds_is_named():
    _, [problem] = parameters.validate(x_parameter("Annotated[int, Ge(1)]", 0), {})
    assert problem.startswith("x's default is 0, expected Annotated[int, Ge(1)]")


def test_the_value_of_a_secret_is_its_reference(monkeypatch):
    monkeypatch.setenv("TOKEN", "hush")
    values, problems = parameters.validate(x_parameter("str", ""), {"x": "env:TOKEN"})
    assert (values, problems) == ({"x": "env:TOKEN"}, [])
    assert "hush" not in repr(parameters.encode_value(values["x"]))


def test_a_secret_that_is_not_set_or_not_a_str_is_refused(monkeypatch):
    monkeypatch.delenv("TOKEN", raising=False)
    _, [problem] = parameters.validate(x_parameter("str", ""), {"x": "env:TOKEN"})
    assert problem == "x is 'env:TOKEN', but TOKEN is not set in the environment"
    _, [problem] = parameters.validate(x_parameter("int", 1), {"x": "env:TOKEN"})
    assert problem == "x is 'env:TOKEN', a secret, expected int"


@pytest.mark.parametrize(
    "value", [1, 0.5, True, None, "a'b", ["a"], date(2026, 11, 23), Path("a b")]
)
def test_an_encoded_value_evaluates_to_itself(value):
    encoded = parameters.encode_value(value)
    assert (eval(encoded.code) if encoded.code else encoded.value) == value


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("x = 1", "expected NAME: TYPE = VALUE"),
        ("x: Colour = 1", "Colour is not a type the runner knows"),
        ("x: int = 1 + y", "the default must be a literal"),
        ("x: int = ", "'x: int =': invalid syntax"),
    ],
)
def test_a_bad_line_is_named_with_its_notebook(make_notebook, cell, message):
    with pytest.raises(ValueError, match=r"one\.ipynb, parameters cell, line 1") as raised:
        parameters.read_parameters(make_notebook("one", parameters=cell))
    assert message in str(raised.value)


def test_two_parameters_cells_are_refused(make_notebook):
    path = make_notebook("one", "y: int = 2", parameters="x: int = 1")
    path.write_text(
        path.read_text().replace('"metadata": {}', '"metadata": {"tags": ["parameters"]}')
    )
    with pytest.raises(
        ValueError, match=r"one\.ipynb has \d cells tagged parameters, expected one"
    ):
        parameters.read_parameters(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "one.ipynb is not a notebook: it is not JSON"),
        ("[]", "one.ipynb has notebook format None, expected 4"),
        ('{"nbformat": 3, "worksheets": []}', "has notebook format 3, expected 4"),
        ('{"nbformat": 3, "worksheets": []}', "jupyter nbconvert --to notebook --inplace"),
    ],
)
def test_a_file_that_is_not_a_notebook_is_named(tmp_path, content, message):
    (tmp_path / "one.ipynb").write_text(content)
    with pytest.raises(ValueError, match=message):
        parameters.read_parameters(tmp_path / "one.ipynb")


def test_a_date_and_a_path_may_be_defaults(make_notebook):
    cell = "day: date = date(2026, 11, 23)\nplace: Path = Path('a')"
    day, path = parameters.read_parameters(make_notebook("one", parameters=cell))
    assert (day.default, path.default) == (date(2026, 11, 23), Path("a"))
