"""Decide which tasks must run, and why."""

from collections.abc import Collection, Mapping
from pathlib import Path

from pipeline.definition.tasks import Task
from pipeline.runs.formatting import join_limited
from pipeline.runs.records import FORCED_REASON
from pipeline.runs.status import StepStatus
from pipeline.staleness import dependencies, reasons, shared_files
from pipeline.staleness.file_signature import FileSignature, file_change
from pipeline.staleness.state_store import StateStore
from pipeline.staleness.step_state import StepState


def stale_reasons(task: Task, state_store: StateStore) -> list[str]:
    """Return why the task must run; empty if it is up to date."""
    state = state_store.load(task.label)
    if state is None:
        return ["it has never run here"]
    if state.status is not StepStatus.DONE:
        return [f"it did not finish in run {state.run} ({state.status})"]
    if not state_store.workspace.executed_notebook(state.run, task.file_stem).exists():
        return [f"its executed notebook of run {state.run} is gone"]
    return [
        *_changed_code_and_packages(task, state),
        *reasons.changed_files("input", _changed_inputs(task.label, state.inputs, state_store)),
        *reasons.changed_files("output", state.outputs),
        *reasons.changed_folders(
            task.step, state.folders, lambda: state_store.expected_paths(task)
        ),
        *reasons.changed_values(
            "upstream",
            state.upstream,
            state_store.upstream_digests(task.needs),
            "wrote new results",
        ),
        *reasons.changed_values(
            "external state", state.external_state, dependencies.read_external_state(task.step)
        ),
        *reasons.reverted_files(state.reverted),
    ]


def _changed_code_and_packages(task: Task, state: StepState) -> list[str]:
    current = dependencies.take_fingerprint(task.step, task.values)
    return [
        *reasons.changed_cells(state.code, current.code),
        *reasons.changed_values("parameter", state.parameters, current.parameters),
        *reasons.changed_modules(
            state.modules | state.runtime_modules,
            current.modules | dependencies.module_hashes(state.runtime_modules),
        ),
        *reasons.changed_values(
            "package", state.packages, dependencies.current_versions(state.packages)
        ),
    ]


def _changed_inputs(
    label: str, inputs: dict[str, FileSignature | None], state_store: StateStore
) -> dict[str, FileSignature | None]:
    """Return the inputs that differ, except those that only a later step has changed."""
    changed_inputs = {
        path: signature for path, signature in inputs.items() if file_change(Path(path), signature)
    }
    states = state_store.load_all() if changed_inputs else {}
    return {
        path: signature
        for path, signature in changed_inputs.items()
        if not shared_files.is_later_version(label, path, states)
    }


def forced_reasons(
    tasks: list[Task],
    state_store: StateStore,
    stale_reasons_by_label: Mapping[str, list[str]],
    forced_steps: Collection[str],
    step_names: Collection[str],
) -> dict[str, str]:
    """Return label -> reason of the tasks that run even if nothing has changed for them.

    forced_steps: those that the user forces. step_names: all steps of the pipeline.
    """
    reason_by_label = {
        task.label: FORCED_REASON for task in tasks if task.step.name in forced_steps
    }
    running_labels = {
        task.label
        for task in tasks
        if task.label in reason_by_label or stale_reasons_by_label[task.label]
    }
    if not running_labels:
        return reason_by_label
    states = state_store.load_all()
    reruns = shared_files.required_reruns(tasks, states, running_labels, step_names)
    return reason_by_label | reruns


def explain(
    tasks: list[Task],
    state_store: StateStore,
    forced_steps: Collection[str],
    step_names: Collection[str],
) -> list[str]:
    """Return a line per task: whether it would run, and why.

    forced_steps: those that the user forces. step_names: all steps of the pipeline.
    """
    stale = {task.label: stale_reasons(task, state_store) for task in tasks}
    forced = forced_reasons(tasks, state_store, stale, forced_steps, step_names)
    lines = []
    running_labels: set[str] = set()
    for task in tasks:
        task_reasons = [forced[task.label]] if task.label in forced else []
        task_reasons += stale[task.label]
        running_needs = [label for label in task.needs if label in running_labels]
        state = state_store.load(task.label)
        if task_reasons:
            verdict = f"run   {join_limited(task_reasons)}"
        elif running_needs:
            verdict = (
                f"run   if {join_limited(running_needs, separator=' or ')} writes something new"
            )
        else:
            verdict = f"skip  nothing has changed since run {state.run if state else '?'}"
        if task_reasons or running_needs:
            running_labels.add(task.label)
        lines.append(f"{task.label:10} {verdict}")
    return lines
