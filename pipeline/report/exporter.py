"""Render the cells of an executed notebook for a page, with an nbconvert template of our own.

Call `slow_imports.skip_rfc3987_syntax` before this module is imported.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import nbformat.v4
from jinja2 import StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from nbconvert.exporters import TemplateExporter
from traitlets.config import Config

from pipeline.report import markdown, outputs
from pipeline.report.model import RenderedNotebook
from pipeline.runs.status import CellStatus

TEMPLATE_DIR = Path(__file__).parent / "templates"
SUMMARY_HEADING = "the bottom line"  # the section whose outputs are the summary of the report
HIDDEN_TAGS = {"injected-parameters", "remove_cell", "remove-cell"}
HEADING_PATTERN = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
MAX_TOC_LEVEL = 3  # of the headings in the table of contents


def read_notebook(path: Path) -> Any:
    """Return the notebook at the path, without validation: the runner wrote it."""
    return nbformat.v4.reads(path.read_text())


def render_notebook(notebook: Any, default_title: str) -> RenderedNotebook:
    """Return the parts of a page that come from the notebook.

    default_title: the title if the notebook has none.
    """
    rendered = RenderedNotebook(
        source_path=notebook.metadata.get("papermill", {}).get("input_path", "")
    )
    image_dir = Path(rendered.source_path).parent if rendered.source_path else None
    section = ""
    anchors: set[str] = set()
    for index, cell in enumerate(notebook.cells):
        if HIDDEN_TAGS & set(cell.metadata.get("tags", [])):
            continue
        rendered_cell = RenderedCell(cell, index, section)
        if cell.cell_type == "markdown":
            source, attachments = cell.source, cell.get("attachments")
            if not rendered.title:
                rendered.title, source = _split_title(source)
                if rendered.title:
                    rendered.question = markdown.markdown_to_html(source, image_dir, attachments)
                    continue
            for level, heading in headings(source):
                section = heading
                anchor = markdown.heading_anchor(heading)
                if level <= MAX_TOC_LEVEL and anchor not in anchors:
                    rendered.toc_entries.append((level, anchor, heading))
                anchors.add(anchor)
            rendered_cell.section = section
            rendered_cell.html = Markup(markdown.markdown_to_html(source, image_dir, attachments))
        elif cell.cell_type == "code" and section.lower() == SUMMARY_HEADING:
            rendered.summary += "".join(_summary_html(output) for output in cell.outputs)
        rendered.cells[index] = rendered_cell
    rendered.title = rendered.title or default_title
    rendered.html = _cells_html(notebook, list(rendered.cells.values()))
    return rendered


class RenderedCell:
    """A cell with the values that the template shows."""

    def __init__(self, cell: Any, index: int, section: str) -> None:
        self.cell, self.index, self.section, self.html = cell, index, section, Markup("")
        self.cell_type = cell.cell_type
        self.source = cell.source.strip("\n")
        execution = cell.metadata.get("papermill", {})
        self.status = CellStatus.from_papermill(execution.get("status"))
        self.has_run = self.status is CellStatus.RAN
        self.needs_attention = not self.has_run and self.status is not CellStatus.NOT_RUN
        self.seconds = execution.get("duration") or 0.0
        self.is_parameters_cell = "parameters" in cell.metadata.get("tags", [])
        self.failing_line = _failing_line(cell) if self.status is CellStatus.FAILED else None


def _split_title(source: str) -> tuple[str, str]:
    """Return the text of the heading in the first line, and the Markdown without that line.

    ("", source) if the first line is no heading.
    """
    lines = source.strip().splitlines()
    heading = HEADING_PATTERN.match(lines[0]) if lines else None
    if not heading:
        return "", source
    return markdown.markdown_to_text(heading[2]), "\n".join(lines[1:])


def headings(source: str) -> list[tuple[int, str]]:
    """Return (level, text) of each heading in the Markdown."""
    without_code_blocks = re.sub(r"(?ms)^(```|~~~).*?^\1", "", source)
    matches = (HEADING_PATTERN.match(line) for line in without_code_blocks.splitlines())
    return [(len(match[1]), markdown.markdown_to_text(match[2])) for match in matches if match]


def _summary_html(output: Any) -> str:
    """Return the HTML of an output in the summary section; empty if it is no sentence."""
    mime_bundle = output.get("data", {})
    for mime_type in ("text/markdown", "text/plain"):
        is_text_only = "text/html" not in mime_bundle and "image/png" not in mime_bundle
        if mime_type in mime_bundle and is_text_only:
            text = "".join(mime_bundle[mime_type])
            if mime_type == "text/markdown":
                return markdown.markdown_to_html(text, id_prefix="answer-")
            return "" if text in ("True", "False", "None") else f"<p>{text}</p>"
    return ""


def _failing_line(cell: Any) -> int | None:
    """Return the number of the cell's line that its traceback points at; None without one."""
    for output in cell.get("outputs", []):
        if output["output_type"] == "error":
            traceback = markdown.strip_ansi_codes("\n".join(output["traceback"]))
            line_numbers = re.findall(r"Cell In\[\d+\], line (\d+)", traceback)
            line_numbers = line_numbers or re.findall(r"^-+> (\d+) ", traceback, re.MULTILINE)
            return int(line_numbers[0]) if line_numbers else None
    return None


def _cells_html(notebook: Any, cells: list[RenderedCell]) -> str:
    widgets = notebook.metadata.get("widgets", {})
    widget_states = widgets.get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    resources = {"cells": cells, "widgets": widget_states}
    cells_html, _ = _notebook_exporter().from_notebook_node(notebook, resources)
    return cells_html


@cache
def _notebook_exporter() -> TemplateExporter:
    filters = {
        "render_outputs": _render_cell_outputs,
        "render_stderr": outputs.render_stderr,
        "highlight_code": markdown.highlight_code,
    }
    exporter = _NotebookExporter(
        config=Config({"TemplateExporter": {"default_preprocessors": [], "filters": filters}}),
        template_name="notebook",
        extra_template_basedirs=[str(TEMPLATE_DIR)],
    )
    exporter.environment.undefined = StrictUndefined
    return exporter


class _NotebookExporter(TemplateExporter):
    file_extension = ".html"
    output_mimetype = "text/html"


@pass_context
def _render_cell_outputs(context: Context, cell: RenderedCell) -> str:
    widget_states = context["resources"]["widgets"]
    return outputs.render_outputs(cell.cell.outputs, widget_states, cell.section)
