"""What a step depends on beside the files it opens, as it is now."""

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.definition import parameters
from pipeline.definition.steps import Step
from pipeline.staleness import fingerprint


def found(step: Step, values: dict[str, Any]) -> dict[str, Any]:
    """Code, parameters, our modules and installed packages' names, as they are now."""
    modules, installed = fingerprint.modules(step.notebook)
    all_values = {one.name: one.default for one in parameters.read(step.notebook)} | values
    return {
        "code": fingerprint.code(step.notebook),
        "parameters": {name: plain(value) for name, value in all_values.items()},
        "modules": modules,
        "installed": sorted({one.partition(".")[0] for one in installed}),
    }


def plain(value: Any) -> Any:
    """A parameter's value as JSON can keep it."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value if isinstance(value, bool | int | float | None) else str(value)


def watched(step: Step) -> dict[str, str]:
    """What the step depends on beside files, as it is now."""
    try:
        return dict(step.watch()) if step.watch else {}
    except OSError as failed:
        return {"the world outside": f"cannot be asked ({failed})"}


def packages(names: list[str]) -> dict[str, str]:
    """Python's version and those of the distributions that installed the modules of that name."""
    return {"python": platform.python_version(), **fingerprint.packages(names)}


def versions(known: dict[str, str]) -> dict[str, str]:
    """The same packages as they are installed now."""
    now = {one: fingerprint.version(one) for one in known if one != "python"}
    return {"python": platform.python_version(), **now}


def hashes(paths: Iterable[str]) -> dict[str, str]:
    """Module -> hash."""
    return {one: fingerprint.module(Path(one)) for one in paths}
