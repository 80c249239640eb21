"""What to say of a model without a champion: who was it last, and which command brings it back."""

import sys
from pathlib import Path

from housing.registry import alias_history, versions
from housing.registry.alias_changes import History
from housing.registry.versions import CHAMPION


def describe(name: str, history: History | None = None) -> str:
    """Say which version was champion last and how to have one again; empty if none ever was.

    history: of the model, or None to read it.
    """
    history = history or alias_history.read(name)
    changes = [change for change in history.of_alias(CHAMPION) if change.new_version]
    if not changes:
        return ""
    number, run_id = changes[-1].new_version, changes[-1].run_id
    was_champion = f"version {number} was champion of {name}"
    version = alias_history.find_version(name, number)
    if version and (version.run_id or "") == run_id:
        return (
            f"{was_champion} until its alias was deleted in MLflow: "
            f"`{command(f'promote {number} --reason WHY --model {name}')}` makes it champion again"
        )
    namesakes = versions.find_by_run(run_id) if run_id else []
    if namesakes:
        return (
            f"{was_champion}, and is {namesakes[-1].label} now: its model was renamed in MLflow, "
            f"and is champion again once it is renamed to {name}"
        )
    return (
        f"{was_champion}, and was deleted in MLflow: "
        f"`{command(f'rollback --reason WHY --model {name}')}` returns to an earlier champion that "
        "is still there"
    )


def command(arguments: str) -> str:
    """Return a command of the runner as a user types it."""
    script = Path(sys.argv[0]).name
    return f"{script if script.endswith('.py') else 'run_pipeline.py'} {arguments}"
