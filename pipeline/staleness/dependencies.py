"""What a step depends on beside the files it opens, as it is now."""

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.definition import parameters
from pipeline.definition.steps import Step
from pipeline.staleness import fingerprint


def take_fingerprint(step: Step, values: dict[str, Any]) -> dict[str, Any]:
    """Code, parameters, our modules and installed packages' names, as they are now."""
    modules, installed = fingerprint.resolve_imports(step.notebook)
    all_values = {one.name: one.default for one in parameters.read(step.notebook)} | values
    return {
        "code": fingerprint.cell_hashes(step.notebook),
        "parameters": {name: to_json_value(value) for name, value in all_values.items()},
        "modules": modules,
        "installed": sorted({one.partition(".")[0] for one in installed}),
    }


def to_json_value(value: Any) -> Any:
    """A parameter's value as JSON can keep it."""
    if isinstance(value, list):
        return [to_json_value(one) for one in value]
    return value if isinstance(value, bool | int | float | None) else str(value)


def read_external_state(step: Step) -> dict[str, str]:
    """What the step depends on beside files, as it is now."""
    try:
        return dict(step.external_state()) if step.external_state else {}
    except OSError as failed:
        return {"the world outside": f"cannot be asked ({failed})"}


def environment_versions(module_names: list[str]) -> dict[str, str]:
    """Python's version and those of the distributions that installed the modules of that name."""
    return {"python": platform.python_version(), **fingerprint.package_versions(module_names)}


def current_versions(recorded_versions: dict[str, str]) -> dict[str, str]:
    """The same packages as they are installed now."""
    now = {one: fingerprint.installed_version(one) for one in recorded_versions if one != "python"}
    return {"python": platform.python_version(), **now}


def module_hashes(paths: Iterable[str]) -> dict[str, str]:
    """Module -> hash."""
    return {one: fingerprint.module_hash(Path(one)) for one in paths}
