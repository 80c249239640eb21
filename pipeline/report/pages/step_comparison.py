"""What differs between a step in two runs: its results, and its cells with their outputs."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from pipeline.report import exporter, outputs, rendering
from pipeline.report.images import figure_html
from pipeline.report.pages import cell_matching, diffs
from pipeline.report.pages.cell_matching import CodeCell
from pipeline.report.rendering import MetricChange
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.runs.results import Metric, format_metric
from pipeline.workspace import Workspace


class ResultRow(NamedTuple):
    """A result of a step in both runs."""

    name: str
    old_text: str
    new_text: str
    change: MetricChange | None  # of metrics that both runs have


@dataclass
class SectionChanges:
    """The differences below one heading of a notebook."""

    section: str
    html_blocks: list[Markup] = field(default_factory=list)


@dataclass
class StepComparison:
    """A step of both runs, or of one."""

    name: str
    note: str = ""
    sections: list[SectionChanges] = field(default_factory=list)
    results: list[ResultRow] = field(default_factory=list)
    unchanged_cells: int = 0
    change_counts: Counter[str] = field(default_factory=Counter)  # of code cell, table, figure, ...


def compare_steps(
    workspace: Workspace, old_run: RunRecord, new_run: RunRecord
) -> list[StepComparison]:
    """Return the comparison of each step that either run has."""
    names = dict.fromkeys(step.name for run in (old_run, new_run) for step in run.steps)
    return [_compare_step(workspace, old_run, new_run, name) for name in names]


def _compare_step(
    workspace: Workspace, old_run: RunRecord, new_run: RunRecord, name: str
) -> StepComparison:
    comparison = StepComparison(name)
    old_step, new_step = _find_step(old_run, name), _find_step(new_run, name)
    if old_step is None or new_step is None:
        run = new_run if old_step is None else old_run
        comparison.note = f"Only run {run.id} has this step."
        return comparison
    comparison.results = list(_result_rows(old_step, new_step))
    old_origin, new_origin = old_step.reused or old_run.id, new_step.reused or new_run.id
    if old_origin == new_origin:
        comparison.note = f"The same in both: run {old_origin} made it."
        return comparison
    old_path = workspace.executed_notebook(old_origin, old_step.executed_stem)
    new_path = workspace.executed_notebook(new_origin, new_step.executed_stem)
    for run_id, path in ((old_origin, old_path), (new_origin, new_path)):
        if not path.exists():
            comparison.note = f"The notebook executed by run {run_id} no longer exists."
            return comparison
    both_succeeded = old_step.status.is_success and new_step.status.is_success
    if old_step.status is not new_step.status and not both_succeeded:
        comparison.note = f"Its status was {old_step.status}, is now {new_step.status}."
    for old_cell, new_cell in cell_matching.match_cells(
        _read_cells(old_path), _read_cells(new_path)
    ):
        _add_cell_changes(old_cell, new_cell, comparison)
    return comparison


def _find_step(run: RunRecord, name: str) -> StepRecord | None:
    return next((step for step in run.steps if step.name == name), None)


def _read_cells(notebook_path: Path) -> list[CodeCell]:
    return cell_matching.code_cells(exporter.read_notebook(notebook_path))


def _result_rows(old_step: StepRecord, new_step: StepRecord) -> Iterator[ResultRow]:
    for name in old_step.headline | new_step.headline:
        old_value, new_value = old_step.headline.get(name), new_step.headline.get(name)
        change = None
        if isinstance(old_value, Metric) and isinstance(new_value, Metric):
            change = rendering.format_change(old_value.value, new_value)
        yield ResultRow(name, _format_result(old_value), _format_result(new_value), change)


def _format_result(value: Metric | str | None) -> str:
    return format_metric(value) if value is not None else "–"


def _add_cell_changes(
    old_cell: CodeCell | None, new_cell: CodeCell | None, comparison: StepComparison
) -> None:
    """Add the differences between a cell and its counterpart to the step's comparison."""
    if old_cell and new_cell:
        changes = [(noun, html) for noun, html in _edited_cell(old_cell, new_cell) if html]
        comparison.change_counts.update(noun for noun, _ in changes)
        blocks = [html for _, html in changes]
    else:
        blocks = list(_single_cell_blocks(old_cell, new_cell))
        comparison.change_counts["code cell"] += 1
    section = (new_cell or old_cell or CodeCell("", "")).section
    if not blocks:
        comparison.unchanged_cells += 1
    elif comparison.sections and comparison.sections[-1].section == section:
        comparison.sections[-1].html_blocks += blocks
    else:
        comparison.sections.append(SectionChanges(section, blocks))


def _single_cell_blocks(old_cell: CodeCell | None, new_cell: CodeCell | None) -> Iterator[Markup]:
    """Yield what is shown of a cell that only one of the notebooks has."""
    if old_cell:
        yield Markup("<p>A deleted cell:</p>") + diffs.text_diff(old_cell.source, "")
    if new_cell:
        yield Markup("<p>A new cell:</p>") + diffs.text_diff("", new_cell.source)
        yield from map(outputs.render_html, new_cell.tables)
        yield from (figure_html(figure, {}) or Markup("") for figure in new_cell.figures)


def _edited_cell(old_cell: CodeCell, new_cell: CodeCell) -> Iterator[tuple[str, Markup]]:
    """Yield (what may differ, the HTML of the difference); the HTML is empty without one."""
    yield "code cell", diffs.text_diff(old_cell.source, new_cell.source)
    if old_cell.status != new_cell.status:
        phrases = old_cell.status.phrase, new_cell.status.phrase
        yield "status", Markup("<p>The cell {} before, and {} now.</p>").format(*phrases)
    for texts in zip_longest(old_cell.texts, new_cell.texts, fillvalue=""):
        yield "text", diffs.text_diff(*texts)
    for tables in zip_longest(old_cell.tables, new_cell.tables):
        yield "table", _table_comparison(*tables)
    for figures in zip_longest(old_cell.figures, new_cell.figures):
        yield "figure", diffs.figure_diff(*figures)


def _table_comparison(old_table: str | None, new_table: str | None) -> Markup:
    """Return the HTML of two tables that differ; empty if only their markup does."""
    if new_table is None:
        return Markup("<p>A deleted table:</p>") + outputs.render_html(old_table or "")
    if old_table is None:
        return Markup("<p>A new table:</p>") + outputs.render_html(new_table)
    return diffs.table_diff(old_table, new_table)
