"""The values of parameters in a YAML file."""

import pytest

from pipeline.definition import overrides
from pipeline.definition.tasks import ParameterOverride


@pytest.mark.parametrize(
    ("text", "values_by_name"),
    [
        ("seed: 007", {"seed": "007"}),
        ("train: {seed: 1, names: [a, b]}", {"train.seed": "1", "train.names": ["a", "b"]}),
        ("train.seed: 1", {"train.seed": "1"}),
        ("seed: 1\ntrain: {seed: 2}", {"seed": "1", "train.seed": "2"}),
        ("", {}),
        ("# nothing", {}),
        ("\ufeffseed: 1", {"seed": "1"}),
        (
            "a: ~\nb:\nc: null\nd: '~'\ne: 'null'",
            {"a": None, "b": None, "c": None, "d": "~", "e": "null"},
        ),
        (
            "a: no\nb: 0x10\nc: 1e3\nd: 010\ne: 2026-03-01\nf: 1_000\ng: .nan",
            {
                **{"a": "no", "b": "0x10", "c": "1e3", "d": "010"},
                **{"e": "2026-03-01", "f": "1_000", "g": ".nan"},
            },
        ),
        (
            "base: &b {x: 1, y: 2}\ntrain: {<<: *b, y: 3}",
            {"base.x": "1", "base.y": "2", "train.x": "1", "train.y": "3"},
        ),
        ("a: &n 3\nb: *n", {"a": "3", "b": "3"}),
        ("1: x\nyes: y", {"1": "x", "yes": "y"}),
    ],
)
def test_a_file_names_parameters_of_all_steps_and_of_one(tmp_path, text, values_by_name):
    path = tmp_path / "values.yaml"
    path.write_text(text)
    assert overrides.load_overrides([], [], [path], problems=[]) == [
        ParameterOverride(name, value, str(path)) for name, value in values_by_name.items()
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nother: 2\nseed: 3", "line 3: seed is there already, in line 1"),
        ("train: {seed: 1,\n seed: 2}", "line 2: seed is there already, in line 1"),
        ("train.seed: 1\ntrain: {seed: 2}", "train.seed is set twice"),
        ("- a", "expected NAME: VALUE"),
        ("[]", "expected NAME: VALUE"),
        ("false", "expected NAME: VALUE"),
        ("a: 1\n---\nb: 2", "is not valid YAML: expected a single document"),
        ("a:\n\tb: 1", "is not valid YAML"),
        ("[a]: 1", "line 1: a name is no text"),
        ("? {a: 1}\n: 1", "line 1: a name is no text"),
        ("a: &x [*x]", "contains itself"),
        ("a: 1\nb: !python/name:os.system x", "line 2: "),
        ("<<: 3", "line 1: << expects a mapping"),
        ("a: *nowhere", "is not valid YAML"),
    ],
)
def test_a_file_that_is_wrong_is_an_error_that_names_the_place(tmp_path, text, message):
    path = tmp_path / "values.yaml"
    path.write_text(text)
    problems = []
    assert overrides.load_overrides([], [], [path], problems) == []
    assert message in problems[0]
    assert str(path) in problems[0]


def test_a_mapping_is_the_value_of_a_parameter_that_is_a_dictionary(make_step, tmp_path):
    step = make_step("train", parameters="sizes: dict = {}")
    path = tmp_path / "values.yaml"
    path.write_text("sizes: {small: 1}")
    [override] = overrides.load_overrides([step], [step], [path], problems=[])
    assert (override.name, override.value) == ("sizes", {"small": "1"})


def test_a_step_may_have_no_values_but_none_without_names(make_step, tmp_path):
    step = make_step("train", parameters="seed: int = 1")
    path = tmp_path / "values.yaml"
    path.write_text("train:\n  # seed: 1\nseed: 2")
    [override] = overrides.load_overrides([step], [step], [path], problems=[])
    assert (override.name, override.value) == ("seed", "2")
    path.write_text("train: [1]")
    problems = []
    assert overrides.load_overrides([step], [step], [path], problems) == []
    assert problems == [f"--params {path}: train is a step, expected train: {{NAME: VALUE}}"]
