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
    ],
)
def test_a_file_names_parameters_of_all_steps_and_of_one(tmp_path, text, values_by_name):
    path = tmp_path / "values.yaml"
    path.write_text(text)
    assert overrides.load_overrides([], [], [path], problems=[]) == [
        ParameterOverride(name, value, str(path)) for name, value in values_by_name.items()
    ]
