"""An executed notebook's cells as the body of a page, by our own nbconvert template."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import nbformat.v4
from jinja2 import pass_context
from markupsafe import Markup
from nbconvert.exporters import TemplateExporter
from traitlets.config import Config

from pipeline.report import markdown, outputs
from pipeline.report.pages.step import RenderedNotebook

TEMPLATE_DIR = Path(__file__).parent / "templates"
SUMMARY_HEADING = "the bottom line"  # the section whose outputs are the report's answer
HIDDEN_TAGS = {"injected-parameters", "remove_cell", "remove-cell"}
HEADING_PATTERN = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
MAX_TOC_LEVEL = 3  # of the headings in the table of contents


def read_notebook(path: Path) -> Any:
    """The executed notebook."""
    return nbformat.v4.reads(path.read_text())  # unchecked: the runner wrote it


def render_notebook(notebook: Any, default_title: str) -> RenderedNotebook:
    """The page's parts. otherwise: the title of a notebook that has none."""
    made = RenderedNotebook(
        source_path=notebook.metadata.get("papermill", {}).get("input_path", "")
    )
    folder = Path(made.source_path).parent if made.source_path else None
    cells, section, seen = [], "", set()
    for number, cell in enumerate(notebook.cells):
        if HIDDEN_TAGS & set(cell.metadata.get("tags", [])):
            continue
        shown = RenderedCell(cell, number, section)
        if cell.cell_type == "markdown":
            source = cell.source
            if not made.title:
                made.title, source = _split_title(source)
                if made.title:
                    made.question = markdown.markdown_to_html(
                        source, folder, cell.get("attachments")
                    )
                    continue
            for level, words in headings(source):
                section = words
                anchor = markdown.heading_anchor(words)
                if level <= MAX_TOC_LEVEL and anchor not in seen:
                    made.toc_entries.append((level, anchor, words))
                seen.add(anchor)
            shown.section = section
            shown.html = Markup(markdown.markdown_to_html(source, folder, cell.get("attachments")))
        elif cell.cell_type == "code" and section.lower() == SUMMARY_HEADING:
            made.summary += "".join(_summary_html(one) for one in cell.outputs)
        cells.append(shown)
        made.cells[number] = shown
    made.title = made.title or default_title
    states = notebook.metadata.get("widgets", {}).get(
        "application/vnd.jupyter.widget-state+json", {}
    )
    resources = {"cells": cells, "widgets": states.get("state", {})}
    made.html, _ = _notebook_exporter().from_notebook_node(notebook, resources)
    return made


class RenderedCell:
    """A cell, and what the template wants to know of it."""

    def __init__(self, cell: Any, index: int, section: str) -> None:
        self.cell, self.index, self.section, self.html = cell, index, section, Markup("")
        self.cell_type = cell.cell_type
        self.source = cell.source.strip("\n")
        about = cell.metadata.get("papermill", {})
        self.status = {"completed": "ran", "pending": "not run"}.get(
            about.get("status"), about.get("status") or "ran"
        )
        self.seconds = about.get("duration") or 0.0
        self.is_parameters_cell = "parameters" in cell.metadata.get("tags", [])
        self.failing_line = _failing_line(cell) if self.status == "failed" else None


def _split_title(source: str) -> tuple[str, str]:
    """The first heading's words, and the text without it."""
    lines = source.strip().splitlines()
    found = HEADING_PATTERN.match(lines[0]) if lines else None
    return (markdown.markdown_to_text(found[2]), "\n".join(lines[1:])) if found else ("", source)


def headings(source: str) -> list[tuple[int, str]]:
    """(level, words) of each heading in Markdown."""
    fenced = re.sub(r"(?ms)^(```|~~~).*?^\1", "", source)
    found = (HEADING_PATTERN.match(one) for one in fenced.splitlines())
    return [(len(one[1]), markdown.markdown_to_text(one[2])) for one in found if one]


def _summary_html(output: Any) -> str:
    """A sentence that a cell of the bottom line shows."""
    data = output.get("data", {})
    for kind in ("text/markdown", "text/plain"):
        if kind in data and "text/html" not in data and "image/png" not in data:
            content = "".join(data[kind])
            if kind == "text/markdown":
                return markdown.markdown_to_html(content, id_prefix="answer-")
            return "" if content in ("True", "False", "None") else f"<p>{content}</p>"
    return ""


def _failing_line(cell: Any) -> int | None:
    """The line of the cell that a traceback points at."""
    for one in cell.get("outputs", []):
        if one["output_type"] == "error":
            said = markdown.strip_ansi_codes("\n".join(one["traceback"]))
            found = re.findall(r"Cell In\[\d+\], line (\d+)", said)
            found = found or re.findall(r"^-+> (\d+) ", said, re.MULTILINE)
            return int(found[0]) if found else None
    return None


@cache
def _notebook_exporter() -> TemplateExporter:
    config = Config({"TemplateExporter": {"default_preprocessors": [], "filters": {
        "shown": _render_cell_outputs, "messages": outputs.render_stderr, "code": markdown.highlight_code,
    }}})  # fmt: skip
    return _NotebookExporter(
        config=config, template_name="notebook", extra_template_basedirs=[str(TEMPLATE_DIR)]
    )


class _NotebookExporter(TemplateExporter):
    file_extension = ".html"
    output_mimetype = "text/html"


@pass_context
def _render_cell_outputs(context: Any, cell: RenderedCell) -> str:
    return outputs.render_outputs(cell.cell.outputs, context["resources"]["widgets"], cell.section)
