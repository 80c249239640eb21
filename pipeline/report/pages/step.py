"""A step's report, and the page of the run it belongs to."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.report import rendering
from pipeline.runs.records import (
    FAILED_STATUSES,
    RunRecord,
    StepRecord,
    format_duration,
    status_phrase,
)

MAX_NAVIGATION_STEPS = 12  # with more steps a page names its neighbours only
MAX_RUN_PAGE_STEPS = 100  # steps that a run's page tells of


@dataclass
class RenderedNotebook:
    """What a notebook gives to its page."""

    title: str = ""
    question: str = ""  # HTML: what stands below the title
    summary: str = ""  # HTML
    html: str = ""
    toc_entries: list[tuple[int, str, str]] = field(default_factory=list)  # level, anchor, words
    source_path: str = ""  # the notebook it was made from, as papermill was told it
    cells: dict[int, Any] = field(default_factory=dict)  # those shown, by their number


class PageContext(NamedTuple):
    """What a page knows of the pages around it."""

    single_file: bool = False  # it is to stand alone: no links to others
    live: bool = False  # the run goes on
    previous_run_id: str = (
        ""  # the run of the step's last report that was finished, if there is one
    )
    comparison_href: str = ""  # the address of the comparison with that run, from reports/


class Field(NamedTuple):
    """A line of the facts on top."""

    name: str
    text: str
    href: str = ""
    css_class: str = ""


def step_page(
    run: RunRecord, step: StepRecord, notebook: RenderedNotebook, context: PageContext
) -> str:
    """The HTML of a step's report."""
    number = run.steps.index(step)
    around, there = navigation_steps(run, step, context.single_file)
    return rendering.render_page(
        "page.html.j2",
        "../",
        context.single_file,
        run=run,
        around=around,
        there=there,
        step=step,
        body=notebook,
        notice=step.notice or run.notice,
        live=context.live,
        waiting=_pending_message(run, step, context),
        failure=_describe_failure(run, step, notebook, context),
        facts=_step_fields(run, step, context),
        before=next((one for one in there if one is _step_at(run, number - 1)), None),
        after=next((one for one in there if one is _step_at(run, number + 1)), None),
    )


def navigation_steps(
    run: RunRecord, step: StepRecord, single_file: bool
) -> tuple[list[StepRecord], list[StepRecord]]:
    """The steps that a page of this one names, and those of them that it can lead to."""
    number, few = run.steps.index(step), len(run.steps) <= MAX_NAVIGATION_STEPS
    around = run.steps if few else run.steps[max(0, number - 1) : number + 2]
    # of a long run's steps only those that ran have a page
    return around, [one for one in around if not single_file and (few or one.status != "not run")]


def _describe_failure(
    run: RunRecord, step: StepRecord, notebook: RenderedNotebook, context: PageContext
) -> dict[str, Any] | None:
    if step.status not in FAILED_STATUSES:
        return None
    from pipeline.report.pages import failure  # colours code, which takes half a second to learn

    return failure.describe(run, step, notebook, context)


def _step_at(run: RunRecord, index: int) -> StepRecord | None:
    return run.steps[index] if 0 <= index < len(run.steps) else None


def _pending_message(run: RunRecord, step: StepRecord, context: PageContext) -> str:
    """What a page says whose step has not ended."""
    if step.status == "running":
        where = f", in the part “{step.heading}”" if step.heading else ""
        return f"It is running: {step.cells_done} of {step.cells or '?'} cells are done{where}."
    if step.status != "not run":
        return ""
    if context.live:
        return "It has not started yet: it waits for the steps before it."
    bad = [one for one in run.steps if one.status in FAILED_STATUSES]
    why = f", as {bad[0].name} {status_phrase(bad[0].status)}" if bad else ""
    return f"It did not run{why}."


def _step_fields(run: RunRecord, step: StepRecord, context: PageContext) -> list[Field]:
    here = not context.single_file
    found = [Field("status", step.status, css_class=f"status {step.status.replace(' ', '-')}")]
    if step.data or run.data:
        found.append(Field("data", step.data or run.data))
    if step.started or step.status != "not run":
        found.append(Field("when", rendering.format_time(step.started or run.started)))
        found.append(Field("took", format_duration(step.seconds)))
    if step.reused:
        href = f"../{step.reused}/{step.report}" if here else ""
        found.append(Field("made by run", step.reused, href))
    found += [Field(name, str(value), css_class="set") for name, value in step.parameters.items()]
    if step.champion:
        found.append(Field("champion", step.champion))
    found += extra_page_fields(step, here)
    found += link_fields(run, step.links)
    if here and context.previous_run_id and context.previous_run_id != step.reused:
        href = f"../{context.previous_run_id}/{step.report}"
        found.append(Field("the same step before", f"run {context.previous_run_id}", href))
    if here and context.comparison_href:
        found.append(Field("what is different", "compare the two", f"../{context.comparison_href}"))
    if step.peak_mb:
        found.append(Field("peak memory", f"{step.peak_mb:,} MB"))
    return found


def extra_page_fields(step: StepRecord, with_links: bool) -> list[Field]:
    """To the pages that it handed over. here: they can be led to."""
    found = []
    for name, title in step.pages.items():
        label, (head, _, rest) = name.replace("_", " "), title.partition(": ")
        text = rest if rest and head.lower() == label else title
        found.append(Field(label, text, step.page_filename(name) if with_links else ""))
    return found


def link_fields(run: RunRecord, links: dict[str, str]) -> list[Field]:
    """To what was left in other places, and to the code."""
    found = []
    for name, told in links.items():
        label, _, text = name.rpartition(": ")
        found.append(Field(label or "see", text, told if told.startswith("http") else ""))
    if run.commit:
        short, dirty = run.commit.removesuffix("-dirty"), run.commit.endswith("-dirty")
        text = short[:12] + (" and files that differ from it" if dirty else "")
        found.append(Field("commit", text, run.commit_link))
    return found


def run_page(
    run: RunRecord, summaries: dict[str, str], context: PageContext, pin_reason: str
) -> str:
    """The HTML of a run's page. answers: step -> HTML. keeps: why the run matters, if it does."""
    facts = [
        Field("status", run.status, css_class=f"status {run.status.replace(' ', '-')}"),
        Field("run", run.id),
        Field("took" if run.ended else "so far", format_duration(run.seconds)),
    ]
    if pin_reason:
        facts.append(Field("serves as", pin_reason))
    if run.data:
        facts.append(Field("data", run.data))
    elsewhere = {name: it for one in run.steps for name, it in one.links.items()}
    facts += link_fields(run, elsewhere)
    if context.comparison_href and not context.single_file:
        facts.append(
            Field(
                "what is different", "compare with the run before", f"../{context.comparison_href}"
            )
        )
    steps = [
        {
            "step": one,
            "answer": summaries.get(one.name, ""),
            "about": _step_details(one),
            "pages": extra_page_fields(one, not context.single_file),
            "there": not context.single_file
            and (len(run.steps) <= MAX_NAVIGATION_STEPS or one.status != "not run"),
        }
        for one in run.steps[:MAX_RUN_PAGE_STEPS]
    ]
    return rendering.render_page(
        "run.html.j2", "../", context.single_file, run=run, steps=steps, facts=facts, live=context.live,
        left=max(0, len(run.steps) - MAX_RUN_PAGE_STEPS),
    )  # fmt: skip


def _step_details(step: StepRecord) -> str:
    said: list[str] = []
    if step.started:
        said.append(format_duration(step.seconds))
    if step.cells:
        said.append(f"{step.cells_done} of {step.cells} cells")
    if step.reused:
        said.append(f"made by run {step.reused}")
    said += [f"{name} = {value}" for name, value in step.parameters.items()]
    return ", ".join(said)


def empty_notebook(step: StepRecord) -> RenderedNotebook:
    """Of a step that has shown nothing yet."""
    return RenderedNotebook(title=step.name)
