"""Which cell of one executed notebook answers to which of another."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from pipeline.report import exporter, markdown, outputs

ALIKE = 0.4  # the share of letters from which two cells are the same one, edited


@dataclass
class Cell:
    """A code cell, and what it showed, by kind."""

    source: str
    section: str  # the heading above
    tables: list[str] = field(default_factory=list)  # HTML
    figures: list[dict[str, Any]] = field(default_factory=list)  # an output's forms
    texts: list[str] = field(default_factory=list)
    status: str = "ran"


def cells(notebook: Any) -> list[Cell]:
    """The notebook's code cells, without what the runner injected."""
    found, section = [], ""
    for cell in notebook.cells:
        if exporter.PLUMBING & set(cell.metadata.get("tags", [])):
            continue
        if cell.cell_type == "markdown":
            titles = [words for _, words in exporter.headings(cell.source)]
            section = titles[-1] if titles else section
        elif cell.cell_type == "code" and cell.source.strip():
            made = Cell(cell.source.strip("\n"), section)
            made.status = cell.metadata.get("papermill", {}).get("status", "completed")
            for output in cell.outputs:
                _sort(output, made)
            found.append(made)
    return found


def _sort(output: Any, cell: Cell) -> None:
    kind = output["output_type"]
    if kind == "stream":
        if output["name"] == "stdout":
            cell.texts.append(markdown.uncoloured(output["text"]))
    elif kind == "error":
        cell.texts.append(f"{output['ename']}: {output['evalue']}")
    else:
        data = {name: outputs.joined(one) for name, one in output["data"].items()}
        if any(name.startswith("image/") for name in data):
            cell.figures.append(data)
        elif "<table" in data.get("text/html", ""):
            cell.tables.append(data["text/html"])
        elif "text/markdown" in data:
            cell.texts.append(markdown.words(data["text/markdown"]))
        elif "text/plain" in data:
            cell.texts.append(data["text/plain"])


def pairs(before: list[Cell], after: list[Cell]) -> Iterator[tuple[Cell | None, Cell | None]]:
    """Each cell with its counterpart, in order; None where it has none."""
    sources = [one.source for one in before], [one.source for one in after]
    for what, a, b, c, d in SequenceMatcher(None, *sources, autojunk=False).get_opcodes():
        if what == "equal":
            yield from zip(before[a:b], after[c:d], strict=True)
        else:
            yield from _edited(before[a:b], after[c:d])


def _edited(before: list[Cell], after: list[Cell]) -> Iterator[tuple[Cell | None, Cell | None]]:
    """In a part that differs: cells that are much alike answer to each other, in order."""
    start = 0
    for one in after:
        scores = [
            (SequenceMatcher(None, it.source, one.source, autojunk=False).ratio(), -number)
            for number, it in enumerate(before)
            if number >= start
        ]
        best, number = max(scores, default=(0.0, 0))
        if best < ALIKE:
            yield None, one
            continue
        for gone in before[start:-number]:
            yield gone, None
        yield before[-number], one
        start = 1 - number
    for gone in before[start:]:
        yield gone, None
