"""The report of a step, and the page of the run it belongs to."""

from collections import Counter

from markupsafe import Markup

from pipeline.report import rendering
from pipeline.report.local_files import page_url
from pipeline.report.model import MAX_NAVIGATION_STEPS, Field, PageContext, RenderedNotebook
from pipeline.runs.records import RunRecord, StepRecord

MAX_RUN_PAGE_STEPS = 100  # that the page of a run lists, besides those that did not end well


def step_page(
    run: RunRecord, step: StepRecord, notebook: RenderedNotebook, context: PageContext
) -> str:
    """Return the HTML of a step's report."""
    index = run.steps.index(step)
    failure = None
    if step.status.is_failure:
        from pipeline.report.pages.failure import describe_failure  # imports nbconvert: a second

        failure = describe_failure(run, step, notebook)
    return rendering.render_template(
        "step.html.j2",
        **context._asdict(),
        run=run,
        step=step,
        notebook=notebook,
        navigation_steps=navigation_steps(run, step),
        blocking_step=_blocking_step(run, step),
        failure=failure,
        extra_pages=_extra_pages(run, step, context),
        previous_step=_linked_step_at(run, index - 1, context),
        next_step=_linked_step_at(run, index + 1, context),
    )


def navigation_steps(run: RunRecord, step: StepRecord) -> list[StepRecord]:
    """Return the steps that the step's page names: all, or in a run of many those beside it."""
    index, names_all_steps = run.steps.index(step), len(run.steps) <= MAX_NAVIGATION_STEPS
    return run.steps if names_all_steps else run.steps[max(0, index - 1) : index + 2]


def _linked_step_at(run: RunRecord, index: int, context: PageContext) -> StepRecord | None:
    """Return the run's step with the index; None if there is none or it has no page."""
    step = run.steps[index] if 0 <= index < len(run.steps) else None
    return step if step and step.name in context.linked_steps else None


def _blocking_step(run: RunRecord, step: StepRecord) -> StepRecord | None:
    """Return the step whose end kept this one from running; None if none did."""
    if step.blocked_by:
        return next((other for other in run.steps if other.name == step.blocked_by), None)
    return next((other for other in run.steps if other.status.is_failure), None)


def _extra_pages(run: RunRecord, step: StepRecord, context: PageContext) -> list[Field]:
    """Return a field for each page that the step published, with a link if the page is there.

    A title like "Data sheet: numbers" of the page data_sheet becomes the field data sheet: numbers.
    """
    folder = context.project.workspace.report_folder(run.id)
    fields = []
    for name, title in step.pages.items():
        label, (prefix, _, suffix) = name.replace("_", " "), title.partition(": ")
        text = suffix if suffix and prefix.lower() == label else title
        filename = step.page_filename(name)
        is_linked = not context.single_file and (folder / filename).exists()
        fields.append(Field(label, text, page_url(filename) if is_linked else ""))
    return fields


def run_page(
    run: RunRecord, summaries: dict[str, Markup], context: PageContext, pin_reason: str
) -> str:
    """Return the HTML of a run's page.

    summaries: by step name. pin_reason: why the run matters, or empty. Of a run of many steps the
    page lists the first, and of the others those that did not end well.
    """
    shown_steps = [
        step
        for index, step in enumerate(run.steps)
        if index < MAX_RUN_PAGE_STEPS or step.status.is_failure
    ]
    return rendering.render_template(
        "run.html.j2",
        **context._asdict(),
        run=run,
        shown_steps=shown_steps,
        status_counts=Counter(step.status for step in run.steps),
        extra_pages={step.name: _extra_pages(run, step, context) for step in shown_steps},
        summaries=summaries,
        pin_reason=pin_reason,
    )
