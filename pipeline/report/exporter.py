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
from pipeline.report.pages.step import Body

TEMPLATES = Path(__file__).parent / "templates"
ANSWER = "the bottom line"  # the section whose outputs are the report's answer
PLUMBING = {"injected-parameters", "remove_cell", "remove-cell"}
HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
DEPTH = 3  # of the headings in the table of contents


def read(executed: Path) -> Any:
    """The executed notebook."""
    return nbformat.v4.reads(executed.read_text())  # unchecked: the runner wrote it


def body(notebook: Any, otherwise: str) -> Body:
    """The page's parts. otherwise: the title of a notebook that has none."""
    made = Body(source=notebook.metadata.get("papermill", {}).get("input_path", ""))
    folder = Path(made.source).parent if made.source else None
    cells, section, seen = [], "", set()
    for number, cell in enumerate(notebook.cells):
        if PLUMBING & set(cell.metadata.get("tags", [])):
            continue
        shown = Shown(cell, number, section)
        if cell.cell_type == "markdown":
            source = cell.source
            if not made.title:
                made.title, source = _title(source)
                if made.title:
                    made.question = markdown.markdown(source, folder, cell.get("attachments"))
                    continue
            for level, words in headings(source):
                section = words
                anchor = markdown.slug(words)
                if level <= DEPTH and anchor not in seen:
                    made.contents.append((level, anchor, words))
                seen.add(anchor)
            shown.section = section
            shown.html = Markup(markdown.markdown(source, folder, cell.get("attachments")))
        elif cell.cell_type == "code" and section.lower() == ANSWER:
            made.answer += "".join(_answer(one) for one in cell.outputs)
        cells.append(shown)
        made.cells[number] = shown
    made.title = made.title or otherwise
    states = notebook.metadata.get("widgets", {}).get(
        "application/vnd.jupyter.widget-state+json", {}
    )
    resources = {"cells": cells, "widgets": states.get("state", {})}
    made.html, _ = _exporter().from_notebook_node(notebook, resources)
    return made


class Shown:
    """A cell, and what the template wants to know of it."""

    def __init__(self, cell: Any, number: int, section: str) -> None:
        self.cell, self.number, self.section, self.html = cell, number, section, Markup("")
        self.kind = cell.cell_type
        self.source = cell.source.strip("\n")
        about = cell.metadata.get("papermill", {})
        self.status = {"completed": "ran", "pending": "not run"}.get(
            about.get("status"), about.get("status") or "ran"
        )
        self.seconds = about.get("duration") or 0.0
        self.is_signature = "parameters" in cell.metadata.get("tags", [])
        self.marked = _failing_line(cell) if self.status == "failed" else None


def _title(source: str) -> tuple[str, str]:
    """The first heading's words, and the text without it."""
    lines = source.strip().splitlines()
    found = HEADING.match(lines[0]) if lines else None
    return (markdown.words(found[2]), "\n".join(lines[1:])) if found else ("", source)


def headings(source: str) -> list[tuple[int, str]]:
    """(level, words) of each heading in Markdown."""
    fenced = re.sub(r"(?ms)^(```|~~~).*?^\1", "", source)
    found = (HEADING.match(one) for one in fenced.splitlines())
    return [(len(one[1]), markdown.words(one[2])) for one in found if one]


def _answer(output: Any) -> str:
    """A sentence that a cell of the bottom line shows."""
    data = output.get("data", {})
    for kind in ("text/markdown", "text/plain"):
        if kind in data and "text/html" not in data and "image/png" not in data:
            content = "".join(data[kind])
            if kind == "text/markdown":
                return markdown.markdown(content, prefix="answer-")
            return "" if content in ("True", "False", "None") else f"<p>{content}</p>"
    return ""


def _failing_line(cell: Any) -> int | None:
    """The line of the cell that a traceback points at."""
    for one in cell.get("outputs", []):
        if one["output_type"] == "error":
            said = markdown.uncoloured("\n".join(one["traceback"]))
            found = re.findall(r"Cell In\[\d+\], line (\d+)", said)
            found = found or re.findall(r"^-+> (\d+) ", said, re.MULTILINE)
            return int(found[0]) if found else None
    return None


@cache
def _exporter() -> TemplateExporter:
    config = Config({"TemplateExporter": {"default_preprocessors": [], "filters": {
        "shown": _shown, "messages": outputs.messages, "code": markdown.code,
    }}})  # fmt: skip
    return _Exporter(
        config=config, template_name="notebook", extra_template_basedirs=[str(TEMPLATES)]
    )


class _Exporter(TemplateExporter):
    file_extension = ".html"
    output_mimetype = "text/html"


@pass_context
def _shown(context: Any, cell: Shown) -> str:
    return outputs.shown(cell.cell.outputs, context["resources"]["widgets"], cell.section)
