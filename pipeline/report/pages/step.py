"""The report of a step, and the page of the run it belongs to."""

from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from pipeline.definition.project import Project
from pipeline.report import rendering
from pipeline.report.model import Field, PageContext, RenderedNotebook
from pipeline.runs.formatting import format_duration
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.runs.status import StepStatus

if TYPE_CHECKING:
    from pipeline.report.pages.failure import FailureDescription

MAX_NAVIGATION_STEPS = 12  # of a run with more, a page names the previous and the next step only
MAX_RUN_PAGE_STEPS = 100  # that the page of a run lists


class RunPageStep(NamedTuple):
    """A step in the list on the page of a run."""

    step: StepRecord
    summary: Markup
    details: str
    extra_pages: list[Field]
    linked: bool


def step_page(
    run: RunRecord, step: StepRecord, notebook: RenderedNotebook, context: PageContext
) -> str:
    """Return the HTML of a step's report."""
    index = run.steps.index(step)
    steps, linked_steps = navigation_steps(run, step, context.single_file)
    return rendering.render_page(
        "step.html.j2",
        "../",
        context.single_file,
        project=context.project,
        run=run,
        step=step,
        notebook=notebook,
        navigation_steps=steps,
        linked_steps=linked_steps,
        live=context.live,
        pending_message=_pending_message(run, step, context),
        failure=_describe_failure(step, notebook) if step.status.is_failure else None,
        finished_run_id="" if context.single_file else context.previous_run_id,
        fields=_step_fields(run, step, context),
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


def _describe_failure(step: StepRecord, notebook: RenderedNotebook) -> "FailureDescription":
    from pipeline.report.pages import failure  # imports nbconvert, which takes most of a second

    return failure.describe(step, notebook)


def _step_at(run: RunRecord, index: int, linked_steps: list[StepRecord]) -> StepRecord | None:
    """Return the run's step with the index; None if there is none or it is not linked."""
    step = run.steps[index] if 0 <= index < len(run.steps) else None
    return next((linked_step for linked_step in linked_steps if linked_step is step), None)


def _pending_message(run: RunRecord, step: StepRecord, context: PageContext) -> str:
    """Return what the page says of a step that is running or did not run; empty if it ended."""
    if step.status is StepStatus.RUNNING:
        section = f", in the section “{step.heading}”" if step.heading else ""
        return f"It is running: {step.cells_done} of {step.cells or '?'} cells are done{section}."
    if step.status is not StepStatus.NOT_RUN:
        return ""
    if context.live:
        return "It has not started yet: it waits for the steps before it."
    failed_step = next((each for each in run.steps if each.status.is_failure), None)
    if failed_step is None:
        return "It did not run."
    return f"It did not run, as {failed_step.name} {failed_step.status.phrase}."


def _step_fields(run: RunRecord, step: StepRecord, context: PageContext) -> list[Field]:
    with_links = not context.single_file
    fields = [_status_field(step.status), *fact_fields(context.project, run, step)]
    if step.started or step.status is not StepStatus.NOT_RUN:
        fields.append(Field("when", rendering.format_time(step.started or run.started)))
        fields.append(Field("took", format_duration(step.seconds)))
    fields += reused_fields(step, with_links)
    fields += [Field(name, str(value), css_class="set") for name, value in step.parameters.items()]
    fields += extra_page_fields(run, step, context)
    fields += link_fields(run, step.links)
    previous_run_id = context.previous_run_id
    if with_links and previous_run_id and previous_run_id != step.reused:
        href = f"../{previous_run_id}/{step.report}"
        fields.append(Field("previous report of this step", f"run {previous_run_id}", href))
    if with_links and context.comparison_href:
        href = f"../{context.comparison_href}"
        fields.append(Field("what is different", "compare the two", href))
    if step.peak_mb:
        fields.append(Field("peak memory", f"{step.peak_mb:,} MB"))
    return fields


def _status_field(status: StepStatus) -> Field:
    return Field("status", status, css_class=f"status {status.replace(' ', '-')}")


def fact_fields(project: Project, run: RunRecord, step: StepRecord) -> list[Field]:
    """Return a field for each fact of the step.

    The run's grouping fact goes first if the step has not published that fact itself.
    """
    facts = {name: text for name, text in step.facts.items() if text}
    group_fact = run.fact(project.grouping_fact)
    if group_fact and project.grouping_fact not in facts:
        facts = {project.grouping_fact: group_fact} | facts
    return [Field(name, text) for name, text in facts.items()]


def reused_fields(step: StepRecord, with_links: bool) -> list[Field]:
    """Return the field that names the run whose result the step reuses; empty if it ran itself."""
    if not step.reused:
        return []
    href = f"../{step.reused}/{step.report}" if with_links else ""
    return [Field("made by run", step.reused, href)]


def extra_page_fields(run: RunRecord, step: StepRecord, context: PageContext) -> list[Field]:
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
        fields.append(Field(label, text, filename if is_linked else ""))
    return fields


def link_fields(run: RunRecord, links: dict[str, str]) -> list[Field]:
    """Return a field for each of the links to other systems, and one for the commit of the code.

    links: "label: text" -> URL, or a text that is no link.
    """
    fields = []
    for name, target in links.items():
        label, _, text = name.rpartition(": ")
        href = target if target.startswith("http") else ""
        fields.append(Field(label or "see", text, href))
    if run.commit:
        commit_hash = run.commit.removesuffix("-dirty")
        suffix = " with uncommitted changes" if run.commit.endswith("-dirty") else ""
        fields.append(Field("commit", commit_hash[:12] + suffix, run.commit_link))
    return fields


def run_page(
    run: RunRecord, summaries: dict[str, Markup], context: PageContext, pin_reason: str
) -> str:
    """Return the HTML of a run's page.

    summaries: by step name. pin_reason: why the run matters, or empty.
    """
    with_links = not context.single_file
    steps = [
        RunPageStep(
            step=step,
            summary=summaries.get(step.name, Markup("")),
            details=_step_details(step),
            extra_pages=extra_page_fields(run, step, context),
            linked=with_links and _has_page(run, step),
        )
        for step in run.steps[:MAX_RUN_PAGE_STEPS]
    ]
    return rendering.render_page(
        "run.html.j2",
        "../",
        context.single_file,
        run=run,
        steps=steps,
        fields=_run_fields(run, context, pin_reason),
        live=context.live,
    )


def _run_fields(run: RunRecord, context: PageContext, pin_reason: str) -> list[Field]:
    fields = [
        _status_field(run.status),
        Field("run", run.id),
        Field("took" if run.ended else "so far", format_duration(run.seconds)),
    ]
    if pin_reason:
        fields.append(Field("in use as", pin_reason))
    group_fact = run.fact(context.project.grouping_fact)
    if group_fact:
        fields.append(Field(context.project.grouping_fact, group_fact))
    links = {name: target for step in run.steps for name, target in step.links.items()}
    fields += link_fields(run, links)
    if context.comparison_href and not context.single_file:
        href = f"../{context.comparison_href}"
        fields.append(Field("what is different", "compare with the run before", href))
    return fields


def _step_details(step: StepRecord) -> str:
    details: list[str] = []
    if step.started:
        details.append(format_duration(step.seconds))
    if step.cells:
        details.append(f"{step.cells_done} of {step.cells} cells")
    if step.reused:
        details.append(f"made by run {step.reused}")
    details += [f"{name} = {value}" for name, value in step.parameters.items()]
    return ", ".join(details)


def empty_notebook(step: StepRecord) -> RenderedNotebook:
    """Return what a page shows of a step whose notebook has no outputs yet."""
    return RenderedNotebook(title=step.name)
