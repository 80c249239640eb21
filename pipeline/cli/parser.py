"""The grammar of the command line: a command, `run` by default, and its own arguments."""

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from pipeline.cli.tables import align_columns
from pipeline.definition.parameters import read_parameters
from pipeline.definition.steps import Step, suggest_name

GLOBAL_FLAGS = ("--quiet", "--json")  # may stand before the command, too
HELP_FLAGS = {"-h", "--help"}

# Adds a command to the script and returns its parser. Called with the name and the function, which
# takes the arguments by name, returns the exit code, and has its help as its docstring's first line
AddCommand = Callable[[str, Callable[..., int]], argparse.ArgumentParser]


class Option(NamedTuple):
    """A project's own option, whose value is passed to the kernels in an environment variable.

    It says where and how the kernels work, not what comes out: another value is no reason to run a
    step again. What changes a result is a parameter.
    """

    variable: str
    metavar: str
    help: str


class CommandParser(argparse.ArgumentParser):
    """A parser that raises ValueError, one line, for wrong arguments."""

    def error(self, message: str) -> NoReturn:
        """Raise ValueError."""
        raise ValueError(f"{self.prog}: {message}")


class CommandLine:
    """The commands of a script, `run` among them, and the parser of each."""

    def __init__(self, script: str, steps: list[Step]) -> None:
        """script: its name, as users type it."""
        self.script, self.steps = script, steps
        self.help_parser = CommandParser(
            script,
            description="Run the notebooks of the steps, as far as something they depend on has "
            "changed,\nand keep each as a report. Without a command: run.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._subparsers = self.help_parser.add_subparsers(title="commands", metavar="COMMAND")
        self._parsers: dict[str, CommandParser] = {}
        self._functions: dict[str, Callable[..., int]] = {}

    def add_command(
        self, name: str, function: Callable[..., int], summary: str = ""
    ) -> argparse.ArgumentParser:
        """Add a command; an `AddCommand`. summary: its help, in place of the function's.

        Raises ValueError if there is a command of that name.
        """
        if name in self._parsers:
            raise ValueError(f"there are two commands {name!r}: rename the step, or the command")
        summary = summary or (function.__doc__ or "").partition("\n")[0]
        self._functions[name] = function
        self._parsers[name] = self._subparsers.add_parser(
            name,
            help=summary,
            description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        return self._parsers[name]

    def run(self, arguments: list[str]) -> int:
        """Run the command of the arguments, or print the help; return the exit code.

        Raises ValueError, with the nearest known name, if there is no such command.
        """
        flags = list(takewhile(GLOBAL_FLAGS.__contains__, arguments))
        name, *command_arguments = arguments[len(flags) :] or [""]
        if not name or name.startswith("-"):
            name, command_arguments, flags = "run", arguments, []
        parser = self._parsers.get(name)
        if not parser:  # an on-demand step is a command, too
            if name in (step.name for step in self.steps):
                raise ValueError(f"{name} is a step: python {self.script} --only {name}")
            hint = suggest_name(name, list(self._parsers))
            raise ValueError(f"there is no command {name!r}{hint}")
        if not HELP_FLAGS.isdisjoint(_before_separator(command_arguments)):
            parser = self.help_parser if command_arguments == arguments else parser
            if parser in (self.help_parser, self._parsers["run"]):
                parser.epilog = describe_steps(self.steps)
            elif on_demand_steps := [step for step in self.steps if step.name == name]:
                parser.epilog = describe_steps(on_demand_steps)
            sys.stdout.write(parser.format_help())  # print_help ignores that stdout is full
            return 0
        return self._functions[name](**self._parse(parser, flags + command_arguments))

    def _parse(self, parser: CommandParser, arguments: list[str]) -> dict[str, Any]:
        """Return name -> value of each argument of a command.

        Not by the parser of all: its options before a command would be lost, and none may stand
        between two positional arguments.
        """
        options = [*re.findall(r"--[a-z][\w-]*", parser.format_usage()), *sorted(HELP_FLAGS)]
        for argument in _before_separator(arguments):
            option = argument.partition("=")[0]
            if option in options or not re.fullmatch(r"--\S+", option):
                continue
            if option[2:] in self._parsers:  # such as --explain, of earlier versions
                parser.error(f"{option} is a command: python {self.script} {option[2:]}")
            parser.error(f"there is no option {option}{suggest_name(option, options)}")
        # Python 3.11 loses the separator where options and arguments are mixed
        mixed = parser.parse_known_intermixed_args
        values, extras = (parser.parse_known_args if "--" in arguments else mixed)(arguments)
        if extras:
            is_command = extras[0] in self._parsers
            hint = f": a command comes first: {self.script} {extras[0]} ..." if is_command else ""
            parser.error(f"unexpected argument {extras[0]!r}{hint}")
        return vars(values)


def _before_separator(arguments: list[str]) -> list[str]:
    return list(takewhile(lambda argument: argument != "--", arguments))


def add_parameter_options(parser: argparse.ArgumentParser, sweep: bool = True) -> None:
    """Add the options that set parameters and kernels. sweep: allow several values of one, too."""
    add = partial(parser.add_argument, action="append", default=[])
    add(
        "-p",
        dest="parameters",
        metavar="[STEP.]NAME=VALUE",
        help="set a parameter of one step, or of all that declare it; env:NAME is a secret, "
        "the value of an environment variable, which is written nowhere; \\env:NAME is that text",
    )
    add(
        "--params",
        metavar="FILE",
        type=Path,
        help="read parameters from a YAML file: NAME: VALUE, or STEP: {NAME: VALUE}",
    )
    if sweep:
        add(
            "--sweep",
            metavar="STEP.NAME=V1,V2,...",
            help="run the step once for each value, each with its own report",
        )
    add(
        "--kernel",
        dest="kernels",
        metavar="[STEP=]NAME",
        help="run with this installed Jupyter kernel instead of the notebook's own",
    )


def add_selection_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that set parameters and kernels, and those that select steps."""
    add_parameter_options(parser)
    add = parser.add_argument
    add("--from", dest="first", metavar="STEP", help="start with this step")
    add("--until", dest="last", metavar="STEP", help="stop after this step")
    add("--only", metavar="STEP", help="run this step alone")
    add("--force", nargs="?", const="", metavar="STEP", help="run even if nothing has changed")


def add_run_options(parser: argparse.ArgumentParser, options: Mapping[str, Option]) -> None:
    """Add all options of a run. options: the project's own, "--name" -> option."""
    add_selection_options(parser)
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="run N kernels in parallel (default: one per core)"
    )
    _add_execution_options(parser, options)


def add_on_demand_options(
    parser: argparse.ArgumentParser, step: Step, options: Mapping[str, Option]
) -> None:
    """Add the options of an on-demand step's command. options: the project's own."""
    add_parameter_options(parser, sweep=False)
    add = partial(parser.add_argument, metavar="VERDICT", choices=step.verdicts)
    if step.verdicts:
        choices = ", ".join(step.verdicts)
        add("--fail-on", help=f"exit with code 3 if the verdict is this or worse: {choices}")
    if step.follow_up:
        add(step.follow_up.option, dest="follow_up_on", help=step.follow_up.help)
    _add_execution_options(parser, options)


def _add_execution_options(parser: argparse.ArgumentParser, options: Mapping[str, Option]) -> None:
    add = parser.add_argument
    add("--cold", action="store_true", help="start each kernel anew, not as a fork of a warm one")
    add("--single-file", action="store_true", help="write each report as one self-contained file")
    add("--quiet", action="store_true", help="print nothing unless something goes wrong")
    add("--json", action="store_true", help="print one JSON object per line for each event")
    add_own = partial(add, default=argparse.SUPPRESS)  # no value without the option
    for name, option in options.items():
        add_own(name, dest=option.variable, metavar=option.metavar, help=option.help)


def describe_steps(pipeline: list[Step]) -> str:
    """List each step with its notebook and its parameters, or why they cannot be read."""
    lines = []
    for step in pipeline:
        kind = ", on demand: a command of its own" if step.on_demand else ""
        lines.append(f"{step.name}  ({step.notebook.name}{kind})")
        try:
            parameters = read_parameters(step.notebook)
        except Exception as error:  # the help is there whatever is wrong with a notebook
            lines.append(f"  its parameters cannot be read: {error}")
            continue
        rows = [
            (f"  {parameter.name}", parameter.annotation, repr(parameter.default), parameter.help)
            for parameter in parameters
        ]
        lines += align_columns(rows)
    return "\n".join(lines)
