"""Write the pages of a run from its first second, and refresh them as cells and steps end."""

import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.definition.project import Project
from pipeline.report.model import MAX_NAVIGATION_STEPS
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.runs.status import StepStatus

if TYPE_CHECKING:
    from pipeline.report.run_pages import RunPages

MIN_REFRESH_SECONDS = 1.0  # between two versions of the page of a running step
WRITE_PAUSE_FACTOR = 10  # a page is rewritten after 10 times the seconds that writing it took
INDEX_KEY = ""  # of the index in ReportWriter.next_write_at; no step has this name


class ReportWriter:
    """Decide which pages of a run are written when.

    single_file: each page contains its style sheet and script and links to no other page.

    The methods that write pages return the last error, or None: a page that cannot be written is
    reported, and is no reason to stop the run.
    """

    def __init__(self, project: Project, run: RunRecord, single_file: bool = False) -> None:
        self.project, self.run, self.single_file = project, run, single_file
        self.pending_steps: list[StepRecord] = []
        self.next_write_at: dict[str, float] = {}  # step name or INDEX_KEY -> time.monotonic()
        self.rendered_mtimes: dict[str, float] = {}  # step name -> mtime of the notebook shown

    @cached_property
    def pages(self) -> "RunPages":
        """The pages of the run; their templates are imported when the first is due."""
        from pipeline.report.run_pages import RunPages

        return RunPages(self.project, self.run, self.single_file)

    def create_report_dir(self) -> None:
        """Create the folder of the run's pages. Raises OSError if that fails."""
        self.project.workspace.report_folder(self.run.id).mkdir(parents=True)

    def write_initial_pages(self) -> Exception | None:
        """Write the pages as they are before any step has run."""
        error = self._capture_error(self.pages.update_latest_link)
        return self._write_run(self.run.steps[:MAX_NAVIGATION_STEPS]) or error

    def preload(self) -> None:
        """Import what rendering a notebook needs, at a moment when nothing waits for it."""
        self.pages.preload()

    def enqueue(self, step: StepRecord) -> None:
        """Add the step to those whose page write_next writes first."""
        self.pending_steps.append(step)

    def write_next(self) -> Exception | None:
        """Write one page that is due: of an enqueued step, else of a step that is running."""
        if self.pending_steps:
            step = self.pending_steps.pop(0)
            return self._capture_error(self.pages.write_step, step) or self._capture_error(
                self._write_run_and_index
            )
        if self.pages.can_render_notebooks:
            return self._capture_error(self._refresh_running_step)
        return None

    def _refresh_running_step(self) -> None:
        """Write the page of the first running step whose notebook has changed since."""
        started_at = time.monotonic()
        for step in self.run.steps:
            is_running = step.status is StepStatus.RUNNING
            if is_running and started_at >= self.next_write_at.get(step.name, 0):
                modified_at = _modified_at(self.pages.executed_notebook(step))
                if modified_at != self.rendered_mtimes.get(step.name):
                    self.rendered_mtimes[step.name] = modified_at
                    self.pages.write_step(step)
                    written_at = time.monotonic()
                    pause = max(MIN_REFRESH_SECONDS, WRITE_PAUSE_FACTOR * (written_at - started_at))
                    self.next_write_at[step.name] = written_at + pause
                    return

    def write_final_pages(self) -> Exception | None:
        """Write the last version of all pages, the comparison with the previous run, the index."""
        self.pages.finish()
        error = self._capture_error(self.pages.update_latest_link)
        has_new_results = any(step.status is StepStatus.DONE for step in self.run.steps)
        if self.run.status is StepStatus.DONE and has_new_results:
            error = self._capture_error(self.pages.write_comparison) or error
        steps = self.run.steps
        if len(steps) > MAX_NAVIGATION_STEPS:
            # the pages of so many steps do not name all others: those already written may stay
            not_run = [
                step
                for step in steps[:MAX_NAVIGATION_STEPS]
                if step.status is StepStatus.NOT_RUN and step not in self.pending_steps
            ]
            steps = [*self.pending_steps, *not_run]
        return self._write_run(steps) or error

    def rewrite_pages(self) -> Exception | None:
        """Write the pages of an earlier run again; reports/latest stays as it is."""
        self.pages.finish()
        return self._write_run(self.run.steps)

    def _write_run(self, steps: list[StepRecord]) -> Exception | None:
        """Write the pages of the steps, the page of the run, and the index."""
        error = None
        for step in steps:
            error = self._capture_error(self.pages.write_step, step) or error
        return self._capture_error(self._write_run_and_index) or error

    def _write_run_and_index(self) -> None:
        self.pages.write_run()
        started_at = time.monotonic()
        if not self.pages.live or started_at >= self.next_write_at.get(INDEX_KEY, 0):
            self.pages.write_index()
            written_at = time.monotonic()
            pause = WRITE_PAUSE_FACTOR * (written_at - started_at)
            self.next_write_at[INDEX_KEY] = written_at + pause

    def _capture_error(self, write: Callable[..., None], *args: Any) -> Exception | None:
        """Call write and return its exception, if any: no error of a page may stop the run."""
        try:
            write(*args)
        except Exception as error:
            return error
        return None


def _modified_at(notebook_path: Path) -> float:
    """Return the modification time of the notebook; 0.0 if it does not exist."""
    try:
        return notebook_path.stat().st_mtime
    except OSError:
        return 0.0
