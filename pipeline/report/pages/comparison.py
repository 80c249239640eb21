"""Two runs on one page: parameters, data, results, tables, pictures, code; what differs marked."""

from dataclasses import dataclass, field
from html import escape
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pipeline.report import exporter, images, outputs, rendering
from pipeline.report.pages import cell_matching, data_versions, diffs, image_overlay
from pipeline.runs import records
from pipeline.runs.atomic_write import write_whole
from pipeline.runs.records import RunRecord, StepRecord, said

NOTHING = 0.0005  # the share of a picture that may differ unnoticed


@dataclass
class Part:
    """What differs in a cell: HTML, below the heading it stands under."""

    section: str
    pieces: list[str] = field(default_factory=list)


@dataclass
class Step:
    """A step of both runs, or of one."""

    name: str
    note: str = ""
    parts: list[Part] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    same: int = 0  # cells without a difference
    code: int = 0  # cells whose code differs
    tables: int = 0
    figures: int = 0


def write(home: Path, before: str, after: str, single: bool = False) -> Path:
    """Writes reports/compare/BEFORE..AFTER.html. LookupError if there is no such run."""
    runs = home / "var" / "runs"
    old, new = records.load(runs / before), records.load(runs / after)
    path = home / "reports" / "compare" / f"{before}..{after}.html"
    rendering.write_assets(home / "reports")
    write_whole(path, page(runs, old, new, single))
    return path


def page(runs: Path, old: RunRecord, new: RunRecord, single: bool = False) -> str:
    """The HTML of the comparison. runs: the folder of the executed notebooks."""
    names = list(dict.fromkeys(one.name for run in (old, new) for one in run.steps))
    steps, data = (
        [_step(runs, old, new, one) for one in names],
        data_versions.between(runs, old, new),
    )
    return rendering.render(
        "compare.html.j2", "../", single,
        old=old, new=new, steps=steps, parameters=_parameters(old, new), data=data,
        facts=_facts(old, new), summary=_summary(old, new, steps, len(data.changes)),
    )  # fmt: skip


def _of(run: RunRecord, name: str) -> StepRecord | None:
    return next((one for one in run.steps if one.name == name), None)


def _parameters(old: RunRecord, new: RunRecord) -> list[tuple[str, str, str]]:
    """(name, before, after); a value that is the notebook's own is said to be so."""
    both = [
        {
            f"{step.name}.{name}": str(it)
            for step in run.steps
            for name, it in step.parameters.items()
        }
        for run in (old, new)
    ]
    names = sorted({*both[0], *both[1]})
    return [(one, *(it.get(one, "the default") for it in both)) for one in names]


def _facts(old: RunRecord, new: RunRecord) -> list[tuple[str, str, str]]:
    """(name, before, after) of what is told of a run as a whole."""
    told = {
        "started": lambda run: rendering.moment(run.started),
        "status": lambda run: run.status,
        "took": lambda run: records.duration(run.seconds),
        "data": lambda run: run.data,
        "commit": lambda run: run.commit,
        "notice": lambda run: run.notice,
    }
    rows = [(name, one(old), one(new)) for name, one in told.items()]
    return [one for one in rows if one[1] or one[2]]


def _summary(old: RunRecord, new: RunRecord, steps: list[Step], versioned: int) -> list[str]:
    """Sentences, the weightiest first."""
    found = [
        f"{one['name']}: {one['before']} became {one['after']}: {one['gain'].text}."
        for step in steps
        for one in step.results
        if one["gain"] and one["gain"].text != "as before"
    ][:4]
    differ = [one for one in _parameters(old, new) if one[1] != one[2]]
    found += [f"{name} was {a}, is {b}." for name, a, b in differ[:4]]
    if old.data != new.data:
        found.append(f"The data was {old.data or 'not told'}, is {new.data or 'not told'}.")
    for count, one, several in (
        (versioned, "file of DVC's differs", "files of DVC's differ"),
        (sum(its.code for its in steps), "cell of code differs", "cells of code differ"),
        (sum(its.tables for its in steps), "table differs", "tables differ"),
        (sum(its.figures for its in steps), "picture differs", "pictures differ"),
    ):
        found += [f"{count} {one if count == 1 else several}."] if count else []
    return list(dict.fromkeys(found)) or ["Nothing differs."]


def _step(runs: Path, old: RunRecord, new: RunRecord, name: str) -> Step:
    made = Step(name)
    a, b = _of(old, name), _of(new, name)
    if a is None or b is None:
        made.note = f"Only run {(new if a is None else old).id} has this step."
        return made
    made.results = list(_results(a, b))
    origin = [one.reused or run.id for one, run in ((a, old), (b, new))]
    if origin[0] == origin[1]:
        made.note = f"The same in both: run {origin[0]} made it."
        return made
    paths = [
        runs / of / f"{Path(one.report).stem}.ipynb" for of, one in zip(origin, (a, b), strict=True)
    ]
    missing = [of for of, path in zip(origin, paths, strict=True) if not path.exists()]
    if missing:
        made.note = f"The notebook executed by run {missing[0]} is not there any more."
        return made
    if a.status != b.status and {a.status, b.status} != {"done", "up to date"}:
        made.note = f"It was {a.status}, is {b.status}."
    for one, other in cell_matching.pairs(
        *(cell_matching.cells(exporter.read(path)) for path in paths)
    ):
        _cell(one, other, made)
    return made


def _results(a: StepRecord, b: StepRecord) -> Any:
    for name in dict.fromkeys([*a.headline, *b.headline]):
        one, other = a.headline.get(name), b.headline.get(name)
        numbers = isinstance(one, dict) and isinstance(other, dict)
        yield {
            "name": name,
            "before": said(one) if one is not None else "–",
            "after": said(other) if other is not None else "–",
            "gain": rendering.change(
                one["value"], other["value"], other.get("better", ""), said(other)
            )
            if numbers
            else None,
        }


def _cell(old: cell_matching.Cell | None, new: cell_matching.Cell | None, step: Step) -> None:
    """Adds to the step what differs between a cell and its counterpart."""
    pieces = _edited(old, new, step) if old and new else _lonely(old, new, step)
    if not pieces:
        step.same += 1
        return
    section = (new or old).section
    if step.parts and step.parts[-1].section == section:
        step.parts[-1].pieces += pieces
    else:
        step.parts.append(Part(section, pieces))


def _lonely(
    old: cell_matching.Cell | None, new: cell_matching.Cell | None, step: Step
) -> list[str]:
    """A cell that only one of the two has."""
    step.code += 1
    if new is None:
        return [f"<p>A cell that is gone:</p>{diffs.code(old.source, '')}"]
    pieces = [f"<p>A new cell:</p>{diffs.code('', new.source)}"]
    pieces += [outputs.shown_table(one) for one in new.tables]
    return pieces + [_picture(one) for one in new.figures]


def _edited(old: cell_matching.Cell, new: cell_matching.Cell, step: Step) -> list[str]:
    pieces = []
    if old.source != new.source:
        pieces.append(diffs.code(old.source, new.source))
        step.code += 1
    if old.status != new.status:
        verbs = escape(_ended(old)), escape(_ended(new))
        pieces.append(f"<p>The cell {verbs[0]} before, and {verbs[1]} now.</p>")
    texts = zip_longest(old.texts, new.texts, fillvalue="")
    pieces += [diffs.text(one, other) for one, other in texts if one != other]
    tables = [_tables(*it) for it in zip_longest(old.tables, new.tables) if it[0] != it[1]]
    tables = [one for one in tables if one]
    figures = [it for it in zip_longest(old.figures, new.figures) if _differ(*it)]
    step.tables += len(tables)
    step.figures += len(figures)
    return pieces + tables + [_figures(*it) for it in figures]


def _differ(old: dict[str, Any] | None, new: dict[str, Any] | None) -> bool:
    return old is None or new is None or image_overlay.share(old, new) > NOTHING


def _ended(cell: cell_matching.Cell) -> str:
    return {"completed": "ran", "failed": "failed"}.get(cell.status, f"was {cell.status}")


def _tables(old: str | None, new: str | None) -> str:
    if old is None or new is None:
        word = "A table that is new:" if old is None else "A table that is gone:"
        return f"<p>{word}</p>{outputs.shown_table(new or old)}"
    return diffs.table(old, new)


def _picture(data: dict[str, Any] | None) -> str:
    found = images.figure(data, {}) if data else None
    return outputs.picture(found, {}, "") if found else '<p class="faint">no picture</p>'


def _figures(old: dict[str, Any] | None, new: dict[str, Any] | None) -> str:
    marked = image_overlay.differences(old, new) if old and new else None
    shown = [("before", old), ("now", new), *([("what differs", marked)] if marked else [])]
    columns = "".join(f"<div><h4>{name}</h4>{_picture(data)}</div>" for name, data in shown)
    return f'<div class="pair">{columns}</div>'
