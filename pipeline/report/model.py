"""What the pages of a report are made from."""

import re
from dataclasses import dataclass, field
from html import unescape
from typing import NamedTuple

from markupsafe import Markup

from pipeline.definition.project import Project
from pipeline.report.anchors import Anchors, Heading
from pipeline.runs.status import CellStatus

MAX_NAVIGATION_STEPS = 12  # of a run with more, a page names the previous and the next step only
MAX_CONTENTS_LEVELS = 3  # of the headings in a table of contents
NO_HTML = Markup("")
TITLE_PATTERN = re.compile(r'\s*<h([1-6]) id="([^"]*)"[^>]*>(.*?)</h\1>\n?(.*)', re.DOTALL)
NEXT_HEADING_PATTERN = re.compile(r"(?=<h[1-6][\s>])")
BLOCK_TAG_PATTERN = re.compile(r"<(/?)(?:div|blockquote|ul|ol|dl|details|section|table)\b")


@dataclass
class RenderedCell:
    """What a page shows of a cell besides its outputs."""

    number: int  # from 1, in the notebook as users have it, with all its cells
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
        return not self.status.is_success and self.status is not CellStatus.NOT_RUN


@dataclass
class RenderedNotebook:
    """What a page shows of a notebook, or of a single text in Markdown."""

    title: str = ""
    title_anchor: str = ""  # the id of the title; empty if it is no heading of the notebook
    question: Markup = NO_HTML  # the text below the title
    summary: Markup = NO_HTML
    html: Markup = NO_HTML
    anchors: Anchors = field(default_factory=Anchors)
    source_path: str = ""  # of the notebook that was executed, as papermill recorded it
    language: str = "python"  # of the code, as Pygments calls it
    cells: dict[int, RenderedCell] = field(default_factory=dict)  # by number; not the removed cells

    @property
    def headings(self) -> list[Heading]:
        """All headings, in order."""
        return self.anchors.headings

    @property
    def contents(self) -> list[Heading]:
        """The headings in the table of contents: those of the upper levels that there are."""
        top = min((heading.level for heading in self.headings), default=1)
        return [each for each in self.headings if each.level < top + MAX_CONTENTS_LEVELS]

    def add_headings(self, html: Markup) -> Markup:
        """Add the headings of a text to the table of contents.

        Returns the text's HTML, in which each heading has an id of its own.
        """
        return Markup(self.anchors.assign_ids(html))

    def resolve_links(self, html: Markup) -> Markup:
        """Return the HTML with links within the page that lead to its headings and ids."""
        return Markup(self.anchors.resolve_links(html))

    def take_title(self) -> None:
        """Make the first heading the title, and the text below it the question.

        A heading below level 1 is a title only if no other has its level or a higher one. A title
        stays in the table of contents if it is one of several headings of its level.
        """
        for cell in self.cells.values():
            match = TITLE_PATTERN.fullmatch(cell.html)
            if match and unescape(match[2]) == self.headings[0].anchor:
                title, *others = self.headings
                is_only_one = all(other.level > title.level for other in others)
                if title.level > 1 and not is_only_one:
                    return
                self.title, self.title_anchor = title.text, title.anchor
                if is_only_one:
                    self.headings.remove(title)
                question, *sections = NEXT_HEADING_PATTERN.split(match[4])
                tags = BLOCK_TAG_PATTERN.findall(question)
                if tags.count("") != tags.count("/"):  # the next heading is within a block
                    question, sections = match[4], []
                self.question = Markup(question)
                cell.html = Markup("".join(sections))
                return


class PageContext(NamedTuple):
    """What a page knows of the project and of the pages around it."""

    project: Project
    single_file: bool = False  # no links to other pages
    live: bool = False  # the run goes on, so the page will change
    written_at: str = ""  # UTC, ISO 8601: when what a live page says was true
    linked_steps: frozenset[str] = frozenset()  # names of the steps that have a page
    previous_run_id: str = ""  # the newest earlier run in which the step was done; empty if none
    comparison_href: str = ""  # the comparison with the previous run, relative to reports/


class Field(NamedTuple):
    """A label and its value in the header of a page, which may be a link."""

    name: str
    text: str
    href: str = ""
