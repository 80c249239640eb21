"""Take the present state of what a step depends on, apart from the files it opens."""

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.definition.parameters import read_parameters
from pipeline.definition.steps import Step
from pipeline.staleness import fingerprint
from pipeline.staleness.step_state import Fingerprint


def take_fingerprint(step: Step, values: dict[str, Any]) -> Fingerprint:
    """Return the present code, parameters, our modules and the installed modules imported.

    values: name -> value of the overridden parameters; the others count with their defaults.
    """
    modules, installed_modules = fingerprint.resolve_imports(step.notebook)
    defaults = {parameter.name: parameter.default for parameter in read_parameters(step.notebook)}
    return Fingerprint(
        code=fingerprint.cell_hashes(step.notebook, step.kernel),
        parameters={name: to_json_value(value) for name, value in (defaults | values).items()},
        modules=modules,
        installed_modules=tuple(sorted({name.partition(".")[0] for name in installed_modules})),
    )


def to_json_value(value: Any) -> Any:
    """Return a parameter's value in a form that JSON can hold."""
    if isinstance(value, list):
        return [to_json_value(element) for element in value]
    return value if isinstance(value, bool | int | float | None) else str(value)


def read_external_state(step: Step) -> dict[str, str]:
    """Return the present state of the step's dependencies that are not files.

    A state that cannot be read is a state of its own, so that the step runs and reports the error.
    """
    try:
        return dict(step.external_state()) if step.external_state else {}
    except OSError as error:
        return {"error": f"cannot be read ({error})"}


def environment_versions(module_names: Iterable[str]) -> dict[str, str]:
    """Return the version of Python and of each distribution that provides one of the modules."""
    return {"python": platform.python_version(), **fingerprint.package_versions(module_names)}


def current_versions(recorded_versions: dict[str, str]) -> dict[str, str]:
    """Return the installed versions of the same packages."""
    package_versions = {
        name: fingerprint.installed_version(name) for name in recorded_versions if name != "python"
    }
    return {"python": platform.python_version(), **package_versions}


def module_hashes(paths: Iterable[str]) -> dict[str, str]:
    """Return path -> hash of each module."""
    return {path: fingerprint.module_hash(Path(path)) for path in paths}
