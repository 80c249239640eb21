"""Files that several steps write: who wrote one first, who changes it, who must run again for that.

A step that changes a file in place finds its own result when it runs again, unless the step that
wrote the file runs before. All here goes by the states of the steps, label -> state.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.definition.steps import Task
from pipeline.runs import atomic_write
from pipeline.staleness.reasons import display_path

StepStates = Mapping[str, dict[str, Any]]


def ancestors(needs: Iterable[str], states: StepStates) -> set[str]:
    """The steps that must be done before, and before those."""
    found, waiting = set(), list(needs)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += states.get(one, {}).get("upstream", {})
    return found


def last_writer(path: str, states: StepStates) -> str | None:
    """Who wrote the file last."""
    return next((one for one, it in states.items() if path in it.get("outputs", {})), None)


def earlier_writers(label: str, paths: Iterable[str], states: StepStates) -> dict[str, str]:
    """Path -> who wrote it last, where that is another step and none that comes after this one."""
    found = {one: last_writer(one, states) for one in paths}
    return {
        path: other
        for path, other in found.items()
        if other and other != label and not _is_after(other, label, path, states)
    }


def reverted_paths(
    changer: str, label: str, paths: Collection[str], states: StepStates
) -> set[str]:
    """Those of the paths, which a step has just written, that another one had changed since."""
    state = states[changer]
    known = {*state.get("outputs", {}), *state.get("over", {})}
    return {
        one
        for one in known.intersection(paths)
        if not is_same_step(changer, label) and _is_after(changer, label, one, states)
    }


def is_same_step(label: str, other_label: str) -> bool:
    """Whether both are the same step, with other values."""
    return label.partition("[")[0] == other_label.partition("[")[0]


def missing_writer(label: str, path: str, states: StepStates) -> str | None:
    """Who must write the file again before the step can find in it what it is to find there; None
    if it is as it should be, or nobody knows better.
    """
    writer = last_writer(path, states)
    if writer is None or not _is_at_or_after(writer, label, states):
        return None
    seen = set()
    while writer and writer not in seen and _is_at_or_after(writer, label, states):
        seen.add(writer)
        writer = states.get(writer, {}).get("over", {}).get(path)
    return None if writer in seen else writer


def is_later_version(label: str, path: str, states: StepStates) -> bool:
    """Whether a file that the step has read is just as a step after it has left it."""
    writer = last_writer(path, states)
    return (
        missing_writer(label, path, states) is not None
        and writer != label
        and not atomic_write.file_change(Path(path), states[writer]["outputs"][path])
    )


def required_reruns(
    tasks: list[Task], states: StepStates, running_labels: set[str], step_names: Collection[str]
) -> dict[str, str]:
    """Label -> why the task must run though nothing has changed for it: another one, which runs or
    may run, needs a file as this task writes it.

    running: the labels of tasks that run anyway. pipeline: the names of all its steps. Raises
    ValueError if who must run is none of the tasks.
    """
    found: dict[str, str] = {}
    labels = {one.label for one in tasks}
    while True:
        new = {}
        for task in _with_downstream_tasks(tasks, running_labels | set(found)):
            state = states.get(task.label, {})
            for path in (*state.get("in_place", []), *state.get("inputs", {})):
                writer = missing_writer(task.label, path, states)
                if writer is None or writer.partition("[")[0] not in step_names:
                    continue
                same = {one for one in labels if is_same_step(one, writer)}
                if not same:
                    raise ValueError(_missing_rerun_message(task.label, path, writer, states))
                for one in {writer} & labels or same:
                    new.setdefault(
                        one, f"{task.label} needs {display_path(path)} as it was written here"
                    )
        if new.keys() <= found.keys() | running_labels:
            return found
        found |= {one: why for one, why in new.items() if one not in running_labels}


def overwrite_warnings(
    label: str,
    previous_writers: Mapping[str, str],
    in_place_paths: Collection[str],
    states: StepStates,
) -> list:
    """Sentences about the files that a step has just written over another's."""
    said = []
    for path, writer in previous_writers.items():
        it = f"step {label} has {'changed' if path in in_place_paths else 'overwritten'} {display_path(path)}, "
        it += f"which step {writer} wrote"
        if is_same_step(label, writer) or not _is_at_or_after(label, writer, states):
            it += "; neither needs the other: which one writes last is a matter of chance"
        elif path in in_place_paths:
            it += f": whenever it runs again, {writer} must run too; a file of its own spares that"
        said.append(it)
    return said


def _with_downstream_tasks(tasks: list[Task], running_labels: set[str]) -> list[Task]:
    """The tasks that run, and those that may, as something they need does."""
    found: dict[str, Task] = {}
    for task in tasks:
        if task.label in running_labels or any(one in found for one in task.needs):
            found[task.label] = task
    return list(found.values())


def _missing_rerun_message(label: str, path: str, writer: str, states: StepStates) -> str:
    changer, first = last_writer(path, states), writer
    while path in states.get(first, {}).get("over", {}) and first != label:
        first = states[first]["over"][path]
    return (
        f"step {label} needs {display_path(path)} as step {writer} wrote it, but step {changer} has changed"
        f" it since: {writer} must run too (--from {first.partition('[')[0]})"
    )


def _is_at_or_after(other_label: str, label: str, states: StepStates) -> bool:
    return other_label == label or label in ancestors(
        states.get(other_label, {}).get("upstream", {}), states
    )


def _is_after(other_label: str, label: str, path: str, states: StepStates) -> bool:
    """Whether it needs the other, or has changed the other's file before."""
    seen, writer = set(), states.get(other_label, {}).get("over", {}).get(path)
    while writer and writer not in seen:
        seen.add(writer)
        writer = states.get(writer, {}).get("over", {}).get(path)
    return label in seen or (other_label != label and _is_at_or_after(other_label, label, states))
