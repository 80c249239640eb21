"""What is still to be told of a run whose runner was killed, or lost its power."""

import json
from pathlib import Path

from pipeline.report.live import ReportWriter
from pipeline.runs import records
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.records import RunRecord, RunRecordWriter, StepRecord

CRASH_MESSAGE = "the runner was killed, or the machine lost its power"
# what papermill calls a cell's state -> how the cell has ended, if the kernel is gone
CRASHED_CELL_STATUS = {"completed": "ran", "running": "killed", "pending": "not run"}


def recover_interrupted_run(home: Path) -> RunRecord | None:
    """Completes the newest run's record, notebook and pages, if nobody could; gives the run then.

    To be called by who holds the lock: no run is under way.
    """
    runs = home / "var" / "runs"
    folder = max((one.parent for one in runs.glob("*/run.json")), default=None)
    run = records.load(folder) if folder else None
    if run is None or run.ended:
        return None
    from pipeline.execution.orphan_cleanup import kill_run_processes

    kill_run_processes(run.id)  # its own watchdog may have been killed too
    pages = ReportWriter(home, run)
    for step in run.steps:
        if step.status == "running":
            _recover_step(step, folder / f"{Path(step.report).stem}.ipynb")
            pages.enqueue(step)
    RunRecordWriter(run, folder).close()
    pages.write_final_pages()
    return run


def _recover_step(step: StepRecord, executed_path: Path) -> None:
    step.status, step.failure = "killed", CRASH_MESSAGE
    try:
        notebook = json.loads(executed_path.read_text())
    except (OSError, ValueError):
        return  # killed before anything was saved
    states = [one["metadata"]["papermill"] for one in notebook["cells"]]
    for state, cell in zip(states, notebook["cells"], strict=True):
        ended = CRASHED_CELL_STATUS.get(state["status"], state["status"])
        step.cell_status.append(ended)
        step.cell_seconds.append(state.get("duration") or 0.0)
        if ended == "killed":
            said = [one["text"] for one in cell["outputs"] if one["output_type"] == "stream"]
            step.output = "".join(said)[-2000:]
        if ended != "ran":
            state["status"] = ended
    step.cells, step.cells_done = len(states), step.cell_status.count("ran")
    step.seconds = sum(step.cell_seconds)
    atomic_write(executed_path, json.dumps(notebook))
