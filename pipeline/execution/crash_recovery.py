"""Completing the record of a run whose runner was killed or lost power."""

import json
from pathlib import Path

from pipeline.report.live import ReportWriter
from pipeline.runs import records
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.records import MAX_LAST_OUTPUT_CHARS, RunRecord, RunRecordWriter, StepRecord

CRASH_MESSAGE = "the runner was killed, or the machine lost power"
# papermill's status of a cell in the notebook -> the cell's status now that the kernel is gone
CRASHED_CELL_STATUS = {"completed": "ran", "running": "killed", "pending": "not run"}


def recover_interrupted_run(home: Path) -> RunRecord | None:
    """Complete the newest run's record, notebook and pages if it was interrupted; return the run.

    Returns None if the newest run ended properly, or there is none. Call this only while holding
    the run lock, so that no run is in progress.
    """
    run_files = (home / "var" / "runs").glob("*/run.json")
    run_folder = max((run_file.parent for run_file in run_files), default=None)
    if run_folder is None:
        return None
    run = records.load(run_folder)
    if run.ended:
        return None
    from pipeline.execution.orphan_cleanup import kill_run_processes

    kill_run_processes(run.id)  # the run's own watchdog may have been killed too
    report_writer = ReportWriter(home, run)
    for step in run.steps:
        if step.status == "running":
            _recover_step(step, run_folder / f"{Path(step.report).stem}.ipynb")
            report_writer.enqueue(step)
    RunRecordWriter(run, run_folder).close()
    report_writer.write_final_pages()
    return run


def _recover_step(step: StepRecord, executed_path: Path) -> None:
    """Complete a step's record and its executed notebook from what the notebook last saved."""
    step.status, step.failure = "killed", CRASH_MESSAGE
    try:
        notebook = json.loads(executed_path.read_text())
    except (OSError, ValueError):
        return  # killed before anything was saved
    cell_states = [cell["metadata"]["papermill"] for cell in notebook["cells"]]
    for cell_state, cell in zip(cell_states, notebook["cells"], strict=True):
        status = CRASHED_CELL_STATUS.get(cell_state["status"], cell_state["status"])
        step.cell_status.append(status)
        step.cell_seconds.append(cell_state.get("duration") or 0.0)
        if status == "killed":
            streams = [out["text"] for out in cell["outputs"] if out["output_type"] == "stream"]
            step.output = "".join(streams)[-MAX_LAST_OUTPUT_CHARS:]
        if status != "ran":
            cell_state["status"] = status
    step.cells, step.cells_done = len(cell_states), step.cell_status.count("ran")
    step.seconds = sum(step.cell_seconds)
    atomic_write(executed_path, json.dumps(notebook))
