"""Run the tasks that must run, or say that there is nothing to do.

What only a run needs is imported by the functions: a command with nothing to do does not wait.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.cli import notifications
from pipeline.cli.selection import Selection
from pipeline.definition import parameters
from pipeline.definition.parameters import read_parameters
from pipeline.definition.project import Project
from pipeline.definition.steps import Step
from pipeline.definition.tasks import Task
from pipeline.execution import run_lock
from pipeline.kernels import kernel_choice
from pipeline.runs import records
from pipeline.runs.events import RunEvent
from pipeline.runs.os_errors import describe_error
from pipeline.runs.records import RunRecord
from pipeline.staleness import plan
from pipeline.staleness.plan import PlannedTask
from pipeline.staleness.state_store import StateStore
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.cli.progress import PlainProgress
    from pipeline.execution.scheduler import RunOptions


class RunOutcome(NamedTuple):
    """How a command that runs steps has ended."""

    exit_code: int
    run: RunRecord | None = None  # None if there was nothing to do


def run_tasks(
    project: Project,
    pipeline: list[Step],
    selection: Selection,
    environment: dict[str, str],
    args: argparse.Namespace,
) -> RunOutcome:
    """Run the tasks that must run, one run at a time in this home.

    pipeline: all steps. environment: of the kernels. args: the options of the command line.
    """
    workspace = project.workspace
    run_id = records.new_run_id(_newest_run_id(workspace))
    tasks, forced_steps = selection
    with run_lock.hold(workspace.lock_file, run_id, print_waiting) as lock_descriptor:
        _recover_interrupted_run(project)
        run_id = max(run_id, records.new_run_id(_newest_run_id(workspace)))
        state_store = StateStore(workspace)
        # not before the lock is held: another run may just have finished some of the steps
        planned_tasks = plan.plan_tasks(tasks, state_store, forced_steps)
        if not any(planned.reasons for planned in planned_tasks):
            _report_up_to_date(project, planned_tasks, state_store, args)
            return RunOutcome(0)
        from pipeline.cli.progress import SafeProgress
        from pipeline.execution import limits
        from pipeline.execution.scheduler import Scheduler

        limits.require_open_files()
        validate_defaults(tasks)
        kernel_choice.check_installed([task.step for task in tasks])
        options = _run_options(project, pipeline, selection, environment, args)
        listener = SafeProgress(_create_progress(project, args))
        scheduler = Scheduler(run_id, planned_tasks, project, state_store, options, listener)
        try:
            scheduler.create_folders()
        except OSError as error:
            raise ValueError(f"the run could not start: {describe_error(error)}") from None
        exit_code = scheduler.run(lock_descriptor)
    notifications.notify(scheduler.record, tasks, workspace)  # it may wait for a server
    listener.raise_error(scheduler.record)
    return RunOutcome(exit_code, scheduler.record)


def _run_options(
    project: Project,
    pipeline: list[Step],
    selection: Selection,
    environment: dict[str, str],
    args: argparse.Namespace,
) -> "RunOptions":
    from pipeline.cli import reproduce
    from pipeline.execution.scheduler import RunOptions

    return RunOptions(
        forced_steps=selection.forced_steps,
        step_names=tuple(step.name for step in pipeline),
        max_workers=args.jobs or 0,
        cold_start=args.cold,
        environment=environment,
        single_file=args.single_file,
        reproduction_commands=reproduce.reproduction_commands(project, pipeline, selection.tasks),
    )


def _newest_run_id(workspace: Workspace) -> str:
    return next(iter(workspace.run_ids()), "")


def _recover_interrupted_run(project: Project) -> None:
    """Complete the runs whose runners were killed, and say so."""
    # without one that is damaged, which is no reason for not running; `show` names it
    for run in records.load_unfinished(project.workspace.runs_folder):
        from pipeline.execution import crash_recovery

        crash_recovery.recover(project, run)
        print(f"run {run.id} was killed; its finished steps are kept", file=sys.stderr)


def validate_defaults(tasks: list[Task]) -> None:
    """Raise ValueError if a notebook's own defaults contradict its annotations."""
    for notebook in {task.step.notebook for task in tasks}:
        problems = parameters.validate(read_parameters(notebook), {})[1]
        if problems:
            raise ValueError("\n".join(f"{notebook.name}: {problem}" for problem in problems))


def _report_up_to_date(
    project: Project,
    planned_tasks: list[PlannedTask],
    state_store: StateStore,
    args: argparse.Namespace,
) -> None:
    """Say that there is nothing to do, after writing deleted reports again."""
    workspace = project.workspace
    for planned in planned_tasks:
        plan.refresh_state(planned, state_store)
    run_ids = {
        planned.last_run
        for planned in planned_tasks
        if not (workspace.report_folder(planned.last_run) / planned.task.report).exists()
    }
    for run_id in sorted(run_ids, reverse=True):
        _write_deleted_reports(project, run_id)
    newest_run_id = max(planned.last_run for planned in planned_tasks)
    if args.json:
        newest_run = _load_or_empty(workspace.run_folder(newest_run_id))
        newest_run.steps = [step for step in newest_run.steps if not step.status.is_failure]
        _create_progress(project, args)(RunEvent.NOTHING_TO_DO, newest_run, None)
    elif not args.quiet:
        labels = ", ".join(planned.task.label for planned in planned_tasks)
        print(f"nothing to do: {labels} up to date since run {newest_run_id}")
        print(f"reports: {workspace.latest_report}")


def _write_deleted_reports(project: Project, run_id: str) -> None:
    from pipeline.report.live import ReportWriter

    run = _load_or_empty(project.workspace.run_folder(run_id))
    if run.steps:
        ReportWriter(project, run).restore_pages()


def _load_or_empty(run_folder: Path) -> RunRecord:
    """Return a run's record; if it is damaged or gone, say so and return one without steps."""
    try:
        return records.load(run_folder)
    except (LookupError, records.UnreadableRecordError) as error:
        print(error.args[0], file=sys.stderr)
        return RunRecord(run_folder.name, records.utc_now(), [])


def _create_progress(project: Project, args: argparse.Namespace) -> "PlainProgress":
    from pipeline.cli import progress
    from pipeline.cli.terminal_progress import TerminalProgress

    if args.json:
        return progress.JsonProgress(project.workspace)
    if args.quiet:
        return progress.QuietProgress(project.workspace)
    if sys.stdout.isatty():
        return TerminalProgress(project.workspace)
    return progress.PlainProgress(project.workspace)


def print_waiting(holder: str) -> None:
    """Say who holds the run lock."""
    print(f"another run is under way here ({holder}); waiting for its end", file=sys.stderr)
