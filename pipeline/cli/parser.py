"""Build the parser of the command line and describe the steps and their parameters."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.definition.parameters import read_parameters
from pipeline.definition.steps import Step


class Option(NamedTuple):
    """A project's own option, whose value is passed to the kernels in an environment variable.

    It says where and how the kernels work, not what comes out: another value is no reason to run a
    step again. What changes a result is a parameter.
    """

    variable: str
    metavar: str
    help: str


def build_parser(
    script: str,
    pipeline: list[Step],
    options: Mapping[str, Option],
    commands: Mapping[str, Callable[..., Any]],
) -> argparse.ArgumentParser:
    """Return the parser of the command line.

    script: the name of the script that users run. options: the project's own, "--name" -> option.
    commands: the runner's and the project's, whose docstrings are shown in the help.
    """
    names = ", ".join(step.name for step in pipeline)
    parser = argparse.ArgumentParser(
        prog=script,
        description=f"Run the notebooks of the steps {names}, as far as something they depend on "
        "has changed, and keep each as a report.",
        epilog=_command_help(script, commands) + "\n\n" + describe_steps(pipeline),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_parameter_options(parser)
    _add_run_options(parser)
    for name, option in options.items():
        parser.add_argument(name, dest=option.variable, metavar=option.metavar, help=option.help)
    return parser


def _add_parameter_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-p",
        dest="parameters",
        action="append",
        default=[],
        metavar="[STEP.]NAME=VALUE",
        help="set a parameter of one step, or of all that declare it; env:NAME is a secret",
    )
    parser.add_argument(
        "--params",
        action="append",
        default=[],
        metavar="FILE",
        type=Path,
        help="read parameters from a YAML file: NAME: VALUE, or STEP: {NAME: VALUE}",
    )
    parser.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="STEP.NAME=V1,V2,...",
        help="run the step once for each value, each with its own report",
    )


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--list", action="store_true", help="list the steps and their parameters, and exit")
    add("--explain", action="store_true", help="say what would run and why, and exit")
    add("--from", dest="first", metavar="STEP", help="start with this step")
    add("--until", dest="last", metavar="STEP", help="stop after this step")
    add("--only", metavar="STEP", help="run this step alone")
    add("--force", nargs="?", const="", metavar="STEP", help="run even if nothing has changed")
    add("--accept", metavar="STEP", help="declare an edited step up to date, without running it")
    add(
        "--kernel",
        action="append",
        default=[],
        metavar="[STEP=]NAME",
        help="run in this installed kernel, in place of the one that the notebook names",
    )
    add("--jobs", type=int, metavar="N", help="run N kernels in parallel (default: one per core)")
    add("--cold", action="store_true", help="start each kernel anew, not as a fork of a warm one")
    add("--single-file", action="store_true", help="write each report as one self-contained file")
    add("--quiet", action="store_true", help="print nothing unless something goes wrong")
    add("--json", action="store_true", help="print one JSON object per line for each event")


def _command_help(script: str, commands: Mapping[str, Callable[..., Any]]) -> str:
    """List each command with the first line of its docstring."""
    lines = ["further commands, each with its own --help:"]
    for name, command in commands.items():
        summary = (command.__doc__ or "").partition("\n")[0]
        lines.append(f"  {script} {name:10} {summary}".rstrip())
    return "\n".join(lines)


def describe_steps(pipeline: list[Step]) -> str:
    """List each step with its notebook, and its parameters one per line."""
    lines = []
    for step in pipeline:
        lines.append(f"{step.name}  ({step.notebook.name})")
        rows = [
            (parameter.name, parameter.annotation, repr(parameter.default), parameter.help)
            for parameter in read_parameters(step.notebook)
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append(f"  {'  '.join(cells)}".rstrip())
    return "\n".join(lines)
