"""The entry point of `python run_pipeline.py`: parse the command line and do what it says."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.cli import commands as runner_commands
from pipeline.cli import parser, progress, reproduce
from pipeline.cli.parser import Option
from pipeline.definition import overrides, parameters, steps
from pipeline.definition.steps import Step, Task
from pipeline.execution import run_lock
from pipeline.execution.crash_recovery import recover_interrupted_run
from pipeline.report.live import ReportWriter
from pipeline.runs import records
from pipeline.runs.prune import PinnedRuns, no_pinned_runs
from pipeline.staleness import shared_files
from pipeline.staleness.state_store import StateStore

ProjectCommand = Callable[[list[str]], int]


class ProjectConfig(NamedTuple):
    """What a project passes to `main`."""

    home: Path
    pipeline: list[Step]
    environment: Mapping[str, str]
    pinned_runs: PinnedRuns
    options: Mapping[str, Option]
    commands: Mapping[str, ProjectCommand]


def main(
    pipeline: list[Step],
    home: Path,
    arguments: list[str] | None = None,
    commands: Mapping[str, ProjectCommand] | None = None,
    environment: Mapping[str, str] | None = None,
    pinned_runs: PinnedRuns = no_pinned_runs,
    options: Mapping[str, Option] | None = None,
) -> int:
    """Do what the command line says and return the exit code.

    0: done, or nothing to do. 1: a step failed. 2: the command line is wrong and nothing was
    started. 130, 143: stopped by Ctrl-C, by SIGTERM.

    home: the folder for var/ and reports/. arguments: default sys.argv[1:]. commands: the
    project's own, name -> function of the arguments after the name. environment: variables of the
    kernels, unless the user's environment sets them. pinned_runs: returns run id -> reason for the
    runs that something outside depends on; they are marked, and never deleted. options: the
    project's own, "--name" -> the variable it sets in the kernels' environment.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    project_commands = commands or {}
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a character the terminal cannot show is no failure
            stream.reconfigure(errors="backslashreplace")
    try:
        if arguments and arguments[0] in runner_commands.COMMANDS:
            command = runner_commands.COMMANDS[arguments[0]]
            print(command(home.resolve(), arguments[1:], pinned_runs))
            return 0
        if arguments and arguments[0] in project_commands:
            return project_commands[arguments[0]](arguments[1:])
        config = ProjectConfig(
            home=home.resolve(),
            pipeline=steps.resolve_dependencies(pipeline),
            environment=environment or {},
            pinned_runs=pinned_runs,
            options=options or {},
            commands=project_commands,
        )
        return _dispatch(arguments, config)
    except (ValueError, LookupError) as error:
        print(error.args[0] if error.args else error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped by Ctrl-C before anything had started", file=sys.stderr)
        return 130


def _dispatch(arguments: list[str], config: ProjectConfig) -> int:
    home, pipeline = config.home, config.pipeline
    commands: dict[str, Callable[..., Any]] = {**runner_commands.COMMANDS, **config.commands}
    args = parser.build_parser(pipeline, config.options, commands).parse_args(arguments)
    if args.list:
        print(parser.describe_steps(pipeline))
        return 0
    tasks, forced_steps = _plan_tasks(pipeline, args)
    if args.explain:
        state_store = StateStore(home)
        forced_reasons = _forced_reasons(tasks, state_store, forced_steps, pipeline)
        print(_explanation(tasks, state_store, forced_reasons))
        return 0
    if args.accept:
        return _accept_step(tasks, home, args.accept)
    return _run_tasks(tasks, args, forced_steps, config)


def _plan_tasks(
    pipeline: list[Step], args: argparse.Namespace
) -> tuple[list[Task], frozenset[str]]:
    """Return the tasks, and the names of the steps to run even if nothing has changed.

    Raises ValueError that lists all that is wrong with the command line at once.
    """
    problems: list[str] = []
    selected_steps, tasks = pipeline, []
    forced_steps: frozenset[str] = frozenset()
    if args.jobs is not None and args.jobs < 1:
        problems.append(f"--jobs is {args.jobs}, expected at least 1")
    with _collect_errors(problems):
        selected_steps = steps.select_steps(pipeline, args.first, args.last, args.only)
    names = [step.name for step in selected_steps]
    with _collect_errors(problems):
        forced_steps = _forced_steps(args, names)
    with _collect_errors(problems):
        steps.require_step(args.accept or names[0], names)
    given_overrides = overrides.load_overrides(pipeline, selected_steps, args.params, problems)
    given_overrides += overrides.parse_overrides(args.parameters, "-p", problems)
    sweeps = overrides.parse_overrides(args.sweep, "--sweep", problems)
    with _collect_errors(problems):
        tasks = steps.build_tasks(selected_steps, given_overrides, sweeps)
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))
    return tasks, forced_steps


@contextlib.contextmanager
def _collect_errors(problems: list[str]) -> Iterator[None]:
    """Append the message of a ValueError to `problems`, so that later checks run too."""
    try:
        yield
    except ValueError as error:
        problems.append(str(error))


def _forced_steps(args: argparse.Namespace, step_names: list[str]) -> frozenset[str]:
    if args.force:
        return frozenset({steps.require_step(args.force, step_names)})
    return frozenset(step_names if args.force == "" else ())


def _forced_reasons(
    tasks: list[Task], state_store: StateStore, forced_steps: frozenset[str], pipeline: list[Step]
) -> dict[str, str]:
    """Return label -> reason of the tasks that run even if nothing has changed for them."""
    reasons = {task.label: "it was forced" for task in tasks if task.step.name in forced_steps}
    running_labels = {
        task.label for task in tasks if task.label in reasons or state_store.stale_reasons(task)
    }
    if not running_labels:
        return reasons
    step_names = [step.name for step in pipeline]
    states = state_store.load_all()
    return reasons | shared_files.required_reruns(tasks, states, running_labels, step_names)


def _explanation(
    tasks: list[Task], state_store: StateStore, forced_reasons: Mapping[str, str]
) -> str:
    """Return a line per task: whether it would run, and why."""
    lines = []
    running_labels: set[str] = set()
    for task in tasks:
        reasons = [forced_reasons[task.label]] if task.label in forced_reasons else []
        reasons += state_store.stale_reasons(task)
        running_needs = [label for label in task.needs if label in running_labels]
        if reasons:
            verdict = f"run   {'; '.join(reasons)}"
        elif running_needs:
            verdict = f"run   if {' or '.join(running_needs)} writes something new"
        else:
            verdict = f"skip  nothing has changed since run {state_store.load(task.label)['run']}"
        if reasons or running_needs:
            running_labels.add(task.label)
        lines.append(f"{task.label:10} {verdict}")
    return "\n".join(lines)


def _accept_step(tasks: list[Task], home: Path, step_name: str) -> int:
    with run_lock.acquire(home / "var" / "pipeline.lock", "--accept", _print_waiting):
        for task in tasks:
            if task.step.name == step_name:
                changes = StateStore(home).accept(task)
                print(f"{task.label} is accepted as up to date: {changes}")
    return 0


def _run_tasks(
    tasks: list[Task],
    args: argparse.Namespace,
    forced_steps: frozenset[str],
    config: ProjectConfig,
) -> int:
    """Run the tasks that must run, one run at a time in this home; return the exit code."""
    home, run_id = config.home, records.new_run_id()
    with run_lock.acquire(home / "var" / "pipeline.lock", run_id, _print_waiting) as descriptor:
        interrupted_run = recover_interrupted_run(home)
        if interrupted_run:
            print(
                f"run {interrupted_run.id} was killed; its finished steps are kept",
                file=sys.stderr,
            )
        state_store = StateStore(home)
        # not before the lock is held: another run may just have finished some of the steps
        forced_reasons = _forced_reasons(tasks, state_store, forced_steps, config.pipeline)
        if not forced_reasons and not any(state_store.stale_reasons(task) for task in tasks):
            return _report_up_to_date(tasks, state_store, home, args)
        from pipeline.execution.scheduler import RunOptions, Scheduler

        check_defaults(tasks)
        options = RunOptions(
            forced_reasons=forced_reasons,
            max_workers=args.jobs or 0,
            cold_start=args.cold,
            environment=_kernel_environment(args, config),
            pinned_runs=config.pinned_runs,
            single_file=args.single_file,
            reproduction_commands=reproduce.reproduction_commands(
                config.pipeline, tasks, state_store
            ),
        )
        scheduler = Scheduler(run_id, tasks, home, options, _create_progress(args, home))
        try:
            scheduler.create_folders()
        except OSError as error:
            print(f"the run could not start: {error}", file=sys.stderr)
            return 2
        return scheduler.run(descriptor)


def _kernel_environment(args: argparse.Namespace, config: ProjectConfig) -> dict[str, str]:
    """Return the project's variables, overridden by the user's, overridden by the options."""
    option_values = {
        option.variable: getattr(args, option.variable) for option in config.options.values()
    }
    set_values = {name: value for name, value in option_values.items() if value is not None}
    return {**config.environment, **os.environ, **set_values}


def check_defaults(tasks: list[Task]) -> None:
    """Raise ValueError if a notebook's own defaults contradict its annotations."""
    for notebook in {task.step.notebook for task in tasks}:
        problems = parameters.validate(parameters.read(notebook), {})[1]
        if problems:
            raise ValueError("\n".join(f"{notebook.name}: {problem}" for problem in problems))


def _report_up_to_date(
    tasks: list[Task], state_store: StateStore, home: Path, args: argparse.Namespace
) -> int:
    """Say that there is nothing to do, after writing deleted reports again; return exit code 0."""
    run_ids = {task.label: state_store.load(task.label)["run"] for task in tasks}
    for task in tasks:
        if not (home / "reports" / run_ids[task.label] / task.report).exists():
            _write_deleted_report(home, run_ids[task.label], task.label)
    newest_run_id = max(run_ids.values())
    if args.json:
        newest_run = records.load(home / "var" / "runs" / newest_run_id)
        newest_run.steps = [
            step for step in newest_run.steps if step.status not in records.FAILED_STATUSES
        ]
        _create_progress(args, home)("nothing to do", newest_run, None)
    elif not args.quiet:
        labels = ", ".join(task.label for task in tasks)
        print(f"nothing to do: {labels} up to date since run {newest_run_id}")
        print(f"reports: {home / 'reports' / 'latest'}")
    return 0


def _write_deleted_report(home: Path, run_id: str, label: str) -> None:
    run = records.load(home / "var" / "runs" / run_id)
    report_writer = ReportWriter(home, run)
    report_writer.pending_steps = [step for step in run.steps if step.name == label]
    report_writer.write_final_pages()


def _create_progress(args: argparse.Namespace, home: Path) -> progress.PlainProgress:
    if args.json:
        return progress.JsonProgress(home)
    if args.quiet:
        return progress.QuietProgress(home)
    return (progress.TerminalProgress if sys.stdout.isatty() else progress.PlainProgress)(home)


def _print_waiting(holder: str) -> None:
    print(f"another run is under way here ({holder}); waiting for its end", file=sys.stderr)
