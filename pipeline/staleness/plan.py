"""Decide which tasks must run, and why: the plan that a run follows and `explain` describes."""

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from pipeline.definition.tasks import Task
from pipeline.runs.formatting import join_limited
from pipeline.runs.status import StepStatus
from pipeline.staleness import dependencies, reasons
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.reasons import Reason, ReasonKind
from pipeline.staleness.state_store import StateStore
from pipeline.staleness.step_state import StepState

# reasons for which a step must run, as it has not written the results that later steps read
UNACCEPTABLE_KINDS = (ReasonKind.UNFINISHED, ReasonKind.OUTPUT)

MAX_EXPLAINED_FILES = 5  # that `explain` names of each task


class PlannedTask(NamedTuple):
    """A task, and why it must run."""

    task: Task
    reasons: tuple[Reason, ...]  # empty if it is up to date
    fingerprint: Fingerprint  # the present one
    last_run: str  # the id of the run that executed it last; empty if none did
    untracked_reads: tuple[str, ...] = ()  # files it read that are not compared


def plan_tasks(
    tasks: list[Task], state_store: StateStore, forced_steps: Collection[str] = ()
) -> list[PlannedTask]:
    """Return the tasks with the reasons to run them. forced_steps: those that the user forces."""
    for task in tasks:
        state_store.workspace.secrets.add(task.secret_variables)
    return [plan_task(task, state_store, forced_steps) for task in tasks]


def plan_task(
    task: Task, state_store: StateStore, forced_steps: Collection[str] = ()
) -> PlannedTask:
    """Return a task with the reasons to run it now, which contain no secret.

    An on-demand step runs in any case: what has changed since its last run is not looked for.
    """
    secrets = state_store.workspace.secrets
    secrets.add(task.secret_variables)
    state = state_store.load(task.label)
    forced = [reasons.FORCED] if task.step.name in forced_steps else []
    obstacle = _missing_results(task, state, state_store)
    if task.step.on_demand:
        fingerprint, changes = dependencies.source_fingerprint(task, state_store), []
        forced = [reasons.ON_DEMAND]
    elif state is None or obstacle:
        fingerprint = dependencies.source_fingerprint(task, state_store)
        changes = [Reason(ReasonKind.UNFINISHED, "", obstacle)]
    else:
        fingerprint = dependencies.take_fingerprint(task, state.fingerprint, state_store)
        changes = fingerprint.diff(state.fingerprint)
    hidden = [Reason(reason.kind, *map(secrets.hide, reason[1:])) for reason in changes]
    return PlannedTask(
        task,
        (*forced, *hidden),
        fingerprint,
        state.run if state else "",
        tuple(map(secrets.hide, state.untracked_reads)) if state else (),
    )


def refresh_state(planned: PlannedTask, state_store: StateStore) -> None:
    """Save the new times of the files of a task that is up to date, if any differ.

    So the content of a file that was copied or touched is read once only. Call under the run lock.
    """
    state = state_store.load(planned.task.label)
    if state and state.fingerprint != planned.fingerprint:
        state_store.save(replace(state, fingerprint=planned.fingerprint))


def _missing_results(task: Task, state: StepState | None, state_store: StateStore) -> str:
    """Return why there are no results to compare with; empty if there are."""
    if state is None:
        return "it has never run here"
    if state.status is not StepStatus.DONE:
        return f"it did not finish in run {state.run} ({state.status})"
    file_stem = state.file_stem or task.file_stem  # another step may have had an equal one
    if not state_store.workspace.executed_notebook(state.run, file_stem).exists():
        return f"its executed notebook of run {state.run} is gone"
    return ""


def explain(planned_tasks: list[PlannedTask]) -> list[str]:
    """Return a line per task: whether it would run, and why."""
    lines = []
    running_labels: set[str] = set()
    for planned in planned_tasks:
        running_needs = [label for label in planned.task.needs if label in running_labels]
        if planned.reasons:
            verdict = f"run   {join_limited([*map(str, planned.reasons)])}"
        elif running_needs:
            writers = join_limited(running_needs, separator=" or ")
            verdict = f"run   if {writers} writes something new"
        else:
            verdict = f"skip  nothing has changed since run {planned.last_run}"
        if planned.reasons or running_needs:
            running_labels.add(planned.task.label)
        lines.append(f"{planned.task.label:10} {verdict}")
        if planned.untracked_reads:
            files = join_limited(planned.untracked_reads, limit=MAX_EXPLAINED_FILES)
            lines.append(f"{'':10}       reads, not tracked: {files}")
    return lines


def accept(task: Task, state_store: StateStore) -> str:
    """Declare an edited step up to date without running it; return the accepted changes.

    Raises ValueError if there are no results of the step, or its outputs have changed.
    """
    planned = plan_task(task, state_store)
    obstacles = [str(reason) for reason in planned.reasons if reason.kind in UNACCEPTABLE_KINDS]
    if obstacles:
        raise ValueError(f"step {task.label} cannot be accepted: {join_limited(obstacles)}")
    state = replace(state_store.states[task.label], fingerprint=planned.fingerprint)
    state_store.save(state)
    return join_limited([*map(str, planned.reasons)]) or "nothing had changed"
