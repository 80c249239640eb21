"""A run's pages below reports/: each written once its step has ended, the index at the end."""

import sys
from collections.abc import Callable
from pathlib import Path

from pipeline import record
from pipeline.record import RunRecord, StepRecord


class Pages:
    """The pages of one run."""

    def __init__(self, home: Path, run: RunRecord) -> None:
        self.runs, self.reports = home / "var" / "runs", home / "reports"
        self.run = run
        self.waiting: list[StepRecord] = []
        self.finished: list[StepRecord] = []

    def prepare(self) -> None:
        """Makes the folder; OSError if it cannot be."""
        (self.reports / self.run.id).mkdir(parents=True)

    def warm_up(self) -> None:
        """Imports what writing needs, while there is nothing else to do."""
        if "pipeline.report" not in sys.modules:
            self._report()

    def due(self, step: StepRecord) -> None:
        """Says that the step's page is to be written."""
        self.waiting.append(step)

    def write_due(self, on_written: Callable[[OSError | None], None]) -> None:
        """Writes one page that is due."""
        if self.waiting:
            on_written(self._write(self.waiting.pop(0)))

    def finish(self) -> OSError | None:
        """Writes what is left, the links between the pages, the index; gives what failed last."""
        if len(self.run.steps) <= self._report().FEW:  # earlier pages do not link to later ones yet
            self.waiting += [one for one in self.finished if one not in self.waiting]
        failed = None
        for step in self.waiting:
            failed = self._write(step) or failed
        try:
            self._report().point_latest(self.reports, self.run)
            self._report().write_index(self.reports, record.load_all(self.runs))
        except OSError as index_failed:
            failed = index_failed
        return failed

    def _write(self, step: StepRecord) -> OSError | None:
        made_by = self.runs / (step.reused or self.run.id)
        executed = made_by / f"{Path(step.report).stem}.ipynb"
        self.finished.append(step)
        if not executed.exists():
            return None
        try:
            self._report().write_report(executed, self.reports / self.run.id, self.run, step)
        except OSError as failed:
            return failed
        return None

    def _report(self):
        sys.modules.setdefault("rfc3987_syntax", None)  # see pipeline.worker
        from pipeline import report

        return report
