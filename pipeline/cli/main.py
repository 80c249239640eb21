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
from pipeline.execution.crash_recovery import settle
from pipeline.report.live import Keeps, nothing
from pipeline.runs import records
from pipeline.staleness import shared_files
from pipeline.staleness.state_store import States

Command = Callable[[list[str]], int]


class Around(NamedTuple):
    """What a project gives to its runs."""

    home: Path
    pipeline: list[Step]
    environment: Mapping[str, str]
    keeps: Keeps
    options: Mapping[str, Option]
    commands: Mapping[str, Command]


def main(
    pipeline: list[Step],
    home: Path,
    arguments: list[str] | None = None,
    commands: Mapping[str, Command] | None = None,
    environment: Mapping[str, str] | None = None,
    keeps: Keeps = nothing,
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
        if arguments and arguments[0] in own.KNOWN:
            print(own.KNOWN[arguments[0]](home.resolve(), arguments[1:], keeps))
            return 0
        if arguments and arguments[0] in (commands or {}):
            return commands[arguments[0]](arguments[1:])
        around = Around(
            home.resolve(), steps.arrange(pipeline), environment or {}, keeps, options or {},
            commands or {},
        )  # fmt: skip
        return _main(arguments, around)
    except (ValueError, LookupError) as wrong:
        print(wrong.args[0] if wrong.args else wrong, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped by Ctrl-C; nothing had started", file=sys.stderr)
        return 130


def _main(arguments: list[str], around: Around) -> int:
    home, pipeline = around.home, around.pipeline
    known = {**own.KNOWN, **around.commands}
    options = parser.parser(pipeline, around.options, known).parse_args(arguments)
    if options.list:
        print(parser.listing(pipeline))
        return 0
    tasks, forced = _plan(pipeline, options)
    if options.explain:
        print(_explanation(tasks, States(home), _forced_too(tasks, States(home), forced, pipeline)))
        return 0
    if options.accept:
        return _accept(tasks, home, options.accept)
    return _run(tasks, options, lambda it: _forced_too(tasks, it, forced, pipeline), around)


def _plan(pipeline: list[Step], options: argparse.Namespace) -> tuple[list[Task], frozenset[str]]:
    """The tasks, and the names of the steps that are forced.

    Raises ValueError that lists all that is wrong with the command line, whatever it is.
    """
    problems: list[str] = []
    wanted, forced, tasks = pipeline, frozenset(), []
    if options.jobs is not None and options.jobs < 1:
        problems.append(f"--jobs is {options.jobs}, expected at least 1")
    with _noted(problems):
        wanted = steps.select(pipeline, options.first, options.last, options.only)
    names = [one.name for one in wanted]
    with _noted(problems):
        forced = _forced(options, names)
    with _noted(problems):
        steps.known(options.accept or names[0], names)
    given = overrides.given(pipeline, wanted, options.params, problems)
    given += overrides.pairs(options.parameters, "-p", problems)
    sweeps = overrides.pairs(options.sweep, "--sweep", problems)
    with _noted(problems):
        tasks = steps.tasks(wanted, given, sweeps)
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))
    return tasks, forced


@contextlib.contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    """A problem is noted, so that others are found too."""
    try:
        yield
    except ValueError as wrong:
        problems.append(str(wrong))


def _forced(options: argparse.Namespace, names: list[str]) -> frozenset[str]:
    if options.force:
        return frozenset({steps.known(options.force, names)})
    return frozenset(names if options.force == "" else ())


def _forced_too(
    tasks: list[Task], states: States, forced: frozenset[str], pipeline: list[Step]
) -> dict[str, str]:
    """Label -> why the task runs even if nothing has changed for it."""
    found = {one.label: "it was forced" for one in tasks if one.step.name in forced}
    running = {one.label for one in tasks if one.label in found or states.reasons(one)}
    names = [one.name for one in pipeline]
    return found | (shared_files.again(tasks, states.all(), running, names) if running else {})


def _explanation(tasks: list[Task], states: States, forced: Mapping[str, str]) -> str:
    lines, running = [], set()
    for task in tasks:
        why = [it for one, it in forced.items() if one == task.label] + states.reasons(task)
        first = [one for one in task.needs if one in running]
        if why:
            said = f"run   {'; '.join(why)}"
        elif first:
            said = f"run   if {' or '.join(first)} writes something new"
        else:
            said = f"skip  nothing has changed since run {states.load(task.label)['run']}"
        if why or first:
            running.add(task.label)
        lines.append(f"{task.label:10} {said}")
    return "\n".join(lines)


def _accept(tasks: list[Task], home: Path, name: str) -> int:
    with run_lock.held(home / "var" / "pipeline.lock", "--accept", _waiting):
        for task in tasks:
            if task.step.name == name:
                print(
                    f"{task.label} is up to date from now on, though: {States(home).accept(task)}"
                )
    return 0


def _run(
    tasks: list[Task],
    options: argparse.Namespace,
    forced_by: Callable[[States], dict[str, str]],
    around: Around,
) -> int:
    home, run_id = around.home, records.new_id()
    with run_lock.held(home / "var" / "pipeline.lock", run_id, _waiting) as descriptor:
        left = settle(home)
        if left:
            print(f"run {left.id} was killed; its finished steps are kept", file=sys.stderr)
        states = States(home)
        forced = forced_by(states)
        if not forced and not any(states.reasons(one) for one in tasks):
            return _nothing(tasks, states, home, options)
        from pipeline.execution.scheduler import Options, Run

        check_defaults(tasks)
        how = Options(
            forced, options.jobs or 0, options.cold, _environment(options, around), around.keeps,
            options.single_file, reproduce.commands(around.pipeline, tasks, states),
        )  # fmt: skip
        run = Run(run_id, tasks, home, how, _console(options, home))
        try:
            run.prepare()
        except OSError as failed:
            print(f"the run could not start: {failed}", file=sys.stderr)
            return 2
        return run.go(descriptor)


def _environment(options: argparse.Namespace, around: Around) -> dict[str, str]:
    """The kernels': the project's, which the user's own overrules, which an option overrules."""
    asked = {one.variable: getattr(options, one.variable) for one in around.options.values()}
    told = {name: value for name, value in asked.items() if value is not None}
    return {**around.environment, **os.environ, **told}


def check_defaults(tasks: list[Task]) -> None:
    """ValueError for a notebook whose own defaults are not what its annotations say."""
    for notebook in {one.step.notebook for one in tasks}:
        problems = parameters.check(parameters.read(notebook), {})[1]
        if problems:
            raise ValueError("\n".join(f"{notebook.name}: {one}" for one in problems))


def _nothing(tasks: list[Task], states: States, home: Path, options: argparse.Namespace) -> int:
    """Says that all is up to date; a report that was deleted is written again."""
    runs = {one.label: states.load(one.label)["run"] for one in tasks}
    missing = [
        one for one in tasks if not (home / "reports" / runs[one.label] / one.report).exists()
    ]
    for task in missing:
        from pipeline.report.live import Pages

        run = records.load(home / "var" / "runs" / runs[task.label])
        pages = Pages(home, run)
        pages.waiting = [one for one in run.steps if one.name == task.label]
        pages.finish()
    if options.json:
        newest = records.load(home / "var" / "runs" / max(runs.values()))
        newest.steps = [one for one in newest.steps if one.status not in records.ENDED_BADLY]
        _console(options, home)("nothing to do", newest, None)
    elif not options.quiet:
        names = ", ".join(one.label for one in tasks)
        print(f"nothing to do: {names} up to date since run {max(runs.values())}")
        print(f"reports: {home / 'reports' / 'latest'}")
    return 0


def _console(options: argparse.Namespace, home: Path) -> Any:
    from pipeline.cli import progress

    if options.json:
        return progress.Machine(home)
    if options.quiet:
        return progress.Quiet(home)
    return (progress.Terminal if sys.stdout.isatty() else progress.Console)(home)


def _waiting(holder: str) -> None:
    print(f"another run is under way here ({holder}); waiting for its end", file=sys.stderr)
