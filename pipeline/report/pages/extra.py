"""A page that a step has published as Markdown, beside its report."""

from pipeline.report import markdown, rendering
from pipeline.report.exporter import HEADING_PATTERN, MAX_TOC_LEVEL, headings
from pipeline.report.model import Field, PageContext, RenderedNotebook
from pipeline.report.pages.step import (
    fact_fields,
    link_fields,
    navigation_steps,
    reused_fields,
)
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.runs.results import ExtraPage


def render_extra_page(
    run: RunRecord, step: StepRecord, page: ExtraPage, context: PageContext
) -> str:
    """Return the HTML of a page that the step has published."""
    steps, linked_steps = navigation_steps(run, step, context.single_file)
    return rendering.render_page(
        "extra.html.j2",
        "../",
        context.single_file,
        run=run,
        navigation_steps=steps,
        linked_steps=linked_steps,
        step=step,
        content=_render_markdown(page),
        notice=step.notice or run.notice,
        live=False,
        fields=_page_fields(run, step, context),
    )


def _render_markdown(page: ExtraPage) -> RenderedNotebook:
    """Render the Markdown; a heading in its first line is dropped, as the page has a title."""
    source = page.markdown
    first_line, _, following_lines = source.lstrip().partition("\n")
    if first_line.startswith("# ") and HEADING_PATTERN.match(first_line):
        source = following_lines
    toc_entries: dict[str, tuple[int, str, str]] = {}  # by anchor: the first heading of each counts
    for level, heading in reversed(headings(source)):
        if level <= MAX_TOC_LEVEL:
            anchor = markdown.heading_anchor(heading)
            toc_entries[anchor] = (level, anchor, heading)
    return RenderedNotebook(
        page.title,
        html=markdown.markdown_to_html(source),
        toc_entries=list(toc_entries.values())[::-1],
    )


def _page_fields(run: RunRecord, step: StepRecord, context: PageContext) -> list[Field]:
    report_href = "" if context.single_file else step.report
    return [
        Field("belongs to", f"the step {step.name}", report_href),
        *fact_fields(context.project, run, step),
        Field("when", rendering.format_time(step.started or run.started)),
        *reused_fields(step, not context.single_file),
        *link_fields(run, {}),
    ]
