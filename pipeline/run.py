"""A run: the steps in sequence, each with its record and its report, until one fails."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import record
from pipeline.record import RunRecord, StepRecord
from pipeline.steps import Step


class Places:
    """Where a run's products go, below one home folder."""

    def __init__(self, home: Path, run_id: str) -> None:
        self.home = home
        self.runs = home / "var" / "runs"  # executed notebooks and records, for machines
        self.run = self.runs / run_id
        self.reports = home / "reports"  # pages, for people
        self.report = self.reports / run_id


def run(
    steps: list[Step],
    values: dict[str, dict[str, Any]],
    home: Path,
    on_cell: Callable[[StepRecord], None],
    on_end: Callable[[StepRecord], None],
) -> RunRecord:
    """Runs the steps in the order given; the first that fails is the last.

    values: as `steps.assign` gives them. on_cell: told of each finished cell; on_end: of each
    finished step, once its report stands.
    """
    from pipeline import execute, report  # papermill and nbconvert cost seconds to import

    made = RunRecord(
        id=record.new_id(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        steps=[
            StepRecord(one.name, f"{one.notebook.stem}.html", parameters=values[one.name])
            for one in steps
        ],
    )
    places = Places(home, made.id)
    places.run.mkdir(parents=True)
    for step, state in zip(steps, made.steps, strict=True):
        executed = places.run / step.notebook.name
        handover = executed.with_suffix(".json")

        def count(done: int, total: int, state: StepRecord = state) -> None:
            state.cells_done, state.cells = done, total
            on_cell(state)

        state.status = "running"
        record.save(made, places.run)
        told = {
            "PIPELINE_RUN_ID": made.id,
            "PIPELINE_REPORT": f"reports/{made.id}/{state.report}",
            "PIPELINE_HANDOVER": str(handover),
            "PIPELINE_STARTED_IN": str(Path.cwd()),  # where relative paths start
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else each kernel warns on stderr
        }
        outcome = execute.execute(
            step.notebook, executed, values[step.name], {**os.environ, **told}, count
        )
        for name in ("status", "seconds", "cells", "cells_done", "failure"):
            setattr(state, name, getattr(outcome, name))
        if handover.exists():
            said = json.loads(handover.read_text())
            state.headline, state.notice = said.get("headline", {}), said.get("notice", "")
        record.save(made, places.run)
        for earlier, told_of in zip(steps, made.steps, strict=True):  # each links to the others
            if told_of.status != "not run":
                traceback = outcome.traceback if told_of is state else ""
                report.write_report(
                    places.run / earlier.notebook.name, places.report, made, told_of, traceback
                )
        report.point_latest(places.reports, made)
        report.write_index(places.reports, record.load_all(places.runs))
        on_end(state)
        if state.status != "done":
            break
    return made
