"""A page that a step has published as Markdown, beside its report."""

from markupsafe import Markup

from pipeline.report import markdown, rendering
from pipeline.report.model import PageContext, RenderedNotebook
from pipeline.report.pages.step import navigation_steps
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.runs.results import ExtraPage


def render_extra_page(
    run: RunRecord, step: StepRecord, page: ExtraPage, context: PageContext
) -> str:
    """Return the HTML of a page that the step has published.

    A heading in its first line is dropped, as the page has a title.
    """
    text = page.markdown.lstrip()
    text = text.partition("\n")[2] if text.startswith("# ") else text
    content = RenderedNotebook(page.title)
    html = content.resolve_links(content.add_headings(markdown.markdown_to_html(text)))
    content.html = Markup('<div class="text">{}</div>').format(html)
    return rendering.render_template(
        "extra.html.j2",
        **context._replace(live=False)._asdict(),
        run=run,
        step=step,
        notebook=content,
        navigation_steps=navigation_steps(run, step),
    )
