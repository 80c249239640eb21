"""A page that a step has handed over as Markdown, beside its report."""

from pipeline.report import markdown, rendering
from pipeline.report.exporter import HEADING_PATTERN, MAX_TOC_LEVEL, headings
from pipeline.report.pages.step import Field, RenderedNotebook, link_fields, navigation_steps
from pipeline.runs.records import RunRecord, StepRecord


def extra_page(run: RunRecord, step: StepRecord, name: str, source: str, single_file: bool) -> str:
    """Its HTML. source: the Markdown. single: it is to stand alone."""
    around, there = navigation_steps(run, step, single_file)
    return rendering.render_page(
        "further.html.j2",
        "../",
        single_file,
        run=run,
        around=around,
        there=there,
        step=step,
        body=_render_markdown(step.pages[name], source),
        notice=step.notice or run.notice,
        live=False,
        facts=_page_fields(run, step, single_file),
    )


def _render_markdown(title: str, source: str) -> RenderedNotebook:
    first, _, rest = source.lstrip().partition("\n")
    if first.startswith("# ") and HEADING_PATTERN.match(first):
        source = rest  # the page has a title
    found = {
        markdown.heading_anchor(words): (level, markdown.heading_anchor(words), words)
        for level, words in reversed(headings(source))
        if level <= MAX_TOC_LEVEL
    }
    return RenderedNotebook(
        title, html=markdown.markdown_to_html(source), toc_entries=list(found.values())[::-1]
    )


def _page_fields(run: RunRecord, step: StepRecord, single_file: bool) -> list[Field]:
    found = [Field("belongs to", f"the step {step.name}", "" if single_file else step.report)]
    if step.data or run.data:
        found.append(Field("data", step.data or run.data))
    found.append(Field("when", rendering.format_time(step.started or run.started)))
    if step.reused:
        href = "" if single_file else f"../{step.reused}/{step.report}"
        found.append(Field("made by run", step.reused, href))
    return found + link_fields(run, {})
