"""What the failure section of a step's report shows: the cell, its output, and what to do next."""

import re
from enum import StrEnum
from pathlib import PurePath
from typing import Any, NamedTuple

from markupsafe import Markup

from pipeline.report import markdown
from pipeline.report.model import RenderedNotebook
from pipeline.runs.formatting import join_limited
from pipeline.runs.records import FORCED_REASON, RunRecord, StepRecord
from pipeline.runs.status import CellStatus, StepStatus

MAX_NAMED_STEPS = 8
SECRET_PATTERN = re.compile(r"env:([A-Za-z_]\w*)")


class FailureKind(StrEnum):
    """Why a step did not succeed, as far as that decides what to do next."""

    CELL = "cell"  # a cell raised an error
    START = "start"  # no cell ran
    RESULT = "result"  # all cells ran, but what came of it is not accepted
    TIME_LIMIT = "time limit"
    MEMORY_LIMIT = "memory limit"
    OUT_OF_MEMORY = "out of memory"  # killed without a limit of the step
    KERNEL_EXIT = "kernel exit"  # the code ended its own process
    KILLED = "killed"  # from outside, with the worker or the runner
    STOPPED = "stopped"


class FailureDescription(NamedTuple):
    """The cell that failed, why it ran, what it and the kernel wrote, and what did not run."""

    kind: FailureKind
    extent: str  # how far the step came
    cell_number: int | None  # from 1
    is_cell_shown: bool
    rerun_reasons: list[str]
    not_run: str
    notebook_name: str
    settings: str  # the parameters that were set, as one types them in Python
    source: Markup
    traceback: Markup
    output: Markup
    stderr: Markup


def describe_failure(
    run: RunRecord, step: StepRecord, notebook: RenderedNotebook
) -> FailureDescription:
    """Return the description of a step that failed, timed out, was killed or was stopped."""
    number = _failed_cell(step, notebook)
    cell = notebook.cells.get(number) if number else None
    return FailureDescription(
        failure_kind(step),
        step.extent,
        number,
        cell is not None,
        [reason for reason in step.why if reason != FORCED_REASON],
        _describe_rest(run, step),
        PurePath(notebook.source_path).name or "its notebook",
        ", ".join(f"{name} = {_python_text(value)}" for name, value in step.parameters.items()),
        markdown.highlight_code(cell.source, notebook.language, cell.failing_line)
        if cell
        else Markup(""),
        *map(markdown.ansi_to_html, (step.traceback, step.output, step.stderr)),
    )


def failure_kind(step: StepRecord) -> FailureKind:
    """Return the kind of failure that a step's record tells of."""
    if step.status is StepStatus.TIMED_OUT:
        return FailureKind.TIME_LIMIT
    if step.status is StepStatus.STOPPED:
        return FailureKind.STOPPED
    if step.status is StepStatus.KILLED:
        if "SIGKILL" in step.failure:
            return FailureKind.OUT_OF_MEMORY
        if "memory" in step.failure:
            return FailureKind.MEMORY_LIMIT
        has_exited = step.failure.startswith("the kernel ")
        return FailureKind.KERNEL_EXIT if has_exited else FailureKind.KILLED
    if step.failed_cell:
        return FailureKind.CELL
    has_run = CellStatus.RAN in step.cell_status
    return FailureKind.RESULT if has_run else FailureKind.START


def _failed_cell(step: StepRecord, notebook: RenderedNotebook) -> int | None:
    """Return the number of the cell that did not end well; None if no cell is to blame.

    The notebook knows it better than the record of an earlier version, in which the cell that
    papermill adds was counted, too; but the cell may be removed from the page.
    """
    shown_numbers = [number for number, cell in notebook.cells.items() if cell.needs_attention]
    return shown_numbers[-1] if shown_numbers else step.failed_cell


def _describe_rest(run: RunRecord, step: StepRecord) -> str:
    """Return what did not run after the step: its other cells, and steps."""
    n_cells = step.cell_status.count(CellStatus.NOT_RUN)
    if n_cells == len(step.cell_status):
        cells = "this notebook"
    elif n_cells:
        cells = f"{n_cells} more cell{'s' if n_cells > 1 else ''} of this notebook"
    else:
        cells = ""
    # while the run goes on, the steps that do not need this one may still run
    status = StepStatus.NOT_RUN if run.ended else StepStatus.SKIPPED
    names = [
        other.name
        for other in run.steps
        if other.status is status and other.blocked_by in ("", step.name)
    ]
    plural = "s" if len(names) > 1 else ""
    steps = f"the step{plural} {join_limited(names, MAX_NAMED_STEPS, ', ')}" if names else ""
    text = ", and ".join(filter(None, (cells, steps))) or "nothing else"
    return f"{text[0].upper()}{text[1:]}."


def _python_text(value: Any) -> str:
    """Return a parameter's value as one types it into a cell."""
    secret = SECRET_PATTERN.fullmatch(value) if isinstance(value, str) else None
    if secret:
        return f'os.environ["{secret[1]}"]'
    is_literal = value is None or isinstance(value, str | int | float | list | dict)
    return repr(value if is_literal else str(value))
