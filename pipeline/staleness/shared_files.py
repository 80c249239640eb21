"""Files that several steps write: who wrote one first, who changes it, who must run again for that.

A step that changes a file in place finds its own result when it runs again, unless the step that
wrote the file runs before. All here goes by the states of the steps, label -> state.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.definition.steps import Task
from pipeline.runs import atomic_write
from pipeline.staleness.reasons import near

States = Mapping[str, dict[str, Any]]


def ancestors(needs: Iterable[str], states: States) -> set[str]:
    """The steps that must be done before, and before those."""
    found, waiting = set(), list(needs)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += states.get(one, {}).get("upstream", {})
    return found


def owner(path: str, states: States) -> str | None:
    """Who wrote the file last."""
    return next((one for one, it in states.items() if path in it.get("outputs", {})), None)


def earlier_writers(label: str, paths: Iterable[str], states: States) -> dict[str, str]:
    """Path -> who wrote it last, where that is another step and none that comes after this one."""
    found = {one: owner(one, states) for one in paths}
    return {
        path: other
        for path, other in found.items()
        if other and other != label and not _is_after(other, label, path, states)
    }


def undone(other: str, label: str, paths: Collection[str], states: States) -> set[str]:
    """Those of the paths, which a step has just written, that another one had changed since."""
    state = states[other]
    known = {*state.get("outputs", {}), *state.get("over", {})}
    return {
        one
        for one in known.intersection(paths)
        if not is_variant(other, label) and _is_after(other, label, one, states)
    }


def is_variant(one: str, other: str) -> bool:
    """Whether both are the same step, with other values."""
    return one.partition("[")[0] == other.partition("[")[0]


def missing_writer(label: str, path: str, states: States) -> str | None:
    """Who must write the file again before the step can find in it what it is to find there; None
    if it is as it should be, or nobody knows better.
    """
    writer = owner(path, states)
    if writer is None or not _is_at_or_after(writer, label, states):
        return None
    seen = set()
    while writer and writer not in seen and _is_at_or_after(writer, label, states):
        seen.add(writer)
        writer = states.get(writer, {}).get("over", {}).get(path)
    return None if writer in seen else writer


def is_later_version(label: str, path: str, states: States) -> bool:
    """Whether a file that the step has read is just as a step after it has left it."""
    writer = owner(path, states)
    return (
        missing_writer(label, path, states) is not None
        and writer != label
        and not atomic_write.changed(Path(path), states[writer]["outputs"][path])
    )


def again(
    tasks: list[Task], states: States, running: set[str], pipeline: Collection[str]
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
        for task in _with_what_follows(tasks, running | set(found)):
            state = states.get(task.label, {})
            for path in (*state.get("in_place", []), *state.get("inputs", {})):
                writer = missing_writer(task.label, path, states)
                if writer is None or writer.partition("[")[0] not in pipeline:
                    continue
                same = {one for one in labels if is_variant(one, writer)}
                if not same:
                    raise ValueError(_alone(task.label, path, writer, states))
                for one in {writer} & labels or same:
                    new.setdefault(one, f"{task.label} needs {near(path)} as it was written here")
        if new.keys() <= found.keys() | running:
            return found
        found |= {one: why for one, why in new.items() if one not in running}


def told(label: str, over: Mapping[str, str], in_place: Collection[str], states: States) -> list:
    """Sentences about the files that a step has just written over another's."""
    said = []
    for path, writer in over.items():
        it = f"step {label} has {'changed' if path in in_place else 'overwritten'} {near(path)}, "
        it += f"which step {writer} wrote"
        if is_variant(label, writer) or not _is_at_or_after(label, writer, states):
            it += "; neither needs the other: which one writes last is a matter of chance"
        elif path in in_place:
            it += f": whenever it runs again, {writer} must run too; a file of its own spares that"
        said.append(it)
    return said


def _with_what_follows(tasks: list[Task], running: set[str]) -> list[Task]:
    """The tasks that run, and those that may, as something they need does."""
    found: dict[str, Task] = {}
    for task in tasks:
        if task.label in running or any(one in found for one in task.needs):
            found[task.label] = task
    return list(found.values())


def _alone(label: str, path: str, writer: str, states: States) -> str:
    changer, first = owner(path, states), writer
    while path in states.get(first, {}).get("over", {}) and first != label:
        first = states[first]["over"][path]
    return (
        f"step {label} needs {near(path)} as step {writer} wrote it, but step {changer} has changed"
        f" it since: {writer} must run too (--from {first.partition('[')[0]})"
    )


def _is_at_or_after(one: str, label: str, states: States) -> bool:
    return one == label or label in ancestors(states.get(one, {}).get("upstream", {}), states)


def _is_after(one: str, label: str, path: str, states: States) -> bool:
    """Whether it needs the other, or has changed the other's file before."""
    seen, writer = set(), states.get(one, {}).get("over", {}).get(path)
    while writer and writer not in seen:
        seen.add(writer)
        writer = states.get(writer, {}).get("over", {}).get(path)
    return label in seen or (one != label and _is_at_or_after(one, label, states))
