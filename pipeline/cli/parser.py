"""The command line's options, and the steps and parameters they speak of."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline.definition import parameters
from pipeline.definition.steps import Step


class Option(NamedTuple):
    """An option of a project's own: its value reaches the kernels by their environment.

    It is for where and how they work, not for what comes out: another value is no reason to run
    a step again. What changes the result is a parameter.
    """

    variable: str
    metavar: str
    help: str


def build_parser(
    pipeline: list[Step], options: Mapping[str, Option], commands: Mapping[str, Callable]
) -> argparse.ArgumentParser:
    """Of `run_pipeline.py`. options: a project's own. commands: the runner's and the project's."""
    names = ", ".join(one.name for one in pipeline)
    made = argparse.ArgumentParser(
        prog="run_pipeline.py",
        description=f"Runs the notebooks of the steps {names}, as far as something they depend on "
        "has changed, and keeps each as a report.",
        epilog=_command_help(commands) + "\n\n" + describe_steps(pipeline),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("-p", dest="parameters", action="append", default=[], metavar="[STEP.]NAME=VALUE",
        help="for one step, or for all that declare it; env:NAME is a secret")  # fmt: skip
    add("--params", action="append", default=[], metavar="FILE", type=Path,
        help="parameters from a YAML file: NAME: VALUE, or STEP: {NAME: VALUE}")  # fmt: skip
    add("--sweep", action="append", default=[], metavar="STEP.NAME=V1,V2,...",
        help="run the step once for each value, each with its own report")  # fmt: skip
    add("--list", action="store_true", help="the steps and their parameters, and stop")
    add("--explain", action="store_true", help="what would run and why, and stop")
    add("--from", dest="first", metavar="STEP", help="start with this step")
    add("--until", dest="last", metavar="STEP", help="stop after this step")
    add("--only", metavar="STEP", help="this step alone")
    add("--force", nargs="?", const="", metavar="STEP", help="run though nothing has changed")
    add("--accept", metavar="STEP", help="declare an edited step up to date, without running it")
    add("--jobs", type=int, metavar="N", help="kernels side by side (default: cores)")
    add("--cold", action="store_true", help="start each kernel from nothing, not by a fork")
    add("--single-file", action="store_true", help="reports that can be sent as one file each")
    add("--quiet", action="store_true", help="say nothing unless something goes wrong")
    add("--json", action="store_true", help="one JSON object a line for each event")
    for name, option in options.items():
        add(name, dest=option.variable, metavar=option.metavar, help=option.help)
    return made


def _command_help(commands: Mapping[str, Callable]) -> str:
    """Each command with the first line of what it says of itself."""
    lines = ["also, each with a --help of its own:"]
    for name, command in commands.items():
        first = (command.__doc__ or "").partition("\n")[0]
        lines.append(f"  run_pipeline.py {name:10} {first}".rstrip())
    return "\n".join(lines)


def describe_steps(pipeline: list[Step]) -> str:
    """Each step with its notebook and its parameters, one a line."""
    lines = []
    for step in pipeline:
        lines.append(f"{step.name}  ({step.notebook.name})")
        rows = [
            (one.name, one.annotation, repr(one.default), one.help)
            for one in parameters.read(step.notebook)
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append(f"  {'  '.join(cells)}".rstrip())
    return "\n".join(lines)
