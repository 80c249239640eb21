"""The states of all steps, a JSON file each in var/steps/.

A state is written when its step starts and when it has ended.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.definition.tasks import Task
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.digests import slug
from pipeline.runs.status import StepStatus
from pipeline.runs.strict_json import decode_json, encode_json
from pipeline.staleness.step_state import StepState
from pipeline.workspace import Workspace

# entries of earlier versions, which allowed a step to change the files of another in place
CHANGED_FILES_ENTRIES = ("changed_in_place", "in_place", "reverted", "undone")
OVERWRITTEN_FILES_ENTRIES = ("overwritten", "over")


class StateStore:
    """The states of all steps that have run in a workspace, by label; read once."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.states = _load_states(workspace)

    def load(self, label: str) -> StepState | None:
        """Return the state of a step; None if it has never run here."""
        return self.states.get(label)

    def save(self, state: StepState) -> None:
        """Write the state of a step atomically."""
        path = self.workspace.states_folder / f"{slug(state.label)}.json"
        content = self.workspace.secrets.hide(state.to_dict(self.workspace))
        atomic_write(path, encode_json(content, indent=1))
        self.states[state.label] = state

    def upstream_digests(self, needs: Iterable[str]) -> dict[str, str]:
        """Return label -> digest of the results of each needed step."""
        states = {label: self.load(label) for label in needs}
        return {
            label: state.output_digest if state else "nothing" for label, state in states.items()
        }

    def existing_outputs(self, label: str) -> list[str]:
        """Return the files that the step wrote in any run so far and that still exist."""
        state = self.load(label)
        paths = {*state.fingerprint.outputs, *state.earlier_outputs} if state else set()
        return sorted(path for path in paths if Path(path).exists())

    def expected_paths(self, task: Task) -> set[str]:
        """Return the files that are no news to the step: its own, and those of unneeded steps."""
        needed_labels = self._ancestors(task.needs)
        return {
            path
            for label, state in self.states.items()
            if label not in needed_labels
            for path in (*state.fingerprint.outputs, *state.earlier_outputs)
        }

    def scratch_files(self) -> set[str]:
        """Return the temporary and hidden files that steps wrote, and that are nobody's input."""
        return {path for state in self.states.values() for path in state.scratch_files}

    def shared_logs(self, label: str) -> set[str]:
        """Return the files to which both the step and another one append."""
        appended = {name: {*state.appended_files} for name, state in self.states.items()}
        own_files = appended.pop(label, set())
        return own_files & set().union(*appended.values())

    def _ancestors(self, needs: Iterable[str]) -> set[str]:
        """Return the needed steps and all steps that those need in turn."""
        labels: set[str] = set()
        pending_labels = list(needs)
        while pending_labels:
            label = pending_labels.pop()
            if label not in labels:
                labels.add(label)
                state = self.load(label)
                pending_labels += state.fingerprint.upstream if state else ()
        return labels

    def mark_unfinished(self, task: Task, run_id: str, status: StepStatus) -> None:
        """Record that the step is running, or has not succeeded."""
        outputs = self.existing_outputs(task.label)
        self.save(StepState(task.label, run_id, status, earlier_outputs=outputs))


def _load_states(workspace: Workspace) -> dict[str, StepState]:
    """Return label -> state of all steps that have ever run here, without those to be run anew."""
    states: dict[str, StepState] = {}
    outdated_labels: set[str] = set()
    for path in sorted(workspace.states_folder.glob("*.json")):
        try:
            text = path.read_text(encoding="utf-8")
            content = {"label": path.stem, **decode_json(text)}
            workspace.secrets.add(content.get("secrets", {}))
            if "{env:" in text:
                content = workspace.secrets.reveal(content)
            state = StepState.from_dict(content, workspace)
            outdated_labels |= _chained_labels(content)
        except (OSError, KeyError, TypeError, ValueError, AttributeError):
            continue  # the step then runs, which is never wrong
        states[state.label] = state
    return {label: state for label, state in states.items() if label not in outdated_labels}


def _chained_labels(content: dict[str, Any]) -> set[str]:
    """Return the step and those whose files it has changed, in a state of an earlier version.

    Its own results would be its input if it ran alone, and without the entries of that version
    nothing tells that the others must run before it.
    """
    if not any(content.get(name) for name in CHANGED_FILES_ENTRIES):
        return set()
    overwritten = [content.get(name, {}) for name in OVERWRITTEN_FILES_ENTRIES]
    return {content["label"], *(writer for writers in overwritten for writer in writers.values())}
