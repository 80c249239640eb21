"""The report of a step, and the page of the run it belongs to."""

from markupsafe import Markup

from pipeline.report import rendering
from pipeline.report.local_files import page_url
from pipeline.report.model import MAX_NAVIGATION_STEPS, Field, PageContext, RenderedNotebook
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.runs.status import StepStatus

MAX_RUN_PAGE_STEPS = 100  # that the page of a run lists


def step_page(
    run: RunRecord, step: StepRecord, notebook: RenderedNotebook, context: PageContext
) -> str:
    """Return the HTML of a step's report."""
    index = run.steps.index(step)
    steps, linked_steps = navigation_steps(run, step, context.single_file)
    failure = None
    if step.status.is_failure:
        from pipeline.report.pages.failure import describe_failure  # imports nbconvert: a second

        failure = describe_failure(step, notebook)
    return rendering.render_template(
        "step.html.j2",
        **context._asdict(),
        run=run,
        step=step,
        notebook=notebook,
        navigation_steps=steps,
        linked_steps=linked_steps,
        failed_step=next((each for each in run.steps if each.status.is_failure), None),
        failure=failure,
        extra_pages=_extra_pages(run, step, context),
        previous_step=_step_at(run, index - 1, linked_steps),
        next_step=_step_at(run, index + 1, linked_steps),
    )


def navigation_steps(
    run: RunRecord, step: StepRecord, single_file: bool
) -> tuple[list[StepRecord], list[StepRecord]]:
    """Return the steps that the step's page names, and those of them that it links to."""
    index, names_all_steps = run.steps.index(step), len(run.steps) <= MAX_NAVIGATION_STEPS
    steps = run.steps if names_all_steps else run.steps[max(0, index - 1) : index + 2]
    return steps, [neighbor for neighbor in steps if not single_file and _has_page(run, neighbor)]


def _has_page(run: RunRecord, step: StepRecord) -> bool:
    """Return whether the step has a page: in a run of many steps, only once it has started."""
    return len(run.steps) <= MAX_NAVIGATION_STEPS or step.status is not StepStatus.NOT_RUN


def _step_at(run: RunRecord, index: int, linked_steps: list[StepRecord]) -> StepRecord | None:
    """Return the run's step with the index; None if there is none or it is not linked."""
    step = run.steps[index] if 0 <= index < len(run.steps) else None
    return next((linked_step for linked_step in linked_steps if linked_step is step), None)


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

    summaries: by step name. pin_reason: why the run matters, or empty.
    """
    return rendering.render_template(
        "run.html.j2",
        **context._asdict(),
        run=run,
        shown_steps=run.steps[:MAX_RUN_PAGE_STEPS],
        linked_steps=[]
        if context.single_file
        else [step for step in run.steps if _has_page(run, step)],
        extra_pages={step.name: _extra_pages(run, step, context) for step in run.steps},
        summaries=summaries,
        pin_reason=pin_reason,
    )
