"""Two runs on one page: parameters, data, results, tables, pictures, code; what differs marked."""

from dataclasses import dataclass, field
from html import escape
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pipeline.report import exporter, images, outputs, rendering
from pipeline.report.pages import cell_matching, data_versions, diffs, image_overlay
from pipeline.runs import records
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.records import RunRecord, StepRecord, format_metric

IGNORED_PIXEL_SHARE = 0.0005  # the share of a picture that may differ unnoticed


@dataclass
class SectionChanges:
    """What differs in a cell: HTML, below the heading it stands under."""

    section: str
    html_blocks: list[str] = field(default_factory=list)


@dataclass
class StepComparison:
    """A step of both runs, or of one."""

    name: str
    note: str = ""
    sections: list[SectionChanges] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    unchanged_cells: int = 0  # cells without a difference
    changed_code_cells: int = 0  # cells whose code differs
    changed_tables: int = 0
    changed_figures: int = 0


def write_comparison(
    home: Path, old_run_id: str, new_run_id: str, single_file: bool = False
) -> Path:
    """Writes reports/compare/BEFORE..AFTER.html. LookupError if there is no such run."""
    runs = home / "var" / "runs"
    old, new = records.load(runs / old_run_id), records.load(runs / new_run_id)
    path = home / "reports" / "compare" / f"{old_run_id}..{new_run_id}.html"
    rendering.write_assets(home / "reports")
    atomic_write(path, comparison_page(runs, old, new, single_file))
    return path


def comparison_page(
    runs_dir: Path, old_run: RunRecord, new_run: RunRecord, single_file: bool = False
) -> str:
    """The HTML of the comparison. runs: the folder of the executed notebooks."""
    names = list(dict.fromkeys(one.name for run in (old_run, new_run) for one in run.steps))
    steps, data = (
        [_compare_step(runs_dir, old_run, new_run, one) for one in names],
        data_versions.compare_data_files(runs_dir, old_run, new_run),
    )
    return rendering.render_page(
        "compare.html.j2", "../", single_file,
        old=old_run, new=new_run, steps=steps, parameters=_parameter_rows(old_run, new_run), data=data,
        facts=_run_rows(old_run, new_run), summary=_summary_sentences(old_run, new_run, steps, len(data.changes)),
    )  # fmt: skip


def _find_step(run: RunRecord, name: str) -> StepRecord | None:
    return next((one for one in run.steps if one.name == name), None)


def _parameter_rows(old_run: RunRecord, new_run: RunRecord) -> list[tuple[str, str, str]]:
    """(name, before, after); a value that is the notebook's own is said to be so."""
    both = [
        {
            f"{step.name}.{name}": str(it)
            for step in run.steps
            for name, it in step.parameters.items()
        }
        for run in (old_run, new_run)
    ]
    names = sorted({*both[0], *both[1]})
    return [(one, *(it.get(one, "the default") for it in both)) for one in names]


def _run_rows(old_run: RunRecord, new_run: RunRecord) -> list[tuple[str, str, str]]:
    """(name, before, after) of what is told of a run as a whole."""
    told = {
        "started": lambda run: rendering.format_time(run.started),
        "status": lambda run: run.status,
        "took": lambda run: records.format_duration(run.seconds),
        "data": lambda run: run.data,
        "commit": lambda run: run.commit,
        "notice": lambda run: run.notice,
    }
    rows = [(name, one(old_run), one(new_run)) for name, one in told.items()]
    return [one for one in rows if one[1] or one[2]]


def _summary_sentences(
    old_run: RunRecord, new_run: RunRecord, steps: list[StepComparison], changed_data_files: int
) -> list[str]:
    """Sentences, the weightiest first."""
    found = [
        f"{one['name']}: {one['before']} became {one['after']}: {one['gain'].text}."
        for step in steps
        for one in step.results
        if one["gain"] and one["gain"].text != "as before"
    ][:4]
    differ = [one for one in _parameter_rows(old_run, new_run) if one[1] != one[2]]
    found += [f"{name} was {a}, is {b}." for name, a, b in differ[:4]]
    if old_run.data != new_run.data:
        found.append(f"The data was {old_run.data or 'not told'}, is {new_run.data or 'not told'}.")
    for count, one, several in (
        (changed_data_files, "file of DVC's differs", "files of DVC's differ"),
        (
            sum(its.changed_code_cells for its in steps),
            "cell of code differs",
            "cells of code differ",
        ),
        (sum(its.changed_tables for its in steps), "table differs", "tables differ"),
        (sum(its.changed_figures for its in steps), "picture differs", "pictures differ"),
    ):
        found += [f"{count} {one if count == 1 else several}."] if count else []
    return list(dict.fromkeys(found)) or ["Nothing differs."]


def _compare_step(
    runs_dir: Path, old_run: RunRecord, new_run: RunRecord, name: str
) -> StepComparison:
    made = StepComparison(name)
    a, b = _find_step(old_run, name), _find_step(new_run, name)
    if a is None or b is None:
        made.note = f"Only run {(new_run if a is None else old_run).id} has this step."
        return made
    made.results = list(_result_rows(a, b))
    origin = [one.reused or run.id for one, run in ((a, old_run), (b, new_run))]
    if origin[0] == origin[1]:
        made.note = f"The same in both: run {origin[0]} made it."
        return made
    paths = [
        runs_dir / of / f"{Path(one.report).stem}.ipynb"
        for of, one in zip(origin, (a, b), strict=True)
    ]
    missing = [of for of, path in zip(origin, paths, strict=True) if not path.exists()]
    if missing:
        made.note = f"The notebook executed by run {missing[0]} is not there any more."
        return made
    if a.status != b.status and {a.status, b.status} != {"done", "up to date"}:
        made.note = f"It was {a.status}, is {b.status}."
    for one, other in cell_matching.match_cells(
        *(cell_matching.code_cells(exporter.read_notebook(path)) for path in paths)
    ):
        _add_cell_changes(one, other, made)
    return made


def _result_rows(old_step: StepRecord, new_step: StepRecord) -> Any:
    for name in dict.fromkeys([*old_step.headline, *new_step.headline]):
        one, other = old_step.headline.get(name), new_step.headline.get(name)
        numbers = isinstance(one, dict) and isinstance(other, dict)
        yield {
            "name": name,
            "before": format_metric(one) if one is not None else "–",
            "after": format_metric(other) if other is not None else "–",
            "gain": rendering.format_change(
                one["value"], other["value"], other.get("better", ""), format_metric(other)
            )
            if numbers
            else None,
        }


def _add_cell_changes(
    old_cell: cell_matching.CodeCell | None,
    new_cell: cell_matching.CodeCell | None,
    comparison: StepComparison,
) -> None:
    """Adds to the step what differs between a cell and its counterpart."""
    pieces = (
        _edited_cell_blocks(old_cell, new_cell, comparison)
        if old_cell and new_cell
        else _unmatched_cell_blocks(old_cell, new_cell, comparison)
    )
    if not pieces:
        comparison.unchanged_cells += 1
        return
    section = (new_cell or old_cell).section
    if comparison.sections and comparison.sections[-1].section == section:
        comparison.sections[-1].html_blocks += pieces
    else:
        comparison.sections.append(SectionChanges(section, pieces))


def _unmatched_cell_blocks(
    old_cell: cell_matching.CodeCell | None,
    new_cell: cell_matching.CodeCell | None,
    comparison: StepComparison,
) -> list[str]:
    """A cell that only one of the two has."""
    comparison.changed_code_cells += 1
    if new_cell is None:
        return [f"<p>A cell that is gone:</p>{diffs.code_diff(old_cell.source, '')}"]
    pieces = [f"<p>A new cell:</p>{diffs.code_diff('', new_cell.source)}"]
    pieces += [outputs.render_html(one) for one in new_cell.tables]
    return pieces + [_figure_html(one) for one in new_cell.figures]


def _edited_cell_blocks(
    old_cell: cell_matching.CodeCell, new_cell: cell_matching.CodeCell, comparison: StepComparison
) -> list[str]:
    pieces = []
    if old_cell.source != new_cell.source:
        pieces.append(diffs.code_diff(old_cell.source, new_cell.source))
        comparison.changed_code_cells += 1
    if old_cell.status != new_cell.status:
        verbs = escape(_status_phrase(old_cell)), escape(_status_phrase(new_cell))
        pieces.append(f"<p>The cell {verbs[0]} before, and {verbs[1]} now.</p>")
    texts = zip_longest(old_cell.texts, new_cell.texts, fillvalue="")
    pieces += [diffs.text_diff(one, other) for one, other in texts if one != other]
    tables = [
        _table_comparison_html(*it)
        for it in zip_longest(old_cell.tables, new_cell.tables)
        if it[0] != it[1]
    ]
    tables = [one for one in tables if one]
    figures = [it for it in zip_longest(old_cell.figures, new_cell.figures) if _figures_differ(*it)]
    comparison.changed_tables += len(tables)
    comparison.changed_figures += len(figures)
    return pieces + tables + [_figure_comparison_html(*it) for it in figures]


def _figures_differ(old_bundle: dict[str, Any] | None, new_bundle: dict[str, Any] | None) -> bool:
    return (
        old_bundle is None
        or new_bundle is None
        or image_overlay.changed_pixel_share(old_bundle, new_bundle) > IGNORED_PIXEL_SHARE
    )


def _status_phrase(cell: cell_matching.CodeCell) -> str:
    return {"completed": "ran", "failed": "failed"}.get(cell.status, f"was {cell.status}")


def _table_comparison_html(old_table: str | None, new_table: str | None) -> str:
    if old_table is None or new_table is None:
        word = "A table that is new:" if old_table is None else "A table that is gone:"
        return f"<p>{word}</p>{outputs.render_html(new_table or old_table)}"
    return diffs.table_diff(old_table, new_table)


def _figure_html(mime_bundle: dict[str, Any] | None) -> str:
    found = images.extract_figure(mime_bundle, {}) if mime_bundle else None
    return outputs.figure_html(found, {}, "") if found else '<p class="faint">no picture</p>'


def _figure_comparison_html(
    old_bundle: dict[str, Any] | None, new_bundle: dict[str, Any] | None
) -> str:
    marked = (
        image_overlay.highlight_differences(old_bundle, new_bundle)
        if old_bundle and new_bundle
        else None
    )
    shown = [
        ("before", old_bundle),
        ("now", new_bundle),
        *([("what differs", marked)] if marked else []),
    ]
    columns = "".join(f"<div><h4>{name}</h4>{_figure_html(data)}</div>" for name, data in shown)
    return f'<div class="pair">{columns}</div>'
