"""The runner: parameterized notebooks, executed by papermill as far as something has changed, kept
as reports.

Knows nothing of the domain: a project gives it a list of steps and a folder.
"""

from typing import Any

__all__ = ["Option", "Step", "main"]


def __getattr__(name: str) -> Any:
    """Imported when asked for: the processes that the runner starts need none."""
    if name == "Step":
        from pipeline.definition.steps import Step

        return Step
    if name == "Option":
        from pipeline.cli.parser import Option

        return Option
    if name == "main":
        from pipeline.cli.main import main

        return main
    raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
