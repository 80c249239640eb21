"""A notebook's parameters cell: how it is read, and how values are checked against it."""

import math
import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.definition import parameters, parameters_cell
from pipeline.definition.steps import Step, resolve_dependencies
from pipeline.definition.tasks import ParameterOverride, build_tasks

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
    monkeypatch.setenv("TOKEN", "hush-hush")
    values, problems = parameters.validate(x_parameter("str", ""), {"x": "env:TOKEN"})
    assert (values, problems) == ({"x": "env:TOKEN"}, [])
    assert values["x"].variable == "TOKEN"


def test_a_secret_that_is_not_set_or_not_a_str_is_refused(monkeypatch):
    monkeypatch.delenv("TOKEN", raising=False)
    _, [problem] = parameters.validate(x_parameter("str", ""), {"x": "env:TOKEN"})
    assert problem == "x is 'env:TOKEN', but TOKEN is not set in the environment"
    _, [problem] = parameters.validate(x_parameter("int", 1), {"x": "env:TOKEN"})
    assert problem == "x is 'env:TOKEN', a secret, expected int"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("x: Colour = 1", "Colour is not a type the runner knows"),
        ("x: int = 1 + y; y: int = 2", "it would not follow another value of y"),
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
        (" ", "one.ipynb is not a notebook: it is empty; restore it"),
        ("{\n<<<<<<< HEAD", "marks of a merge conflict; restore it"),
        ("[]", "one.ipynb is not a notebook: its JSON is a list, expected an object"),
        ('{"nbformat": 5, "cells": []}', "has notebook format 5, expected 4; save it"),
        ('{"nbformat": "4", "cells": []}', "has notebook format '4', expected 4"),
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


@pytest.mark.parametrize(
    ("line", "annotation", "default"),
    [
        ("x = 3", "int", 3),
        ("x = -2.5", "float", -2.5),
        ("x = 'a'", "str", "a"),
        ("x = False", "bool", False),
        ("x = [1, 2]", "list", [1, 2]),
        ("x = {'a': 1}", "dict", {"a": 1}),
        ("x = None", "Any", None),
        ("x = Path('a')", "Path", Path("a")),
        ("x = 'a' + 'b'", "Any", "'a' + 'b'"),
        ("alpha = 1; x = 0.001 * 2", "Any", "0.001 * 2"),
        ("x = 3  # type: float", "float", 3),
        ("x = 3  # type: np.int64", "int", 3),
        ("x: float = 1e-3 * 2", "float", "0.001 * 2"),
        ("x: 'List[str]' = []", "List[str]", []),
        ("import os\nx = os.getcwd()", "Any", "os.getcwd()"),
        ("x = 1\nx = [\n    1,  # first\n    2,\n]", "list", [1, 2]),
    ],
)
def test_papermill_s_plain_assignments_are_parameters(line, annotation, default):
    parsed = parameters_cell.parse(line).parameters[-1]
    assert (parsed.name, parsed.annotation, parsed.default) == ("x", annotation, default)


@pytest.mark.parametrize("comment", ["# how many", "#how many", "# type: int how many"])
def test_the_comment_of_a_plain_assignment_is_its_help(comment):
    [parameter] = parameters_cell.parse(f"# of the model\nx = 3  {comment}").parameters
    assert parameter.help == "how many"


@pytest.mark.parametrize(
    ("line", "text", "value"),
    [
        ("x = 3", "7", 7),
        ("x = 0.5", "1", 1.0),
        ("x = 'a'", "007", "007"),
        ("x = True", "false", False),
        ("x = [1]", "[2, 'b']", [2, "b"]),
        ("x = [1]", ["2", "b"], [2, "b"]),
        ("x = {}", '{"a": 1}', {"a": 1}),
        ("x = None", "2.5", 2.5),
        ("x = None", "007", "007"),
        ("x = None", "a b", "a b"),
        ("x = 'a' + 'b'", "true", True),
        ("x: float = 1e-3 * 2", "1", 1.0),
        ("x: Dict[str, int] = {}", '{"a": 1}', {"a": 1}),
    ],
)
def test_a_plain_parameter_is_overridden_with_the_type_of_its_literal(line, text, value):
    values, problems = parameters.validate(parameters_cell.parse(line).parameters, {"x": text})
    assert (values, problems) == ({"x": value}, [])
    assert type(values["x"]) is type(value)


@pytest.mark.parametrize(("line", "text"), [("x = 3", "three"), ("x = True", "7"), ("x = []", "1")])
def test_a_value_of_another_type_than_the_literal_is_refused(line, text):
    _, [problem] = parameters.validate(parameters_cell.parse(line).parameters, {"x": text})
    assert problem.startswith(f"x is '{text}', expected ")


def test_what_is_no_parameter_is_other_code():
    plain = parameters_cell.parse("from typing import Literal\nx = 1  # one\ny: int = 2")
    assert plain.other_code == ""
    seeded = parameters_cell.parse("import random\nrandom.seed(1)\nx = 1")
    assert seeded.other_code
    assert parameters_cell.parse("import random\nrandom.seed(2)\nx = 1") != seeded


LITERALS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("abc '\""),
    lambda items: st.lists(items) | st.dictionaries(st.text("abc"), items),
)


@given(LITERALS)
def test_any_literal_is_a_default_and_its_own_override(value):
    [parameter] = parameters_cell.parse(f"x = {value!r}").parameters
    assert parameter.default == value
    text = value if isinstance(value, str) else repr(value)
    assert parameters.validate([parameter], {"x": text}) == ({"x": value}, [])


def test_a_notebook_in_another_language_has_unknown_parameters(make_notebook):
    path = make_notebook("one", parameters='x <- c(1, 2)  # "a"')
    path.write_text(path.read_text().replace('"language": "python"', '"language": "R"'))
    assert parameters.read_parameters(path) == []
    step = Step("fit", path, ())
    [task] = build_tasks([step], [ParameterOverride("fit.x", "[3, 4]", "-p")], [])
    assert task.values == {"x": [3, 4]}
    with pytest.raises(ValueError, match="there is no parameter 'x'"):
        build_tasks([step], [ParameterOverride("x", "3", "-p")], [])


def check_override(assignment, text):
    """Return the value of parameter x, and the errors."""
    declared = parameters_cell.parse(assignment).parameters
    values, problems = parameters.validate(declared, {"x": text})
    return values.get("x"), problems


@pytest.mark.parametrize("annotation", ["date", "date | None", "Optional[date]"])
def test_a_date_is_read_as_iso_8601_and_never_as_seconds(annotation):
    assignment = f"x: {annotation} = date(2026, 1, 1)"
    for text in ("2026-03-01", "20260301", " 2026-03-01 "):
        assert check_override(assignment, text) == (date(2026, 3, 1), [])
    for text in ("0", "1", "1767225600", "2026-02-30", "1e3", "tomorrow", "", "2026-03-01T10:00"):
        value, [problem, *_] = check_override(assignment, text)
        assert value is None
        assert f"x is {text!r}, expected {annotation}" in problem
    assert check_override("x: list[date] = []", "[20260301]") == ([date(2026, 3, 1)], [])
    assert check_override("x: list[date] = []", ["0"])[1]


@pytest.mark.parametrize(
    ("assignment", "text"),
    [
        ("x = True", "maybe"),
        ("x = 1", "one"),
        ("x = 1", "1.5"),
        ("x = 1.0", "1,5"),
        ("x = [1]", "a"),
        ("x = {'a': 1}", "[1]"),
        ("x = date(2026, 1, 1)", "0"),
        ("x: str = 'a'", None),
        ("x: int = 1", None),
        ("x = (1, 2)", "a"),
        ("x = {1, 2}", "a"),
        ("x = 1j", "a"),
        ("x = b'a'", "a"),
        ("x = datetime(2026, 1, 1)", "2026-03-01"),
        ("x = timedelta(days=1)", "3 days"),
        ("x = Decimal('1')", "a"),
        ("x = pd.Timestamp('2026')", "2027-01-01"),
        ("x = Mode.FAST", "SLOW"),
        ("x = Path.home()", "/tmp"),
    ],
)
def test_a_value_of_the_wrong_type_is_an_error_that_names_both(assignment, text):
    _, [problem, *_] = check_override(assignment, text)
    assert problem.startswith("x is ")
    assert "expected" in problem


def test_a_text_in_quotes_stays_a_text():
    quoted = parameters.QuotedText
    assert check_override("x: str | None = None", "null") == (None, [])
    assert check_override("x: str | None = None", quoted("null")) == ("null", [])
    assert check_override("x = None", "1") == (1, [])
    value, problems = check_override("x = None", quoted("1"))
    assert (value, type(value), problems) == ("1", str, [])
    assert check_override("x = None", None) == (None, [])


@pytest.mark.parametrize(
    "value", ["1", "abc", " ab \n", "stream", "STDOUT", "python3", "true", "localhost", "------"]
)
def test_a_secret_that_is_short_or_common_is_refused_without_naming_it(monkeypatch, value):
    monkeypatch.setenv("TOKEN", value)
    _, [problem] = parameters.validate(x_parameter("str", ""), {"x": "env:TOKEN"})
    assert problem.startswith("x is 'env:TOKEN', a secret, but the value of TOKEN ")
    assert problem.endswith(
        'choose a longer one, or if it is no secret, set it as a plain value: -p x="$TOKEN"'
    )


def test_a_secret_that_equals_a_name_is_refused(monkeypatch):
    monkeypatch.setenv("TOKEN", "train-all")
    parameter = x_parameter("str", "")
    _, [problem] = parameters.validate(parameter, {"x": "env:TOKEN"}, ["train-all"])
    assert "is the name of a step" in problem


@pytest.mark.parametrize(
    ("written", "text"),
    [("\\env:NAME", "env:NAME"), ("\\\\env:", "\\env:"), ("\\other", "\\other"), ("env", "env")],
)
def test_a_text_that_looks_like_a_secret_is_written_with_a_backslash(written, text):
    values, problems = parameters.validate(x_parameter("str", ""), {"x": written})
    assert (values, problems) == ({"x": text}, [])
    assert parameters.escape_reference(values["x"]) == written


def test_a_notebook_that_is_no_readable_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe.ipynb")  # reading it would wait for ever
    (tmp_path / "folder.ipynb").mkdir()
    (tmp_path / "broken.ipynb").symlink_to("nowhere.ipynb")
    (tmp_path / "loop.ipynb").symlink_to("loop.ipynb")
    for name, message in {
        "pipe": "pipe.ipynb is no regular file, expected a file of Jupyter",
        "folder": "folder.ipynb is a folder, expected a file of Jupyter",
        "broken": "there is no notebook .*broken.ipynb, which links to nowhere.ipynb",
        "loop": "cannot be read: cannot use .*loop.ipynb: it is a link that leads to itself",
    }.items():
        [step] = resolve_dependencies([Step(name, tmp_path / f"{name}.ipynb")])
        with pytest.raises(ValueError, match=message):
            parameters.read_parameters(step.notebook)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        ("float", ".inf", math.inf),
        ("float", "-.INF", -math.inf),
        ("str", ".inf", ".inf"),
        ("dict[str, int]", '{"a": 1, "b": 2}', {"a": 1, "b": 2}),
        ("str", '{"a": 1, "a": 2}', '{"a": 1, "a": 2}'),
    ],
)
def test_yaml_s_infinity_is_a_float_and_a_text_stays_one(annotation, text, value):
    values, problems = parameters.validate(x_parameter(annotation, None), {"x": text})
    assert (values, problems) == ({"x": value}, [])


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '[{"b": 1}, {"a": 1, "a": 2}]'])
def test_a_key_that_is_there_twice_is_refused(text):
    _, [problem] = parameters.validate(x_parameter("Any", None), {"x": text})
    assert "but its text has the key 'a' twice; delete one" in problem


def test_a_long_value_is_shortened_in_its_message():
    _, [problem] = parameters.validate(x_parameter("int", 1), {"x": "9" * 10_000})
    assert "…" in problem
    assert len(problem) < 400
