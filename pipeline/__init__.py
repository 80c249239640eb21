"""Run a pipeline of parameterized notebooks with papermill and keep each as a report.

A step runs only when something it depends on has changed. This package knows nothing of the domain:
a project passes it a list of steps and a folder.
"""

from typing import Any

__all__ = ["FollowUp", "Option", "Step", "StepResult", "main"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use: the processes the runner starts need none of them.

    Exits with a sentence if this Python is too old for the package.
    """
    if name in __all__:
        from pipeline.startup import require_python

        require_python()
    if name in ("FollowUp", "Step", "StepResult"):
        from pipeline.definition import steps

        return getattr(steps, name)
    if name == "Option":
        from pipeline.cli.parser import Option

        return Option
    if name == "main":
        from pipeline.cli.main import main

        return main
    raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
