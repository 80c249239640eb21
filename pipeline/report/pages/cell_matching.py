"""Match the code cells of two executed notebooks, edited cells included."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher, get_close_matches
from typing import Any

from nbconvert.filters.ansi import strip_ansi

from pipeline.report.markdown import markdown_to_html
from pipeline.report.preprocessors import REMOVE_CELL_TAGS
from pipeline.runs.status import CellStatus

MIN_SIMILARITY = 0.4  # of the sources of two cells, from 0 to 1, for one to be an edit of the other


@dataclass
class CodeCell:
    """A code cell and its outputs, by kind."""

    source: str
    section: str  # the heading above
    tables: list[str] = field(default_factory=list)  # HTML
    figures: list[dict[str, Any]] = field(default_factory=list)  # MIME bundles
    texts: list[str] = field(default_factory=list)
    status: CellStatus = CellStatus.RAN


def code_cells(notebook: Any) -> list[CodeCell]:
    """Return the notebook's code cells, without those that the runner injected."""
    cells: list[CodeCell] = []
    section = ""
    for cell in notebook.cells:
        if REMOVE_CELL_TAGS & set(cell.metadata.get("tags", [])):
            continue
        if cell.cell_type == "markdown":
            section = (re.findall(r"^#{1,6} +(.+)", cell.source, re.MULTILINE) or [section])[-1]
        elif cell.cell_type == "code" and cell.source.strip():
            status = CellStatus.from_papermill(cell.metadata.get("papermill", {}).get("status"))
            code_cell = CodeCell(cell.source.strip("\n"), section, status=status)
            for output in cell.outputs:
                _collect_output(output, code_cell)
            cells.append(code_cell)
    return cells


def _collect_output(output: Any, cell: CodeCell) -> None:
    """Add the output to the cell's tables, figures or texts."""
    mime_bundle = output.get("data", {})
    if output["output_type"] == "error":
        cell.texts.append(f"{output['ename']}: {output['evalue']}")
    elif output.get("name") == "stdout":
        cell.texts.append(strip_ansi(output["text"]))
    elif any(mime_type.startswith("image/") for mime_type in mime_bundle):
        cell.figures.append(mime_bundle)
    elif "<table" in mime_bundle.get("text/html", ""):
        cell.tables.append(mime_bundle["text/html"])
    elif mime_bundle:
        markdown_html = markdown_to_html(mime_bundle.get("text/markdown", ""))
        text = markdown_html.striptags() or mime_bundle.get("text/plain", "")
        cell.texts += [text] if text else []


def match_cells(
    old_cells: list[CodeCell], new_cells: list[CodeCell]
) -> Iterator[tuple[CodeCell | None, CodeCell | None]]:
    """Yield (old cell, new cell) in order; None where a cell has no counterpart.

    An edited cell matches the most similar old cell between two cells that are the same.
    """
    old_sources = [cell.source for cell in old_cells]
    new_sources = [cell.source for cell in new_cells]
    matcher = SequenceMatcher(None, old_sources, new_sources, autojunk=False)
    for tag, start, old_end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            yield from zip(old_cells[start:old_end], new_cells[new_start:new_end], strict=True)
            continue
        for new_cell in new_cells[new_start:new_end]:
            candidates = old_sources[start:old_end]
            similar = get_close_matches(new_cell.source, candidates, 1, MIN_SIMILARITY)
            if not similar:
                yield None, new_cell
                continue
            index = old_sources.index(similar[0], start)
            yield from ((deleted_cell, None) for deleted_cell in old_cells[start:index])
            yield old_cells[index], new_cell
            start = index + 1
        yield from ((deleted_cell, None) for deleted_cell in old_cells[start:old_end])
