"""Values for parameters, as a user gives them: environment, files, the command line."""

import codecs
import os
import shlex
from pathlib import Path

from pipeline.definition import parameters
from pipeline.definition.steps import ParameterOverride, Step

ENVIRONMENT_PREFIX = "PIPELINE_PARAM_"


def load_overrides(
    pipeline: list[Step],
    selected_steps: list[Step],
    parameter_files: list[Path],
    problems: list[str],
) -> list[ParameterOverride]:
    """The environment's values, then the files', which win; what is wrong goes to the problems.

    They may speak of steps that are not wanted this time.
    """
    declared = _parameter_names(pipeline)
    found = _environment_overrides(declared)
    for path in parameter_files:
        try:
            found += _file_overrides(path)
        except ValueError as wrong:
            problems.append(str(wrong))
    elsewhere = set(declared.values()) - set(_parameter_names(selected_steps).values())
    return [one for one in found if one.name not in elsewhere]


def _parameter_names(steps: list[Step]) -> dict[str, str]:
    """The names of all parameters, with and without their step, by their small letters."""
    return {
        name.lower(): name
        for step in steps
        for one in parameters.read(step.notebook)
        for name in (one.name, f"{step.name}.{one.name}")
    }


def _environment_overrides(parameter_names: dict[str, str]) -> list[ParameterOverride]:
    """PIPELINE_PARAM_TRIALS or PIPELINE_PARAM_TRAIN__TRIALS; capitals do not matter."""
    found = []
    for variable, text in sorted(os.environ.items()):
        if variable.startswith(ENVIRONMENT_PREFIX):
            asked = variable.removeprefix(ENVIRONMENT_PREFIX).replace("__", ".").lower()
            found.append(ParameterOverride(parameter_names.get(asked, asked), text, variable))
    return found


def _file_overrides(path: Path) -> list[ParameterOverride]:
    import yaml

    try:
        # every scalar stays the text that was written: 007 is for the annotation to understand
        content = yaml.load(_read_text(path), yaml.BaseLoader) or {}
    except OSError as failed:
        raise ValueError(f"--params {path}: {failed.strerror}") from None
    except yaml.YAMLError as failed:
        raise ValueError(f"--params {path} is no YAML: {failed}") from None
    if not isinstance(content, dict):
        raise ValueError(f"--params {path}: expected NAME: VALUE, or STEP: {{NAME: VALUE}}")
    found = []
    for name, value in content.items():
        inner = value if isinstance(value, dict) else {"": value}
        found += [
            ParameterOverride(f"{name}.{one}".rstrip("."), it, str(path))
            for one, it in inner.items()
        ]
    return found


def _read_text(path: Path) -> str:
    raw = path.read_bytes()
    marked = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return raw.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = raw.count(b"\n", 0, wrong.start) + 1
        names = [shlex.quote(str(one)) for one in (path, path.with_stem(f"{path.stem}-utf8"))]
        raise ValueError(
            f"--params {path}, line {line}: expected UTF-8, but 0x{raw[wrong.start]:02x} is no "
            "letter of it; if it is Latin-1, as old editors write it, this is the command "
            f"to convert it: iconv -f LATIN1 -t UTF-8 {names[0]} > {names[1]}"
        ) from None


def parse_overrides(texts: list[str], option: str, problems: list[str]) -> list[ParameterOverride]:
    """What an option of the command line says; what is no pair goes to the problems."""
    wrong = [one for one in texts if "=" not in one]
    problems += [f"{option} {one}: expected NAME=VALUE or STEP.NAME=VALUE" for one in wrong]
    return [ParameterOverride(*one.split("=", 1), option) for one in texts if "=" in one]
