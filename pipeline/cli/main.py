"""What a user types: `python run_pipeline.py`, and a command after it."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.cli import commands as own
from pipeline.cli import parser, reproduce
from pipeline.cli.parser import Option
from pipeline.definition import overrides, parameters, steps
from pipeline.definition.steps import Step, Task
from pipeline.execution import run_lock
from pipeline.execution.crash_recovery import recover_interrupted_run
from pipeline.runs import records
from pipeline.runs.prune import PinnedRuns, no_pinned_runs
from pipeline.staleness import shared_files
from pipeline.staleness.state_store import StateStore

ProjectCommand = Callable[[list[str]], int]


class ProjectConfig(NamedTuple):
    """What a project gives to its runs."""

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
    """Does what the command line says; gives the exit code.

    0: done, or nothing to do. 1: a step failed. 2: the command line is wrong, and nothing was
    started. 130, 143: stopped by Ctrl-C, by SIGTERM.

    home: gets var/ and reports/. commands: a project's own, name -> what gets their arguments.
    environment: what the kernels' environment has unless the user's own says otherwise. keeps:
    gives the runs that something outside rests on, and what; they are marked, and never deleted.
    options: a project's own, "--name" -> what it sets in the kernels' environment.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what a terminal cannot show is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        if arguments and arguments[0] in own.COMMANDS:
            print(own.COMMANDS[arguments[0]](home.resolve(), arguments[1:], pinned_runs))
            return 0
        if arguments and arguments[0] in (commands or {}):
            return commands[arguments[0]](arguments[1:])
        around = ProjectConfig(
            home.resolve(), steps.resolve_dependencies(pipeline), environment or {}, pinned_runs, options or {},
            commands or {},
        )  # fmt: skip
        return _dispatch(arguments, around)
    except (ValueError, LookupError) as wrong:
        print(wrong.args[0] if wrong.args else wrong, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped by Ctrl-C; nothing had started", file=sys.stderr)
        return 130


def _dispatch(arguments: list[str], config: ProjectConfig) -> int:
    home, pipeline = config.home, config.pipeline
    known = {**own.COMMANDS, **config.commands}
    options = parser.build_parser(pipeline, config.options, known).parse_args(arguments)
    if options.list:
        print(parser.describe_steps(pipeline))
        return 0
    tasks, forced = _plan_tasks(pipeline, options)
    if options.explain:
        print(
            _explanation(
                tasks, StateStore(home), _forced_reasons(tasks, StateStore(home), forced, pipeline)
            )
        )
        return 0
    if options.accept:
        return _accept_step(tasks, home, options.accept)
    return _run_tasks(
        tasks, options, lambda it: _forced_reasons(tasks, it, forced, pipeline), config
    )


def _plan_tasks(
    pipeline: list[Step], args: argparse.Namespace
) -> tuple[list[Task], frozenset[str]]:
    """The tasks, and the names of the steps that are forced.

    Raises ValueError that lists all that is wrong with the command line, whatever it is.
    """
    problems: list[str] = []
    wanted, forced, tasks = pipeline, frozenset(), []
    if args.jobs is not None and args.jobs < 1:
        problems.append(f"--jobs is {args.jobs}, expected at least 1")
    with _collect_errors(problems):
        wanted = steps.select_steps(pipeline, args.first, args.last, args.only)
    names = [one.name for one in wanted]
    with _collect_errors(problems):
        forced = _forced_steps(args, names)
    with _collect_errors(problems):
        steps.require_step(args.accept or names[0], names)
    given = overrides.load_overrides(pipeline, wanted, args.params, problems)
    given += overrides.parse_overrides(args.parameters, "-p", problems)
    sweeps = overrides.parse_overrides(args.sweep, "--sweep", problems)
    with _collect_errors(problems):
        tasks = steps.build_tasks(wanted, given, sweeps)
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))
    return tasks, forced


@contextlib.contextmanager
def _collect_errors(problems: list[str]) -> Iterator[None]:
    """A problem is noted, so that others are found too."""
    try:
        yield
    except ValueError as wrong:
        problems.append(str(wrong))


def _forced_steps(args: argparse.Namespace, step_names: list[str]) -> frozenset[str]:
    if args.force:
        return frozenset({steps.require_step(args.force, step_names)})
    return frozenset(step_names if args.force == "" else ())


def _forced_reasons(
    tasks: list[Task], state_store: StateStore, forced_steps: frozenset[str], pipeline: list[Step]
) -> dict[str, str]:
    """Label -> why the task runs even if nothing has changed for it."""
    found = {one.label: "it was forced" for one in tasks if one.step.name in forced_steps}
    running = {one.label for one in tasks if one.label in found or state_store.stale_reasons(one)}
    names = [one.name for one in pipeline]
    return found | (
        shared_files.required_reruns(tasks, state_store.load_all(), running, names)
        if running
        else {}
    )


def _explanation(
    tasks: list[Task], state_store: StateStore, forced_reasons: Mapping[str, str]
) -> str:
    lines, running = [], set()
    for task in tasks:
        why = [
            it for one, it in forced_reasons.items() if one == task.label
        ] + state_store.stale_reasons(task)
        first = [one for one in task.needs if one in running]
        if why:
            said = f"run   {'; '.join(why)}"
        elif first:
            said = f"run   if {' or '.join(first)} writes something new"
        else:
            said = f"skip  nothing has changed since run {state_store.load(task.label)['run']}"
        if why or first:
            running.add(task.label)
        lines.append(f"{task.label:10} {said}")
    return "\n".join(lines)


def _accept_step(tasks: list[Task], home: Path, step_name: str) -> int:
    with run_lock.acquire(home / "var" / "pipeline.lock", "--accept", _print_waiting):
        for task in tasks:
            if task.step.name == step_name:
                print(
                    f"{task.label} is up to date from now on, though: {StateStore(home).accept(task)}"
                )
    return 0


def _run_tasks(
    tasks: list[Task],
    args: argparse.Namespace,
    get_forced_reasons: Callable[[StateStore], dict[str, str]],
    config: ProjectConfig,
) -> int:
    home, run_id = config.home, records.new_run_id()
    with run_lock.acquire(home / "var" / "pipeline.lock", run_id, _print_waiting) as descriptor:
        left = recover_interrupted_run(home)
        if left:
            print(f"run {left.id} was killed; its finished steps are kept", file=sys.stderr)
        states = StateStore(home)
        forced = get_forced_reasons(states)
        if not forced and not any(states.stale_reasons(one) for one in tasks):
            return _report_up_to_date(tasks, states, home, args)
        from pipeline.execution.scheduler import RunOptions, Scheduler

        check_defaults(tasks)
        how = RunOptions(
            forced, args.jobs or 0, args.cold, _kernel_environment(args, config), config.pinned_runs,
            args.single_file, reproduce.reproduction_commands(config.pipeline, tasks, states),
        )  # fmt: skip
        run = Scheduler(run_id, tasks, home, how, _create_progress(args, home))
        try:
            run.create_folders()
        except OSError as failed:
            print(f"the run could not start: {failed}", file=sys.stderr)
            return 2
        return run.run(descriptor)


def _kernel_environment(args: argparse.Namespace, config: ProjectConfig) -> dict[str, str]:
    """The kernels': the project's, which the user's own overrules, which an option overrules."""
    asked = {one.variable: getattr(args, one.variable) for one in config.options.values()}
    told = {name: value for name, value in asked.items() if value is not None}
    return {**config.environment, **os.environ, **told}


def check_defaults(tasks: list[Task]) -> None:
    """ValueError for a notebook whose own defaults are not what its annotations say."""
    for notebook in {one.step.notebook for one in tasks}:
        problems = parameters.validate(parameters.read(notebook), {})[1]
        if problems:
            raise ValueError("\n".join(f"{notebook.name}: {one}" for one in problems))


def _report_up_to_date(
    tasks: list[Task], state_store: StateStore, home: Path, args: argparse.Namespace
) -> int:
    """Says that all is up to date; a report that was deleted is written again."""
    runs = {one.label: state_store.load(one.label)["run"] for one in tasks}
    missing = [
        one for one in tasks if not (home / "reports" / runs[one.label] / one.report).exists()
    ]
    for task in missing:
        from pipeline.report.live import ReportWriter

        run = records.load(home / "var" / "runs" / runs[task.label])
        pages = ReportWriter(home, run)
        pages.pending_steps = [one for one in run.steps if one.name == task.label]
        pages.write_final_pages()
    if args.json:
        newest = records.load(home / "var" / "runs" / max(runs.values()))
        newest.steps = [one for one in newest.steps if one.status not in records.FAILED_STATUSES]
        _create_progress(args, home)("nothing to do", newest, None)
    elif not args.quiet:
        names = ", ".join(one.label for one in tasks)
        print(f"nothing to do: {names} up to date since run {max(runs.values())}")
        print(f"reports: {home / 'reports' / 'latest'}")
    return 0


def _create_progress(args: argparse.Namespace, home: Path) -> Any:
    from pipeline.cli import progress

    if args.json:
        return progress.JsonProgress(home)
    if args.quiet:
        return progress.QuietProgress(home)
    return (progress.TerminalProgress if sys.stdout.isatty() else progress.PlainProgress)(home)


def _print_waiting(holder: str) -> None:
    print(f"another run is under way here ({holder}); waiting for its end", file=sys.stderr)
