"""Handle files that several steps write: which wrote a file first, and which must run again.

A step that changes a file in place finds its own result when it runs again, unless the step that
wrote the file runs before it. All functions work on the states of the steps.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from pipeline.definition.tasks import Task
from pipeline.staleness.file_signature import file_change
from pipeline.staleness.reasons import display_path
from pipeline.staleness.step_state import StepStates


def ancestors(needs: Iterable[str], states: StepStates) -> set[str]:
    """Return the needed steps and all steps that those need in turn."""
    labels: set[str] = set()
    pending_labels = list(needs)
    while pending_labels:
        label = pending_labels.pop()
        if label not in labels:
            labels.add(label)
            pending_labels += states[label].upstream if label in states else ()
    return labels


def last_writer(path: str, states: StepStates) -> str | None:
    """Return the step that wrote the file last; None if no step did."""
    return next((label for label, state in states.items() if path in state.outputs), None)


def earlier_writers(label: str, paths: Iterable[str], states: StepStates) -> dict[str, str]:
    """Return path -> last writer, if that is another step that does not run after this one."""
    writers = {path: last_writer(path, states) for path in paths}
    return {
        path: writer
        for path, writer in writers.items()
        if writer and writer != label and not _is_after(writer, label, path, states)
    }


def reverted_paths(
    changer: str, label: str, paths: Collection[str], states: StepStates
) -> set[str]:
    """Return which of the paths that step `label` has just written `changer` had changed since."""
    state = states[changer]
    changed_paths = {*state.outputs, *state.overwritten}
    return {
        path
        for path in changed_paths.intersection(paths)
        if not is_same_step(changer, label) and _is_after(changer, label, path, states)
    }


def is_same_step(label: str, other_label: str) -> bool:
    """Return whether both labels are of the same step, with different values."""
    return label.partition("[")[0] == other_label.partition("[")[0]


def missing_writer(label: str, path: str, states: StepStates) -> str | None:
    """Return the step that must write the file again before `label` can read it as it should be.

    Returns None if the file is as it should be, or no step is known to have written it.
    """
    writer = last_writer(path, states)
    if writer is None or not _is_at_or_after(writer, label, states):
        return None
    visited_writers = set()
    while writer and writer not in visited_writers and _is_at_or_after(writer, label, states):
        visited_writers.add(writer)
        writer = _overwritten_writer(writer, path, states)
    return None if writer in visited_writers else writer


def is_later_version(label: str, path: str, states: StepStates) -> bool:
    """Return whether a file the step has read is as a later step left it."""
    writer = last_writer(path, states)
    return (
        missing_writer(label, path, states) is not None
        and writer is not None
        and writer != label
        and not file_change(Path(path), states[writer].outputs[path])
    )


def required_reruns(
    tasks: list[Task], states: StepStates, running_labels: set[str], step_names: Collection[str]
) -> dict[str, str]:
    """Return label -> reason of the tasks that must run so that another one finds its file.

    running_labels: the tasks that run anyway. step_names: all steps of the pipeline. Raises
    ValueError if the step that must run is not among the tasks.
    """
    reasons: dict[str, str] = {}
    labels = {task.label for task in tasks}
    while True:
        new_reasons: dict[str, str] = {}
        for task in _with_downstream_tasks(tasks, running_labels | set(reasons)):
            state = states.get(task.label)
            for path in (*state.changed_in_place, *state.inputs) if state else ():
                writer = missing_writer(task.label, path, states)
                if writer is None or writer.partition("[")[0] not in step_names:
                    continue
                variants = {label for label in labels if is_same_step(label, writer)}
                if not variants:
                    raise ValueError(_missing_rerun_message(task.label, path, writer, states))
                for label in {writer} & labels or variants:
                    new_reasons.setdefault(
                        label, f"{task.label} needs {display_path(path)} as it was written here"
                    )
        if new_reasons.keys() <= reasons.keys() | running_labels:
            return reasons
        reasons |= {
            label: reason for label, reason in new_reasons.items() if label not in running_labels
        }


def overwrite_warnings(
    label: str,
    previous_writers: Mapping[str, str],
    in_place_paths: Collection[str],
    states: StepStates,
) -> list[str]:
    """Return a warning for each file of another step that a step has just written."""
    warnings = []
    for path, writer in previous_writers.items():
        verb = "changed" if path in in_place_paths else "overwritten"
        warning = f"step {label} has {verb} {display_path(path)}, which step {writer} wrote"
        if is_same_step(label, writer) or not _is_at_or_after(label, writer, states):
            warning += "; neither needs the other: which one writes last is a matter of chance"
        elif path in in_place_paths:
            warning += (
                f": whenever it runs again, {writer} must run too; a file of its own spares that"
            )
        warnings.append(warning)
    return warnings


def _with_downstream_tasks(tasks: list[Task], running_labels: set[str]) -> list[Task]:
    """Return the tasks that run, and those that may run because a task they need does."""
    selected: dict[str, Task] = {}
    for task in tasks:
        if task.label in running_labels or any(label in selected for label in task.needs):
            selected[task.label] = task
    return list(selected.values())


def _missing_rerun_message(label: str, path: str, writer: str, states: StepStates) -> str:
    changer, first_writer = last_writer(path, states), writer
    earlier_writer = _overwritten_writer(writer, path, states)
    while earlier_writer and first_writer != label:
        first_writer = earlier_writer
        earlier_writer = _overwritten_writer(first_writer, path, states)
    return (
        f"step {label} needs {display_path(path)} as step {writer} wrote it, but step {changer} "
        f"has changed it since: {writer} must run too (--from {first_writer.partition('[')[0]})"
    )


def _is_at_or_after(other_label: str, label: str, states: StepStates) -> bool:
    state = states.get(other_label)
    return other_label == label or label in ancestors(state.upstream if state else (), states)


def _overwritten_writer(label: str, path: str, states: StepStates) -> str | None:
    """Return the step whose version of the file the step has overwritten; None if there is none."""
    state = states.get(label)
    return state.overwritten.get(path) if state else None


def _is_after(other_label: str, label: str, path: str, states: StepStates) -> bool:
    """Return whether `other_label` needs `label`, or has changed its version of the file before."""
    visited_writers: set[str] = set()
    writer = _overwritten_writer(other_label, path, states)
    while writer and writer not in visited_writers:
        visited_writers.add(writer)
        writer = _overwritten_writer(writer, path, states)
    return label in visited_writers or (
        other_label != label and _is_at_or_after(other_label, label, states)
    )
