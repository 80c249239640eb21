"""The states of all steps, a JSON file each in var/steps/.

A state is written when its step starts and when it has ended.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from pipeline.definition.tasks import Task
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.digests import slug
from pipeline.runs.status import StepStatus
from pipeline.staleness import shared_files
from pipeline.staleness.step_state import StepState
from pipeline.workspace import Workspace


class StateStore:
    """The states of all steps that have run in a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def load(self, label: str) -> StepState | None:
        """Return the state of a step; None if it has never run here."""
        return self._read(self._path(label))

    def save(self, state: StepState) -> None:
        """Write the state of a step atomically."""
        content = state.to_dict(self.workspace)
        atomic_write(self._path(state.label), json.dumps(content, indent=1, default=str))

    def load_all(self) -> dict[str, StepState]:
        """Return label -> state of all steps that have ever run here."""
        files = sorted(self.workspace.states_folder.glob("*.json"))
        states = [state for state in map(self._read, files) if state is not None]
        return {state.label: state for state in states}

    def _path(self, label: str) -> Path:
        return self.workspace.states_folder / f"{slug(label)}.json"

    def _read(self, path: Path) -> StepState | None:
        """Return the state in a file; None if there is none that can be read."""
        try:
            content = json.loads(path.read_text())
            return StepState.from_dict({"label": path.stem, **content}, self.workspace)
        except (OSError, KeyError, TypeError, ValueError, AttributeError):
            return None

    def upstream_digests(self, needs: Iterable[str]) -> dict[str, str]:
        """Return label -> digest of the results of each needed step."""
        states = {label: self.load(label) for label in needs}
        return {
            label: state.output_digest if state else "nothing" for label, state in states.items()
        }

    def existing_outputs(self, label: str) -> list[str]:
        """Return the files that the step wrote in any run so far and that still exist."""
        state = self.load(label)
        paths = {*state.outputs, *state.earlier_outputs} if state else set()
        return sorted(path for path in paths if Path(path).exists())

    def expected_paths(self, task: Task) -> set[str]:
        """Return the files that are no news to the step: its own, and those of unneeded steps."""
        states = self.load_all()
        needed_labels = shared_files.ancestors(task.needs, states)
        return {
            path
            for label, state in states.items()
            if label not in needed_labels
            for path in (*state.outputs, *state.earlier_outputs)
        }

    def mark_unfinished(self, task: Task, run_id: str, status: StepStatus) -> None:
        """Record that the step is running, or has not succeeded."""
        previous = self.load(task.label)
        self.save(
            StepState(
                task.label,
                run_id,
                status,
                earlier_outputs=self.existing_outputs(task.label),
                overwritten=previous.overwritten if previous else {},
            )
        )
