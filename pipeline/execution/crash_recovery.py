"""Completing the record of a run whose runner was killed or lost power."""

from pathlib import Path

from pipeline.definition import notebook_file
from pipeline.definition.project import Project
from pipeline.execution.orphan_cleanup import kill_run_processes
from pipeline.report.live import ReportWriter
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.records import MAX_LAST_OUTPUT_CHARS, RunRecord, RunRecordWriter, StepRecord
from pipeline.runs.status import CellStatus, StepStatus
from pipeline.runs.strict_json import decode_json, encode_json

CRASH_MESSAGE = "the runner was killed, or the machine lost power"


def recover(project: Project, run: RunRecord) -> None:
    """Complete the record, notebooks and pages of a run that was interrupted.

    Call this only while holding the run lock, so that no run is in progress.
    """
    workspace = project.workspace
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


def _recover_step(step: StepRecord, executed_path: Path) -> None:
    """Complete a step's record and its executed notebook from what the notebook last saved."""
    step.status, step.failure = StepStatus.KILLED, CRASH_MESSAGE
    try:
        notebook = decode_json(executed_path.read_bytes())
    except (OSError, ValueError):
        return  # killed before anything was saved
    step.cell_status, step.cell_seconds = [], []
    for cell in notebook["cells"]:
        cell_state = cell["metadata"]["papermill"]
        status = CellStatus.from_papermill(cell_state["status"]).after_kernel_death()
        if not notebook_file.is_added_cell(cell):
            step.cell_status.append(status)
            step.cell_seconds.append(cell_state.get("duration") or 0.0)
        if status is CellStatus.KILLED:
            streams = [out["text"] for out in cell["outputs"] if out["output_type"] == "stream"]
            step.output = "".join(streams)[-MAX_LAST_OUTPUT_CHARS:]
        cell_state["status"] = status.papermill
    step.cells = len(step.cell_status)
    step.cells_done = sum(status.is_success for status in step.cell_status)
    step.seconds = sum(step.cell_seconds)
    atomic_write(executed_path, encode_json(notebook))
