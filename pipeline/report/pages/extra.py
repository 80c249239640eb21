"""A page that a step has handed over as Markdown, beside its report."""

from pipeline.report import markdown, rendering
from pipeline.report.exporter import DEPTH, HEADING, headings
from pipeline.report.pages.step import Body, Fact, links, neighbours
from pipeline.runs.records import RunRecord, StepRecord


def page(run: RunRecord, step: StepRecord, name: str, source: str, single: bool) -> str:
    """Its HTML. source: the Markdown. single: it is to stand alone."""
    around, there = neighbours(run, step, single)
    return rendering.render(
        "further.html.j2",
        "../",
        single,
        run=run,
        around=around,
        there=there,
        step=step,
        body=_body(step.pages[name], source),
        notice=step.notice or run.notice,
        live=False,
        facts=_facts(run, step, single),
    )


def _body(title: str, source: str) -> Body:
    first, _, rest = source.lstrip().partition("\n")
    if first.startswith("# ") and HEADING.match(first):
        source = rest  # the page has a title
    found = {
        markdown.slug(words): (level, markdown.slug(words), words)
        for level, words in reversed(headings(source))
        if level <= DEPTH
    }
    return Body(title, html=markdown.markdown(source), contents=list(found.values())[::-1])


def _facts(run: RunRecord, step: StepRecord, single: bool) -> list[Fact]:
    found = [Fact("belongs to", f"the step {step.name}", "" if single else step.report)]
    if step.data or run.data:
        found.append(Fact("data", step.data or run.data))
    found.append(Fact("when", rendering.moment(step.started or run.started)))
    if step.reused:
        href = "" if single else f"../{step.reused}/{step.report}"
        found.append(Fact("made by run", step.reused, href))
    return found + links(run, {})
