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
# keys of ReportWriter.next_write_at that are no step's name
INDEX_KEY = ""
RUN_KEY = "/"


class ReportWriter:
    """Decide which pages of a run are written when.

    single_file: each page contains its style sheet and script and links to no other page.

    The methods that write pages return the last error, or None: a page that cannot be written is
    reported, and is no reason to stop the run.
    """

    def __init__(self, project: Project, run: RunRecord, single_file: bool = False) -> None:
        self.project, self.run, self.single_file = project, run, single_file
        self.pending_steps: list[StepRecord] = []
        self.final_steps: set[str] = set()  # whose page stays as it is: they ended well
        self.shown_statuses: list[StepStatus] = []  # of the steps, on the page of the run
        self.next_write_at: dict[str, float] = {}  # step name, or a key above -> time.monotonic()
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
        """Write one page that is due: of an enqueued step, else of the run, or of a running step.

        The run's page is due when a step has started or ended.
        """
        if self.pending_steps:
            return self._write_run([self.pending_steps.pop(0)])
        is_changed = self.shown_statuses != [step.status for step in self.run.steps]
        if is_changed and time.monotonic() >= self.next_write_at.get(RUN_KEY, 0):
            return self._write_run(self._started_steps_without_page())
        if self.pages.can_render_notebooks:
            return self._capture_error(self._refresh_running_step)
        return None

    def _started_steps_without_page(self) -> list[StepRecord]:
        return [
            step
            for step in self.run.steps
            if step.status is StepStatus.RUNNING and step.name not in self.pages.written_steps
        ]

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
        """Write the last version of the pages, the comparison with the previous run, the index.

        A notebook takes about 30 ms to render, a large one a second. So in a run of many steps,
        whose pages tell of no other step than the two beside it, the page of a step that has ended
        well stays as it is: it says only what could not change any more when it was written.
        """
        self.pages.finish()
        error = self._capture_error(self.pages.update_latest_link)
        has_new_results = any(step.status is StepStatus.DONE for step in self.run.steps)
        if self.run.status is StepStatus.DONE and has_new_results:
            error = self._capture_error(self.pages.write_comparison) or error
        steps = self.run.steps
        if len(steps) > MAX_NAVIGATION_STEPS:
            steps = [step for step in steps if self._must_be_finished(step)]
        return self._write_run(steps) or error

    def _must_be_finished(self, step: StepRecord) -> bool:
        """Return whether the page of a step in a run of many steps is missing or not final."""
        if step.status is StepStatus.NOT_RUN:
            return step.name in self.pages.written_steps
        return step.name not in self.final_steps

    def rewrite_pages(self) -> Exception | None:
        """Write the pages of an earlier run again; reports/latest stays as it is."""
        self.pages.finish()
        return self._write_run(self.run.steps)

    def restore_pages(self) -> Exception | None:
        """Write those pages of an earlier run that are missing, and reports/latest if that is."""
        self.pages.finish()
        folder = self.project.workspace.report_folder(self.run.id)
        shown_steps = [step for step in self.run.steps if step.status is not StepStatus.NOT_RUN]
        error = None
        latest = self.project.workspace.latest_report_of(self.run.on_demand_step)
        if not latest.exists():
            error = self._capture_error(self.pages.update_latest_link)
        missing = [step for step in shown_steps if not (folder / step.report).exists()]
        return self._write_run(missing) or error

    def _write_run(self, steps: list[StepRecord]) -> Exception | None:
        """Write the pages of the steps, the page of the run, and the index."""
        error = None
        self.pages.written_steps |= {step.name for step in steps}
        for step in steps:
            has_ended_well = step.status.is_success
            step_error = self._capture_error(self.pages.write_step, step)
            if has_ended_well and not step_error:
                self.final_steps.add(step.name)
            error = step_error or error
        return self._capture_error(self._write_run_and_index) or error

    def _write_run_and_index(self) -> None:
        started_at = time.monotonic()
        self.shown_statuses = [step.status for step in self.run.steps]
        self.pages.write_run()
        written_at = time.monotonic()
        self.next_write_at[RUN_KEY] = written_at + WRITE_PAUSE_FACTOR * (written_at - started_at)
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
