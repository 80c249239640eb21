"""Read parameter overrides from the environment, from YAML files and from the command line."""

import codecs
import os
import shlex
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
    for path in parameter_files:
        try:
            overrides += _file_overrides(path)
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


def _file_overrides(path: Path) -> list[ParameterOverride]:
    import yaml

    try:
        # BaseLoader keeps every scalar as text: what 007 means is up to the annotation
        content = yaml.load(_read_text(path), yaml.BaseLoader) or {}
    except OSError as error:
        raise ValueError(f"--params {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"--params {path} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"--params {path}: expected NAME: VALUE, or STEP: {{NAME: VALUE}}")
    overrides = []
    for key, value in content.items():
        # STEP: {NAME: VALUE} is STEP.NAME, and NAME: VALUE is NAME, from which the dot is stripped
        values_by_name = value if isinstance(value, dict) else {"": value}
        overrides += [
            ParameterOverride(f"{key}.{name}".rstrip("."), text, str(path))
            for name, text in values_by_name.items()
        ]
    return overrides


def _read_text(path: Path) -> str:
    raw = path.read_bytes()
    is_utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return raw.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        source = shlex.quote(str(path))
        target = shlex.quote(str(path.with_stem(f"{path.stem}-utf8")))
        raise ValueError(
            f"--params {path}, line {line}: expected UTF-8, but the byte 0x{raw[error.start]:02x} "
            "is not valid there; if the file is Latin-1, as older editors write it, convert it "
            f"with: iconv -f LATIN1 -t UTF-8 {source} > {target}"
        ) from None


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
