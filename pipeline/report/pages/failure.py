"""Describe the failure of a step for its report: the cell, the error, and what to do next."""

import html
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.definition.project import Project
from pipeline.report import markdown
from pipeline.report.model import PageContext, RenderedNotebook
from pipeline.runs.formatting import join_limited
from pipeline.runs.records import FORCED_REASON, RunRecord, StepRecord
from pipeline.runs.status import CellStatus, StepStatus

MAX_OPEN_TRACEBACK_LINES = 40  # a longer traceback is folded
MAX_NAMED_STEPS = 8  # steps that did not run; the others are counted


class FinishedReport(NamedTuple):
    """The newest report of the step from a run in which it was done."""

    run_id: str
    href: str


class FailureDescription(NamedTuple):
    """What the failure section of a step's report shows; HTML unless noted."""

    title: str  # text
    error: str  # text
    location: str  # text
    cell_number: int | None  # from 1, of a cell that the page shows
    source: str
    traceback: str
    is_long_traceback: bool
    output: str
    stderr: str
    rerun_reasons: list[str]  # texts
    last_finished_report: FinishedReport | None
    not_run: str  # text
    suggestions: list[str]


def describe(
    run: RunRecord, step: StepRecord, notebook: RenderedNotebook, context: PageContext
) -> FailureDescription:
    """Return the description of a step that failed, timed out, was killed or was stopped."""
    cell_index = _failed_cell_index(step)
    cell = notebook.cells.get(cell_index) if cell_index is not None else None
    progress = (
        f"after {step.cells_done} of {step.cells} cells" if step.cells else "before its start"
    )
    return FailureDescription(
        title=f"This step {step.status.phrase} {progress}",
        error=step.failure,
        location=_describe_location(step, cell_index),
        cell_number=cell.index + 1 if cell else None,
        source=markdown.highlight_code(cell.source, cell.failing_line) if cell else "",
        traceback=markdown.ansi_to_html(step.traceback),
        is_long_traceback=step.traceback.count("\n") > MAX_OPEN_TRACEBACK_LINES,
        output=markdown.ansi_to_html(step.output),
        stderr=markdown.ansi_to_html(step.stderr),
        rerun_reasons=[reason for reason in step.why if reason != FORCED_REASON],
        last_finished_report=_last_finished_report(step, context),
        not_run=_describe_not_run(run, step),
        suggestions=list(_suggestions(context.project, step, notebook)),
    )


def _failed_cell_index(step: StepRecord) -> int | None:
    """Return the index of the last cell that started and did not end well; None without one."""
    failed = [
        index
        for index, status in enumerate(step.cell_status)
        if status not in (CellStatus.RAN, CellStatus.NOT_RUN)
    ]
    return failed[-1] if failed else None


def _describe_location(step: StepRecord, cell_index: int | None) -> str:
    location = f"In cell {cell_index + 1}" if cell_index is not None else ""
    if step.heading:
        location += f"{', in' if location else 'In'} the section “{step.heading}”"
    return f"{location}." if location else ""


def _last_finished_report(step: StepRecord, context: PageContext) -> FinishedReport | None:
    if context.single_file or not context.previous_run_id:
        return None
    run_id = context.previous_run_id
    return FinishedReport(run_id, f"../{run_id}/{step.report}")


def _describe_not_run(run: RunRecord, step: StepRecord) -> str:
    """Return a sentence on the cells and the steps that did not run because of the failure."""
    clauses = []
    cell_count = step.cell_status.count(CellStatus.NOT_RUN)
    if cell_count:
        clauses.append(f"{cell_count} more cell{'s' if cell_count > 1 else ''} of this notebook")
    step_names = [
        later_step.name for later_step in run.steps if later_step.status is StepStatus.NOT_RUN
    ]
    if step_names:
        plural = "s" if len(step_names) > 1 else ""
        clauses.append(f"the step{plural} {join_limited(step_names, MAX_NAMED_STEPS, ', ')}")
    if not clauses:
        return "Nothing: it was the last cell of the last step."
    sentence = ", and ".join(clauses)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _suggestions(project: Project, step: StepRecord, notebook: RenderedNotebook) -> Iterator[str]:
    """Yield a sentence of HTML for each way out, the most likely one first."""
    script, command, show_command = (
        f"<code>{html.escape(text)}</code>"
        for text in (project.script, project.command(), project.command("show", "latest"))
    )
    resume = f"{command}: it resumes at this step; finished steps are kept."
    notebook_name = html.escape(notebook.source_path.rpartition("/")[2] or "its notebook")
    step_name = html.escape(step.name.partition("[")[0])
    if step.status is StepStatus.TIMED_OUT:
        yield (
            f"If it needs more time, raise <code>time_limit</code> of the step {step_name} in "
            f"{script}."
        )
    if step.status is StepStatus.KILLED and "memory" in step.failure:
        yield (
            f"If it needs more memory, raise <code>memory_limit</code> of the step {step_name} in "
            f"{script}, or let it hold less at a time."
        )
    if step.status in (StepStatus.KILLED, StepStatus.STOPPED):
        yield f"If nothing is wrong with the notebook, start it again with {resume}"
    else:
        values = ", ".join(f"{name} = {value}" for name, value in step.parameters.items())
        set_values = f" (set {html.escape(values)} in its first cell)" if values else ""
        yield (
            f"Open <code>{notebook_name}</code> in JupyterLab and run it up to the cell "
            f"above{set_values}."
        )
        yield f"Fix the notebook, the module or the input, then run {resume}"
    yield f"{show_command} prints all of this in the terminal."
