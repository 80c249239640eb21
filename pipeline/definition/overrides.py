"""Read parameter overrides from the environment, from YAML files and from the command line."""

import os
from pathlib import Path

from pipeline.definition.parameters import read_parameters
from pipeline.definition.steps import Step
from pipeline.definition.tasks import ParameterOverride

ENVIRONMENT_PREFIX = "PIPELINE_PARAM_"


def load_overrides(
    pipeline: list[Step],
    selected_steps: list[Step],
    parameter_files: list[Path],
    problems: list[str],
) -> list[ParameterOverride]:
    """Return the overrides of the environment, then those of the files, which take precedence.

    Overrides of steps that are not selected are dropped. Appends an error message to `problems` for
    each file that cannot be read.
    """
    names_by_lowercase = _parameter_names(pipeline)
    overrides = _environment_overrides(names_by_lowercase)
    parameter_names = set(names_by_lowercase.values())
    step_names = {step.name for step in pipeline}
    for path in parameter_files:
        try:
            overrides += _file_overrides(path, step_names, parameter_names)
        except ValueError as error:
            problems.append(str(error))
    selected_names = _parameter_names(selected_steps).values()
    unselected_names = set(names_by_lowercase.values()).difference(selected_names)
    return [override for override in overrides if override.name not in unselected_names]


def _parameter_names(steps: list[Step]) -> dict[str, str]:
    """Map the lowercase form of each NAME and STEP.NAME to the name itself."""
    return {
        name.lower(): name
        for step in steps
        for parameter in read_parameters(step.notebook)
        for name in (parameter.name, f"{step.name}.{parameter.name}")
    }


def _environment_overrides(parameter_names: dict[str, str]) -> list[ParameterOverride]:
    """Read PIPELINE_PARAM_NAME and PIPELINE_PARAM_STEP__NAME; case does not matter."""
    overrides = []
    for variable, text in sorted(os.environ.items()):
        if variable.startswith(ENVIRONMENT_PREFIX):
            name = variable.removeprefix(ENVIRONMENT_PREFIX).replace("__", ".").lower()
            overrides.append(ParameterOverride(parameter_names.get(name, name), text, variable))
    return overrides


def _file_overrides(
    path: Path, step_names: set[str], parameter_names: set[str]
) -> list[ParameterOverride]:
    """Return the overrides of a file: STEP: {NAME: VALUE} is STEP.NAME.

    A mapping is the value of a parameter that is no step, too. A step may have no values, as if
    each is a comment. Raises ValueError for a parameter that is set twice, and for a step whose
    values have no names.
    """
    from pipeline.definition.parameter_file import read_parameter_file

    overrides: dict[str, ParameterOverride] = {}
    for key, value in read_parameter_file(path).items():
        if key in step_names - parameter_names and not isinstance(value, dict):
            if value is None:
                continue
            raise ValueError(f"--params {path}: {key} is a step, expected {key}: {{NAME: VALUE}}")
        is_step = isinstance(value, dict) and key not in parameter_names - step_names
        values_by_name = value if is_step else {"": value}
        for name, text in values_by_name.items():
            full_name = f"{key}.{name}" if name else key
            if full_name in overrides:
                raise ValueError(
                    f"--params {path}: {full_name} is set twice; delete one of the two"
                )
            overrides[full_name] = ParameterOverride(full_name, text, str(path))
    return list(overrides.values())


def parse_overrides(texts: list[str], option: str, problems: list[str]) -> list[ParameterOverride]:
    """Parse the values of a command-line option, each NAME=VALUE or STEP.NAME=VALUE.

    Appends an error message to `problems` for each text without an equals sign.
    """
    overrides = []
    for text in texts:
        name, separator, value = text.partition("=")
        if separator:
            overrides.append(ParameterOverride(name, value, option))
        else:
            problems.append(f"{option} {text}: expected NAME=VALUE or STEP.NAME=VALUE")
    return overrides
