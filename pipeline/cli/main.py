"""The entry point of a project's script: parse the command line and do what it says."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.cli import commands as runner_commands
from pipeline.cli import execute, parser
from pipeline.cli.parser import Option
from pipeline.definition import overrides, steps, tasks
from pipeline.definition.project import CommitComparison, Project
from pipeline.definition.steps import Step
from pipeline.definition.tasks import Task
from pipeline.runs.prune import PinnedRuns, no_pinned_runs
from pipeline.workspace import Workspace

ProjectCommand = Callable[[list[str]], int]


def main(
    pipeline: list[Step],
    home: Path,
    arguments: list[str] | None = None,
    *,
    project_folder: Path | None = None,
    commands: Mapping[str, ProjectCommand] | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, Option] | None = None,
    pinned_runs: PinnedRuns = no_pinned_runs,
    grouping_fact: str = "",
    compare_commits: CommitComparison | None = None,
) -> int:
    """Do what the command line says and return the exit code.

    0: done, or nothing to do. 1: a step failed. 2: the command line is wrong and nothing was
    started. 130, 143: stopped by Ctrl-C, by SIGTERM.

    home: the folder for var/ and reports/. arguments: default sys.argv[1:]. What a project adds:
    project_folder: of its code; default home. A moved project, with its home, stays up to date.
    commands: name -> function of the arguments after the name. environment: variables of the
    kernels, unless the user's environment sets them. options: "--name" -> the variable it sets in
    the kernels' environment. pinned_runs: returns run id -> reason for the runs that something
    outside depends on; they are marked, and never deleted. grouping_fact: the name of a fact that
    notebooks publish; only runs with the same text of it, up to a comma, are compared by default.
    compare_commits: adds a table to the page that compares two runs.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    project_commands = commands or {}
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a character the terminal cannot show is no failure
            stream.reconfigure(errors="backslashreplace")
    project = Project(
        workspace=Workspace.at(home, project_folder),
        script=Path(sys.argv[0]).name,
        environment=environment or {},
        pinned_runs=pinned_runs,
        grouping_fact=grouping_fact,
        compare_commits=compare_commits,
    )
    try:
        if arguments and arguments[0] in runner_commands.COMMANDS:
            command = runner_commands.COMMANDS[arguments[0]]
            print(command(project, arguments[1:]))
            return 0
        if arguments and arguments[0] in project_commands:
            return project_commands[arguments[0]](arguments[1:])
        resolved_steps = steps.resolve_dependencies(pipeline)
        all_commands: dict[str, Callable[..., Any]] = {
            **runner_commands.COMMANDS,
            **project_commands,
        }
        return _dispatch(arguments, project, resolved_steps, options or {}, all_commands)
    except (ValueError, LookupError) as error:
        print(error.args[0] if error.args else error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped by Ctrl-C before anything had started", file=sys.stderr)
        return 130


def _dispatch(
    arguments: list[str],
    project: Project,
    pipeline: list[Step],
    options: Mapping[str, Option],
    commands: Mapping[str, Callable[..., Any]],
) -> int:
    args = parser.build_parser(project.script, pipeline, options, commands).parse_args(arguments)
    if args.kernel:
        from pipeline.kernels import kernel_choice

        pipeline = kernel_choice.apply(pipeline, args.kernel)
    if args.list:
        print(parser.describe_steps(pipeline))
        return 0
    selected_tasks, forced_steps = _select_tasks(pipeline, args)
    if args.explain:
        print(execute.explain(project, selected_tasks, forced_steps))
        return 0
    if args.accept:
        return execute.accept_step(project, selected_tasks, args.accept)
    environment = _kernel_environment(args, project, options)
    return execute.run_tasks(project, pipeline, selected_tasks, forced_steps, environment, args)


def _select_tasks(
    pipeline: list[Step], args: argparse.Namespace
) -> tuple[list[Task], frozenset[str]]:
    """Return the tasks, and the names of the steps to run even if nothing has changed.

    Raises ValueError that lists all that is wrong with the command line at once.
    """
    problems: list[str] = []
    selected_steps, selected_tasks = pipeline, []
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
        selected_tasks = tasks.build_tasks(selected_steps, given_overrides, sweeps)
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))
    return selected_tasks, forced_steps


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


def _kernel_environment(
    args: argparse.Namespace, project: Project, options: Mapping[str, Option]
) -> dict[str, str]:
    """Return the project's variables, overridden by the user's, overridden by the options."""
    option_values = {option.variable: getattr(args, option.variable) for option in options.values()}
    set_values = {name: value for name, value in option_values.items() if value is not None}
    return {**project.environment, **os.environ, **set_values}
