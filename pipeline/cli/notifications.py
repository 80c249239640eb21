"""Call what a project has asked to be called when a step has been run."""

import sys

from pipeline.definition.steps import Step, StepResult
from pipeline.definition.tasks import Task
from pipeline.runs.os_errors import describe_error
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.runs.results import format_metric
from pipeline.runs.status import StepStatus
from pipeline.workspace import Workspace


def notify(run: RunRecord, tasks: list[Task], workspace: Workspace) -> None:
    """Call the `on_finish` of each step that this run has executed, with success or not.

    An error is a warning on stderr: the run and its reports are complete.
    """
    steps = {task.label: task.step for task in tasks}
    for step_record in run.steps:
        step = steps[step_record.name]
        has_ended = step_record.status is StepStatus.DONE or step_record.status.is_failure
        if step.on_finish and has_ended:
            _call(step, _step_result(run, step_record, workspace))


def _call(step: Step, result: StepResult) -> None:
    try:
        if step.on_finish:
            step.on_finish(result)
    except Exception as error:  # of any kind, as it may call a server
        message = f"warning: nobody was notified of the step {step.name}: {describe_error(error)}"
        print(message, file=sys.stderr, flush=True)


def _step_result(run: RunRecord, step: StepRecord, workspace: Workspace) -> StepResult:
    return StepResult(
        step=step.name,
        run_id=run.id,
        status=step.status,
        report=workspace.report_folder(run.id) / step.report,
        verdict=step.verdict,
        headline={name: format_metric(value) for name, value in step.headline.items()},
        failure=step.failure,
    )
