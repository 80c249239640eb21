"""Prepare a notebook for its template: tags, summary, contents, and outputs that are safe."""

import re
from pathlib import Path
from typing import Any

from markupsafe import Markup
from nbconvert.filters.ansi import strip_ansi
from nbconvert.preprocessors import TagRemovePreprocessor
from nbformat import NotebookNode

from pipeline.report import markdown, outputs
from pipeline.report.model import RenderedCell, RenderedNotebook
from pipeline.runs.status import CellStatus

SUMMARY_HEADING = "the bottom line"  # the section whose outputs are the summary of the report
REMOVE_CELL_TAGS = {"remove-cell", "injected-parameters"}
TITLE_PATTERN = re.compile(r"\s*<h[1-6][^>]*>(.*?)</h[1-6]>\n?(.*)", re.DOTALL)
WIDGET_STATE_MIME_TYPE = "application/vnd.jupyter.widget-state+json"

Resources = dict[str, Any]


class TagPreprocessor(TagRemovePreprocessor):
    """Remove what the tags of Jupyter Book name: remove-cell, remove-input, remove-output.

    The older spelling with underscores counts too. Each cell keeps its number, as failures name it.
    """

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        for number, cell in enumerate(nb.cells, start=1):
            tags = [tag.replace("_", "-") for tag in cell.metadata.get("tags", [])]
            cell.metadata.tags = tags
            cell.metadata["report"] = RenderedCell(number, cell.source.strip("\n"))
        return super().preprocess(nb, resources)


def describe_notebook(nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
    """Describe the notebook in resources["notebook"]: title, summary, headings and cells."""
    source_path = nb.metadata.get("papermill", {}).get("input_path", "")
    language = nb.metadata.get("language_info", {})
    notebook = RenderedNotebook(
        source_path=source_path,
        language=language.get("pygments_lexer") or language.get("name") or "python",
    )
    resources["notebook"] = notebook
    image_dir = Path(source_path).parent if source_path else resources["metadata"].get("path")
    for cell in nb.cells:
        rendered_cell: RenderedCell = cell.metadata["report"]
        notebook.cells[rendered_cell.number] = rendered_cell
        if cell.cell_type == "markdown":
            attachments = cell.get("attachments")
            html = markdown.markdown_to_html(cell.source, image_dir, attachments)
            title = None if notebook.title else TITLE_PATTERN.fullmatch(html)
            if title:
                notebook.title = Markup(title[1]).striptags()
                notebook.question = Markup(title[2])
            else:
                rendered_cell.html = notebook.add_headings(html)
        elif cell.cell_type == "code":
            _describe_execution(cell, rendered_cell)
            if notebook.headings and notebook.headings[-1].text.lower() == SUMMARY_HEADING:
                notebook.summary += Markup("").join(map(_summary_html, cell.outputs))
        if notebook.headings:
            rendered_cell.section = notebook.headings[-1].text
    notebook.title = notebook.title or resources["metadata"]["name"]
    return nb, resources


def _describe_execution(cell: NotebookNode, rendered_cell: RenderedCell) -> None:
    """Fill in how the execution of a code cell ended, as papermill recorded it."""
    execution = cell.metadata.get("papermill", {})
    rendered_cell.status = CellStatus.from_papermill(execution.get("status"))
    rendered_cell.seconds = execution.get("duration") or 0.0
    for output in cell.outputs:
        if output["output_type"] == "error":
            traceback = strip_ansi("\n".join(output["traceback"]))
            line = re.search(r"Cell In\[\d+\], line (\d+)|^-+> (\d+) ", traceback, re.MULTILINE)
            rendered_cell.failing_line = int(line[1] or line[2]) if line else None


def _summary_html(output: NotebookNode) -> Markup:
    """Return the HTML of an output in the summary section; empty if it is no sentence."""
    mime_bundle = output.get("data", {})
    if "text/html" in mime_bundle or "image/png" in mime_bundle:
        return Markup("")
    if "text/markdown" in mime_bundle:
        return markdown.markdown_to_html(mime_bundle["text/markdown"], id_prefix="answer-")
    text = mime_bundle.get("text/plain", "")
    is_sentence = text not in ("", "True", "False", "None")
    return Markup("<p>{}</p>").format(text) if is_sentence else Markup("")


def render_outputs(nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
    """Replace widgets, HTML and figures by sanitized HTML that loads nothing from elsewhere."""
    widgets = nb.metadata.get("widgets", {}).get(WIDGET_STATE_MIME_TYPE, {}).get("state", {})
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            if "data" in output:
                section = cell.metadata["report"].section
                rendered = outputs.render_rich_output(output, widgets, section)
                if rendered:
                    output.data["text/html"] = rendered
    return nb, resources
