"""Match the code cells of two executed notebooks, edited cells included."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from pipeline.report import exporter, markdown, outputs
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
        if exporter.HIDDEN_TAGS & set(cell.metadata.get("tags", [])):
            continue
        if cell.cell_type == "markdown":
            titles = [heading for _, heading in exporter.headings(cell.source)]
            section = titles[-1] if titles else section
        elif cell.cell_type == "code" and cell.source.strip():
            execution = cell.metadata.get("papermill", {})
            status = CellStatus.from_papermill(execution.get("status"))
            code_cell = CodeCell(cell.source.strip("\n"), section, status=status)
            for output in cell.outputs:
                _collect_output(output, code_cell)
            cells.append(code_cell)
    return cells


def _collect_output(output: Any, cell: CodeCell) -> None:
    """Add the output to the cell's tables, figures or texts."""
    output_type = output["output_type"]
    if output_type == "stream":
        if output["name"] == "stdout":
            cell.texts.append(markdown.strip_ansi_codes(output["text"]))
    elif output_type == "error":
        cell.texts.append(f"{output['ename']}: {output['evalue']}")
    else:
        mime_bundle = {
            mime_type: outputs.join_lines(content) for mime_type, content in output["data"].items()
        }
        if any(mime_type.startswith("image/") for mime_type in mime_bundle):
            cell.figures.append(mime_bundle)
        elif "<table" in mime_bundle.get("text/html", ""):
            cell.tables.append(mime_bundle["text/html"])
        elif "text/markdown" in mime_bundle:
            cell.texts.append(markdown.markdown_to_text(mime_bundle["text/markdown"]))
        elif "text/plain" in mime_bundle:
            cell.texts.append(mime_bundle["text/plain"])


def match_cells(
    old_cells: list[CodeCell], new_cells: list[CodeCell]
) -> Iterator[tuple[CodeCell | None, CodeCell | None]]:
    """Yield (old cell, new cell) in order; None where a cell has no counterpart."""
    old_sources = [cell.source for cell in old_cells]
    new_sources = [cell.source for cell in new_cells]
    matcher = SequenceMatcher(None, old_sources, new_sources, autojunk=False)
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        old_group, new_group = old_cells[old_start:old_end], new_cells[new_start:new_end]
        if tag == "equal":
            yield from zip(old_group, new_group, strict=True)
        else:
            yield from _match_edited_cells(old_group, new_group)


def _match_edited_cells(
    old_cells: list[CodeCell], new_cells: list[CodeCell]
) -> Iterator[tuple[CodeCell | None, CodeCell | None]]:
    """Match each new cell, in order, to the most similar old cell after the last one matched."""
    start = 0
    for new_cell in new_cells:
        candidates = [
            (_similarity(old_cells[i], new_cell), -i) for i in range(start, len(old_cells))
        ]
        similarity, negative_index = max(candidates, default=(0.0, 0))  # the first of equals
        if similarity < MIN_SIMILARITY:
            yield None, new_cell
            continue
        index = -negative_index
        for deleted_cell in old_cells[start:index]:
            yield deleted_cell, None
        yield old_cells[index], new_cell
        start = index + 1
    for deleted_cell in old_cells[start:]:
        yield deleted_cell, None


def _similarity(old_cell: CodeCell, new_cell: CodeCell) -> float:
    return SequenceMatcher(None, old_cell.source, new_cell.source, autojunk=False).ratio()
