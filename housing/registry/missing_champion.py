"""What to say of a model without a champion: who was it last, and which command brings it back."""

import sys
from pathlib import Path

from housing.registry import alias_history
from housing.registry.alias_changes import History
from housing.registry.versions import CHAMPION


def describe(name: str, history: History | None = None) -> str:
    """Say which version was champion last and how to have one again; empty if none ever was.

    history: of the model, or None to read it.
    """
    history = history or alias_history.read(name)
    numbers = [change.new_version for change in history.of_alias(CHAMPION) if change.new_version]
    if not numbers:
        return ""
    last_number = numbers[-1]
    if alias_history.find_version(name, last_number):
        return (
            f"version {last_number} was champion of {name} until its alias was deleted in MLflow: "
            f"`{command(f'promote {last_number} --reason WHY --model {name}')}` makes it champion "
            "again"
        )
    return (
        f"version {last_number} was champion of {name}, and is not there any more: it was deleted, "
        f"or the model renamed, in MLflow. `{command(f'rollback --reason WHY --model {name}')}` "
        "returns to an earlier champion that is still there"
    )


def command(arguments: str) -> str:
    """Return a command of the runner as a user types it."""
    script = Path(sys.argv[0]).name
    return f"{script if script.endswith('.py') else 'run_pipeline.py'} {arguments}"
