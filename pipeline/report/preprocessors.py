"""Prepare a notebook for its template: tags, summary, contents, and outputs that are safe."""

import re
from pathlib import Path
from typing import Any

from markupsafe import Markup
from nbconvert.filters.ansi import strip_ansi
from nbconvert.preprocessors import TagRemovePreprocessor
from nbformat import NotebookNode

from pipeline.definition import notebook_file
from pipeline.report import markdown
from pipeline.report.local_files import LocalFiles
from pipeline.report.model import RenderedCell, RenderedNotebook
from pipeline.report.outputs import OutputRenderer
from pipeline.report.widgets import widget_states
from pipeline.runs.status import CellStatus

SUMMARY_HEADING = "the bottom line"  # the section whose outputs are the summary of the report
SUMMARY_HEADING_PATTERN = re.compile(rf"(?:[\d.]+\)?\s*)?{SUMMARY_HEADING}\W*", re.IGNORECASE)
REMOVE_CELL_TAGS = {"remove-cell", "injected-parameters"}  # their cells are not on the page
# formats of a sentence in the summary; a cell's table or figure stays below
SENTENCE_MIME_TYPES = {"text/plain", "text/markdown", "text/latex"}

Resources = dict[str, Any]


class TagPreprocessor(TagRemovePreprocessor):
    """Remove what the tags of Jupyter Book name: remove-cell, remove-input, remove-output.

    The older spelling with underscores counts too. Each cell keeps its number, as failures name it.
    """

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        numbers = [index + 1 for index in notebook_file.source_cell_indexes(nb.cells)]
        for number, cell in zip(numbers, nb.cells, strict=True):
            tags = [tag.replace("_", "-") for tag in cell.metadata.get("tags", [])]
            cell.metadata.tags = tags
            cell.metadata["report"] = RenderedCell(number, cell.source.strip("\n"))
        return super().preprocess(nb, resources)


def render_cells(nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
    """Render the cells in order, and describe the notebook in resources["notebook"].

    It has the title, the summary, the headings and the cells. The HTML of each output is in
    output["html"].
    """
    source_path = nb.metadata.get("papermill", {}).get("input_path", "")
    language = nb.metadata.get("language_info", {})
    notebook = RenderedNotebook(
        source_path=source_path,
        language=language.get("pygments_lexer") or language.get("name") or "python",
    )
    resources["notebook"] = notebook
    folder = str(Path(source_path).parent) if source_path else resources["metadata"].get("path")
    files: LocalFiles = resources.get("files", LocalFiles())
    renderer = OutputRenderer(
        widget_states(nb.metadata),
        files._replace(folder=Path(folder) if folder else None),
        is_running=resources.get("is_running", False),
    )
    for cell in nb.cells:
        rendered_cell: RenderedCell = cell.metadata["report"]
        notebook.cells[rendered_cell.number] = rendered_cell
        if cell.cell_type == "markdown":
            html = markdown.markdown_to_html(
                cell.source, renderer.files, cell.get("attachments"), macros=renderer.macros
            )
            rendered_cell.html = notebook.add_headings(html)
        elif cell.cell_type == "code":
            _describe_execution(cell, rendered_cell)
            for output in cell.outputs:
                output["html"] = renderer.render(output)
            if SUMMARY_HEADING_PATTERN.fullmatch(renderer.section):
                notebook.summary += Markup("").join(
                    _summary_html(output, renderer) for output in cell.outputs
                )
        if notebook.headings:
            renderer.section = rendered_cell.section = notebook.headings[-1].text
    notebook.take_title()
    notebook.title = notebook.title or resources["metadata"]["name"]
    return nb, resources


def resolve_links(nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
    """Make the links within the notebook, and to it, lead to its headings, wherever they are."""
    notebook: RenderedNotebook = resources["notebook"]
    notebook.question = notebook.resolve_links(notebook.question)
    notebook.summary = notebook.resolve_links(notebook.summary)
    for cell in notebook.cells.values():
        cell.html = Markup(notebook.anchors.add_github_ids(notebook.resolve_links(cell.html)))
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            output["html"] = notebook.resolve_links(output["html"])
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


def _summary_html(output: NotebookNode, renderer: OutputRenderer) -> Markup:
    """Return the HTML of an output in the summary section; empty if it is no sentence."""
    mime_bundle = output.get("data", {})
    if not mime_bundle or set(mime_bundle) - SENTENCE_MIME_TYPES:
        return Markup("")
    if "text/markdown" in mime_bundle:
        return markdown.markdown_to_html(
            mime_bundle["text/markdown"],
            renderer.files,
            id_prefix="answer-",
            macros=renderer.macros,
        )
    if "text/latex" in mime_bundle:
        return renderer.render_text(mime_bundle)
    text = mime_bundle.get("text/plain", "")
    is_sentence = text not in ("", "True", "False", "None")
    return Markup("<p>{}</p>").format(text) if is_sentence else Markup("")
