"""What the failure section of a step's report shows of the cell that failed and of its output."""

from typing import NamedTuple

from markupsafe import Markup

from pipeline.report import markdown
from pipeline.report.model import RenderedNotebook
from pipeline.runs.records import FORCED_REASON, StepRecord
from pipeline.runs.status import CellStatus


class FailureDescription(NamedTuple):
    """The cell that failed, and why it ran, and what it and the kernel wrote."""

    cell_number: int | None  # from 1
    is_cell_shown: bool
    rerun_reasons: list[str]
    source: Markup
    traceback: Markup
    output: Markup
    stderr: Markup


def describe_failure(step: StepRecord, notebook: RenderedNotebook) -> FailureDescription:
    """Return the description of a step that failed, timed out, was killed or was stopped."""
    ended_badly = [
        number
        for number, status in enumerate(step.cell_status, start=1)
        if status not in (CellStatus.RAN, CellStatus.NOT_RUN)
    ]
    cell_number = ended_badly[-1] if ended_badly else None
    cell = notebook.cells.get(cell_number) if cell_number else None
    return FailureDescription(
        cell_number,
        cell is not None,
        [reason for reason in step.why if reason != FORCED_REASON],
        markdown.highlight_code(cell.source, notebook.language, cell.failing_line)
        if cell
        else Markup(""),
        *map(markdown.ansi_to_html, (step.traceback, step.output, step.stderr)),
    )
