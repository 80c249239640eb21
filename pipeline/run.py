"""A run: the steps in sequence, each with its record and its report, until one fails."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import record
from pipeline.record import RunRecord, StepRecord
from pipeline.steps import Step


class Places(NamedTuple):
    """Where a run's products go."""

    runs: Path  # executed notebooks and records of all runs, for machines
    run: Path  # of this one
    reports: Path  # pages of all runs, for people
    report: Path  # of this one


def run(
    steps: list[Step],
    values: dict[str, dict[str, Any]],
    home: Path,
    on_cell: Callable[[StepRecord], None],
    on_end: Callable[[StepRecord], None],
) -> RunRecord:
    """Runs the steps in the order given; the first that fails is the last.

    values: as `steps.assign` gives them. home: gets var/runs/ and reports/. on_cell: told of each
    finished cell; on_end: of each finished step, once its report stands.
    """
    made = RunRecord(
        id=record.new_id(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        steps=[
            StepRecord(one.name, f"{one.notebook.stem}.html", parameters=values[one.name])
            for one in steps
        ],
    )
    runs, reports = home / "var" / "runs", home / "reports"
    places = Places(runs, runs / made.id, reports, reports / made.id)
    places.run.mkdir(parents=True)
    for step, state in zip(steps, made.steps, strict=True):
        state.status = "running"
        record.save(made, places.run)
        traceback = _run_step(step, state, values[step.name], made.id, places, on_cell)
        record.save(made, places.run)
        _write_pages(steps, made, state, traceback, places)
        on_end(state)
        if state.status != "done":
            break
    return made


def _run_step(
    step: Step,
    state: StepRecord,
    values: dict[str, Any],
    run_id: str,
    places: Places,
    on_cell: Callable[[StepRecord], None],
) -> str:
    """Executes the notebook and completes its record; gives the traceback, if there is one."""
    from pipeline.execute import execute  # papermill takes seconds to import

    executed = places.run / step.notebook.name
    handover = executed.with_suffix(".json")

    def count(done: int, total: int) -> None:
        state.cells_done, state.cells = done, total
        on_cell(state)

    told = {
        "PIPELINE_RUN_ID": run_id,
        "PIPELINE_REPORT": f"reports/{run_id}/{state.report}",
        "PIPELINE_HANDOVER": str(handover),
        "PIPELINE_STARTED_IN": str(Path.cwd()),  # where relative paths start
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else each kernel warns on stderr
    }
    outcome = execute(step.notebook, executed, values, {**os.environ, **told}, count)
    state.status, state.seconds, state.failure = outcome.status, outcome.seconds, outcome.failure
    if handover.exists():
        said = json.loads(handover.read_text())
        state.headline, state.notice = said.get("headline", {}), said.get("notice", "")
    return outcome.traceback


def _write_pages(
    steps: list[Step], made: RunRecord, newest: StepRecord, traceback: str, places: Places
) -> None:
    """The reports of all steps so far, as each links to the others, and the index."""
    from pipeline import report  # nbconvert takes seconds to import

    for step, state in zip(steps, made.steps, strict=True):
        executed = places.run / step.notebook.name
        if state.status != "not run" and executed.exists():
            why = traceback if state is newest else ""
            report.write_report(executed, places.report, made, state, why)
    report.point_latest(places.reports, made)
    report.write_index(places.reports, record.load_all(places.runs))
