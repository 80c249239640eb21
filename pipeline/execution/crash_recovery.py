"""Completing the record of a run whose runner was killed or lost power."""

import json
from pathlib import Path

from pipeline.definition.project import Project
from pipeline.report.live import ReportWriter
from pipeline.runs import records
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.records import MAX_LAST_OUTPUT_CHARS, RunRecord, RunRecordWriter, StepRecord
from pipeline.runs.status import CellStatus, StepStatus

CRASH_MESSAGE = "the runner was killed, or the machine lost power"


def recover_interrupted_run(project: Project) -> RunRecord | None:
    """Complete the newest run's record, notebook and pages if it was interrupted; return the run.

    Returns None if the newest run ended properly, or there is none. Call this only while holding
    the run lock, so that no run is in progress.
    """
    workspace = project.workspace
    run_ids = workspace.run_ids()
    if not run_ids:
        return None
    try:
        run = records.load(workspace.run_folder(run_ids[0]))
    except records.UnreadableRecordError:  # no reason for not running; `show` names it
        return None
    if run.ended:
        return None
    from pipeline.execution.orphan_cleanup import kill_run_processes

    kill_run_processes(run.id)  # the run's own watchdog may have been killed too
    report_writer = ReportWriter(project, run)
    for step in run.steps:
        if step.status is StepStatus.SKIPPED:
            step.status = StepStatus.NOT_RUN
        if step.status is StepStatus.RUNNING:
            _recover_step(step, workspace.executed_notebook(run.id, step.file_stem))
            report_writer.enqueue(step)
    RunRecordWriter(run, workspace.run_folder(run.id)).close()
    report_writer.write_final_pages()
    return run


def _recover_step(step: StepRecord, executed_path: Path) -> None:
    """Complete a step's record and its executed notebook from what the notebook last saved."""
    step.status, step.failure = StepStatus.KILLED, CRASH_MESSAGE
    try:
        notebook = json.loads(executed_path.read_text())
    except (OSError, ValueError):
        return  # killed before anything was saved
    cell_states = [cell["metadata"]["papermill"] for cell in notebook["cells"]]
    step.cell_status, step.cell_seconds = [], []
    for cell_state, cell in zip(cell_states, notebook["cells"], strict=True):
        status = CellStatus.from_papermill(cell_state["status"]).after_kernel_death()
        step.cell_status.append(status)
        step.cell_seconds.append(cell_state.get("duration") or 0.0)
        if status is CellStatus.KILLED:
            streams = [out["text"] for out in cell["outputs"] if out["output_type"] == "stream"]
            step.output = "".join(streams)[-MAX_LAST_OUTPUT_CHARS:]
        cell_state["status"] = status.papermill
    step.cells, step.cells_done = len(cell_states), step.cell_status.count(CellStatus.RAN)
    step.seconds = sum(step.cell_seconds)
    atomic_write(executed_path, json.dumps(notebook))
