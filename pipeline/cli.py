"""What a user types and sees: `python run_pipeline.py`."""

import argparse
import sys
from pathlib import Path

from pipeline import parameters, steps
from pipeline.record import RunRecord, StepRecord
from pipeline.steps import Step


def main(pipeline: list[Step], home: Path, arguments: list[str] | None = None) -> int:
    """Runs the pipeline as the command line says; gives the exit code.

    0: done. 1: a step failed. 2: the command line is wrong, and nothing was started.
    """
    options = _parser(pipeline).parse_args(arguments)
    try:
        if options.list:
            print(_listing(pipeline))
            return 0
        wanted = steps.select(pipeline, options.first, options.last, options.only)
        values = steps.assign(wanted, options.parameters)
    except ValueError as wrong:
        print(wrong, file=sys.stderr)
        return 2
    from pipeline.run import run  # imports papermill: not for --list or a wrong command line

    made = run(wanted, values, home, _show_cells, _show_end)
    print(_farewell(made, home))
    return 0 if made.status == "done" else 1


def _parser(pipeline: list[Step]) -> argparse.ArgumentParser:
    names = ", ".join(one.name for one in pipeline)
    parser = argparse.ArgumentParser(
        prog="run_pipeline.py",
        description=f"Runs the notebooks of the steps {names}, and keeps each as a report.",
    )
    add = parser.add_argument
    add("-p", dest="parameters", action="append", default=[], metavar="[STEP.]NAME=VALUE",
        help="a parameter of one step, or of every step that declares it")  # fmt: skip
    add("--list", action="store_true", help="the steps and their parameters, and stop")
    add("--from", dest="first", metavar="STEP", help="start with this step")
    add("--until", dest="last", metavar="STEP", help="stop after this step")
    add("--only", metavar="STEP", help="this step alone")
    return parser


def _listing(pipeline: list[Step]) -> str:
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


def _show_cells(step: StepRecord) -> None:
    if sys.stdout.isatty():
        print(f"\r{step.name:10} {step.cells_done:3}/{step.cells} cells", end="", flush=True)


def _show_end(step: StepRecord) -> None:
    start = "\r" if sys.stdout.isatty() else ""
    cells = f"{step.cells_done:3}/{step.cells} cells"
    print(f"{start}{step.name:10} {cells}  {step.seconds:6.1f} s  {step.status}", flush=True)


def _farewell(made: RunRecord, home: Path) -> str:
    folder = home / "reports" / made.id
    last = next((one for one in made.steps if one.status in ("failed", "stopped")), None)
    if last:
        return (
            f"The step {last.name} {last.status} after {last.cells_done} of {last.cells} cells: "
            f"{last.failure}. Its report: {folder / last.report}"
        )
    lines = [f"  {name}: {value}" for name, value in made.headline.items()]
    if made.notice:
        lines.insert(0, f"  NOTE: {made.notice}")
    where = home / "reports" / "latest"
    return "\n".join([f"run {made.id} is done", *lines, f"reports: {where}"])
