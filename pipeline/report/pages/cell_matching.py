"""Which cell of one executed notebook answers to which of another."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from pipeline.report import exporter, markdown, outputs

MIN_SIMILARITY = 0.4  # the share of letters from which two cells are the same one, edited


@dataclass
class CodeCell:
    """A code cell, and what it showed, by kind."""

    source: str
    section: str  # the heading above
    tables: list[str] = field(default_factory=list)  # HTML
    figures: list[dict[str, Any]] = field(default_factory=list)  # an output's forms
    texts: list[str] = field(default_factory=list)
    status: str = "ran"


def code_cells(notebook: Any) -> list[CodeCell]:
    """The notebook's code cells, without what the runner injected."""
    found, section = [], ""
    for cell in notebook.cells:
        if exporter.HIDDEN_TAGS & set(cell.metadata.get("tags", [])):
            continue
        if cell.cell_type == "markdown":
            titles = [words for _, words in exporter.headings(cell.source)]
            section = titles[-1] if titles else section
        elif cell.cell_type == "code" and cell.source.strip():
            made = CodeCell(cell.source.strip("\n"), section)
            made.status = cell.metadata.get("papermill", {}).get("status", "completed")
            for output in cell.outputs:
                _collect_output(output, made)
            found.append(made)
    return found


def _collect_output(output: Any, cell: CodeCell) -> None:
    kind = output["output_type"]
    if kind == "stream":
        if output["name"] == "stdout":
            cell.texts.append(markdown.strip_ansi_codes(output["text"]))
    elif kind == "error":
        cell.texts.append(f"{output['ename']}: {output['evalue']}")
    else:
        data = {name: outputs.join_lines(one) for name, one in output["data"].items()}
        if any(name.startswith("image/") for name in data):
            cell.figures.append(data)
        elif "<table" in data.get("text/html", ""):
            cell.tables.append(data["text/html"])
        elif "text/markdown" in data:
            cell.texts.append(markdown.markdown_to_text(data["text/markdown"]))
        elif "text/plain" in data:
            cell.texts.append(data["text/plain"])


def match_cells(
    old_cells: list[CodeCell], new_cells: list[CodeCell]
) -> Iterator[tuple[CodeCell | None, CodeCell | None]]:
    """Each cell with its counterpart, in order; None where it has none."""
    sources = [one.source for one in old_cells], [one.source for one in new_cells]
    for what, a, b, c, d in SequenceMatcher(None, *sources, autojunk=False).get_opcodes():
        if what == "equal":
            yield from zip(old_cells[a:b], new_cells[c:d], strict=True)
        else:
            yield from _match_edited_cells(old_cells[a:b], new_cells[c:d])


def _match_edited_cells(
    old_cells: list[CodeCell], new_cells: list[CodeCell]
) -> Iterator[tuple[CodeCell | None, CodeCell | None]]:
    """In a part that differs: cells that are much alike answer to each other, in order."""
    start = 0
    for one in new_cells:
        scores = [
            (SequenceMatcher(None, it.source, one.source, autojunk=False).ratio(), -number)
            for number, it in enumerate(old_cells)
            if number >= start
        ]
        best, number = max(scores, default=(0.0, 0))
        if best < MIN_SIMILARITY:
            yield None, one
            continue
        for gone in old_cells[start:-number]:
            yield gone, None
        yield old_cells[-number], one
        start = 1 - number
    for gone in old_cells[start:]:
        yield gone, None
