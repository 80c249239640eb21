"""What the pages of a report are made from."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.definition.project import Project


@dataclass
class RenderedNotebook:
    """What a page shows of a notebook."""

    title: str = ""
    question: str = ""  # HTML: the text below the title
    summary: str = ""  # HTML
    html: str = ""
    toc_entries: list[tuple[int, str, str]] = field(default_factory=list)  # level, anchor, heading
    source_path: str = ""  # of the notebook that was executed, as papermill recorded it
    # index -> exporter.RenderedCell, without the hidden cells
    cells: dict[int, Any] = field(default_factory=dict)


class PageContext(NamedTuple):
    """What a page knows of the project and of the pages around it."""

    project: Project
    single_file: bool = False  # no links to other pages
    live: bool = False  # the run goes on, so the page will change
    previous_run_id: str = ""  # the newest earlier run in which the step was done; empty if none
    comparison_href: str = ""  # the comparison with the previous run, relative to reports/


class Field(NamedTuple):
    """A label and its value in the header of a page."""

    name: str
    text: str
    href: str = ""
    css_class: str = ""
