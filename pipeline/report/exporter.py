"""Convert notebooks to pages: `jupyter nbconvert --to report notebook.ipynb`, and for the runner.

The runner calls `slow_imports.skip_rfc3987_syntax` before it imports this module.
"""

from functools import cache
from pathlib import Path
from typing import Any

import nbformat.v4
from markupsafe import Markup
from nbconvert.exporters import HTMLExporter, TemplateExporter
from nbformat import NotebookNode
from traitlets.config import Config

from pipeline.report import markdown, rendering
from pipeline.report.local_files import NO_FILES, LocalFiles
from pipeline.report.model import RenderedNotebook
from pipeline.report.preprocessors import (
    REMOVE_CELL_TAGS,
    TagPreprocessor,
    render_cells,
    resolve_links,
)
from pipeline.runs.strict_json import decode_json


class ReportExporter(HTMLExporter):
    """Export a notebook as one page with a summary and a table of contents, that loads nothing."""

    export_from_notebook = "Report"

    def __init__(self, config: Config | None = None, **traits: Any) -> None:
        super().__init__(config, **traits)
        rendering.configure(self.environment)
        self.environment.filters |= {
            "ansi_to_html": markdown.ansi_to_html,
            "highlight_code": markdown.highlight_code,
        }

    @property
    def default_config(self) -> Config:
        template_folders = [str(rendering.TEMPLATE_DIR)]
        config = super().default_config
        config.Exporter.preprocessors = [TagPreprocessor, render_cells, resolve_links]
        config.TemplateExporter.template_name = "report"
        config.TemplateExporter.extra_template_basedirs = template_folders
        config.TemplateExporter.extra_template_paths = template_folders
        config.TagPreprocessor.remove_cell_tags = REMOVE_CELL_TAGS
        config.TagPreprocessor.remove_input_tags = {"remove-input"}
        config.TagPreprocessor.remove_all_outputs_tags = {"remove-output"}
        return config

    def from_notebook_node(  # type: ignore[override]
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[str, dict[str, Any]]:
        # the ids of cells are not shown, but nbconvert would reject a page for an odd one
        cells = [
            NotebookNode({**cell, "id": f"cell-{number}"}) if "id" in cell else cell
            for number, cell in enumerate(nb.cells, 1)
        ]
        nb = NotebookNode({**nb, "cells": cells})
        # without HTMLExporter's, which parses the page with BeautifulSoup: 0.1 to 0.2 s for the
        # alternative texts that our images have
        return TemplateExporter.from_notebook_node(self, nb, resources, **options)


def read_notebook(path: Path) -> NotebookNode:
    """Return the notebook at the path, without validation: the runner wrote it.

    Raises ValueError, which names the file, if it is damaged, OSError if it cannot be read.
    """
    content = path.read_bytes()
    try:
        return nbformat.v4.to_notebook(decode_json(content))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(
            f"{path} is no executed notebook any more ({type(error).__name__}: {error}); restore "
            "the file, or run its step again with --force"
        ) from None


def render_notebook(
    notebook: NotebookNode,
    default_title: str,
    files: LocalFiles = NO_FILES,
    is_running: bool = False,
) -> RenderedNotebook:
    """Return the parts of a page that come from the notebook.

    default_title: the title if the notebook has none. files: where its relative URLs lead; the
    notebook itself says in which folder. is_running: it may get more outputs.
    """
    resources: dict[str, Any] = {
        "metadata": {"name": default_title},
        "files": files,
        "is_running": is_running,
    }
    html, resources = _cells_exporter().from_notebook_node(notebook, resources)
    rendered: RenderedNotebook = resources["notebook"]
    rendered.html = Markup(html)
    return rendered


@cache
def _cells_exporter() -> ReportExporter:
    return ReportExporter(template_file="cells.html.j2")
