"""What the pages of a report are made from."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from markupsafe import Markup

from pipeline.definition.project import Project
from pipeline.runs.status import CellStatus

MAX_NAVIGATION_STEPS = 12  # of a run with more, a page names the previous and the next step only
NO_HTML = Markup("")
HEADING_PATTERN = re.compile(r'<h([1-6]) id="([^"]*)">(.*?)</h\1>', re.DOTALL)


class Heading(NamedTuple):
    """A heading in the table of contents."""

    level: int
    anchor: str
    text: str


@dataclass
class RenderedCell:
    """What a page shows of a cell besides its outputs."""

    number: int  # from 1, in the notebook with all its cells
    source: str
    section: str = ""  # the text of the heading above
    html: Markup = NO_HTML  # of a Markdown cell
    status: CellStatus = CellStatus.RAN
    seconds: float = 0.0
    failing_line: int | None = None

    @property
    def has_run(self) -> bool:
        """Whether the cell ended well."""
        return self.status is CellStatus.RAN

    @property
    def needs_attention(self) -> bool:
        """Whether the cell started and did not end well."""
        return self.status not in (CellStatus.RAN, CellStatus.NOT_RUN)


@dataclass
class RenderedNotebook:
    """What a page shows of a notebook, or of a single text in Markdown."""

    title: str = ""
    question: Markup = NO_HTML  # the text below the title
    summary: Markup = NO_HTML
    html: Markup = NO_HTML
    headings: list[Heading] = field(default_factory=list)
    source_path: str = ""  # of the notebook that was executed, as papermill recorded it
    language: str = "python"  # of the code, as Pygments calls it
    cells: dict[int, RenderedCell] = field(default_factory=dict)  # by number; not the removed cells

    def add_headings(self, html: Markup) -> Markup:
        """Add the headings of a text to the table of contents.

        Returns the text's HTML, in which each heading has an id of its own.
        """
        anchors = {heading.anchor for heading in self.headings}

        def add_heading(match: re.Match[str]) -> str:
            level, name, heading_html = match.groups()
            anchor, number = name, 1
            while anchor in anchors:
                number += 1
                anchor = f"{name}-{number}"
            anchors.add(anchor)
            self.headings.append(Heading(int(level), anchor, Markup(heading_html).striptags()))
            return f'<h{level} id="{anchor}">{heading_html}</h{level}>'

        return Markup(HEADING_PATTERN.sub(add_heading, html))


class PageContext(NamedTuple):
    """What a page knows of the project and of the pages around it."""

    project: Project
    single_file: bool = False  # no links to other pages
    live: bool = False  # the run goes on, so the page will change
    previous_run_id: str = ""  # the newest earlier run in which the step was done; empty if none
    comparison_href: str = ""  # the comparison with the previous run, relative to reports/


class Field(NamedTuple):
    """A label and its value in the header of a page, which may be a link."""

    name: str
    text: str
    href: str = ""
