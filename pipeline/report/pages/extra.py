"""A page that a step has handed over as Markdown, beside its report."""

from pipeline.report import markdown, rendering
from pipeline.report.exporter import HEADING_PATTERN, MAX_TOC_LEVEL, headings
from pipeline.report.model import Field, RenderedNotebook
from pipeline.report.pages.step import (
    data_fields,
    link_fields,
    navigation_steps,
    reused_fields,
)
from pipeline.runs.records import RunRecord, StepRecord


def extra_page(run: RunRecord, step: StepRecord, name: str, source: str, single_file: bool) -> str:
    """Return the HTML of an extra page.

    name: of the page in step.pages. source: its Markdown. single_file: without links to others.
    """
    steps, linked_steps = navigation_steps(run, step, single_file)
    return rendering.render_page(
        "extra.html.j2",
        "../",
        single_file,
        run=run,
        navigation_steps=steps,
        linked_steps=linked_steps,
        step=step,
        content=_render_markdown(step.pages[name], source),
        notice=step.notice or run.notice,
        live=False,
        fields=_page_fields(run, step, single_file),
    )


def _render_markdown(title: str, source: str) -> RenderedNotebook:
    """Render the Markdown; a heading in its first line is dropped, as the page has a title."""
    first_line, _, following_lines = source.lstrip().partition("\n")
    if first_line.startswith("# ") and HEADING_PATTERN.match(first_line):
        source = following_lines
    toc_entries: dict[str, tuple[int, str, str]] = {}  # by anchor: the first heading of each counts
    for level, heading in reversed(headings(source)):
        if level <= MAX_TOC_LEVEL:
            anchor = markdown.heading_anchor(heading)
            toc_entries[anchor] = (level, anchor, heading)
    return RenderedNotebook(
        title, html=markdown.markdown_to_html(source), toc_entries=list(toc_entries.values())[::-1]
    )


def _page_fields(run: RunRecord, step: StepRecord, single_file: bool) -> list[Field]:
    report_href = "" if single_file else step.report
    return [
        Field("belongs to", f"the step {step.name}", report_href),
        *data_fields(run, step),
        Field("when", rendering.format_time(step.started or run.started)),
        *reused_fields(step, not single_file),
        *link_fields(run, {}),
    ]
