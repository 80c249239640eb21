"""Write the pages of a run below reports/ from its first second, and refresh them as cells end."""

import json
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.prune import PinnedRuns, no_pinned_runs
from pipeline.runs.records import RunRecord, StepRecord

# The rest of pipeline.report is imported where it is needed, so that a run that writes no page does
# not pay for it, and the first pages do not wait for nbconvert.
if TYPE_CHECKING:
    from pipeline.report.model import PageContext
    from pipeline.report.pages.index import RunIndex

MIN_REFRESH_SECONDS = 1.0  # between two versions of the page of a running step
WRITE_PAUSE_FACTOR = 10  # a page is rewritten after 10 times the seconds that writing it took
INDEX_KEY = ""  # of the index in ReportWriter.next_write_at; no step has this name


class ReportWriter:
    """Write the pages of one run.

    home: the folder of var/ and reports/. pinned_runs: returns the runs that matter more than
    others. single_file: each page contains its style sheet and script and links to no other page.

    The methods that write pages return the last error, or None: a page that cannot be written is
    reported, and is no reason to stop the run.
    """

    def __init__(
        self,
        home: Path,
        run: RunRecord,
        pinned_runs: PinnedRuns = no_pinned_runs,
        single_file: bool = False,
    ) -> None:
        self.home = home
        self.run = run
        self.pinned_runs = pinned_runs
        self.single_file = single_file
        self.runs_dir = home / "var" / "runs"
        self.reports_dir = home / "reports"
        self.report_dir = self.reports_dir / run.id
        self.pending_steps: list[StepRecord] = []
        self.summaries: dict[str, str] = {}  # step name -> HTML of its summary
        self.next_write_at: dict[str, float] = {}  # step name or INDEX_KEY -> time.monotonic()
        self.rendered_mtimes: dict[str, float] = {}  # step name -> mtime of the notebook shown
        self.live = True

    def create_report_dir(self) -> None:
        """Create the folder of the run's pages. Raises OSError if that fails."""
        self.report_dir.mkdir(parents=True)

    def write_initial_pages(self) -> Exception | None:
        """Write the pages as they are before any step has run."""
        from pipeline.report.pages.step import MAX_NAVIGATION_STEPS

        error = self._capture_error(self._update_latest_link)
        for step in self.run.steps[:MAX_NAVIGATION_STEPS]:
            error = self._capture_error(self._write_step_page, step) or error
        return self._capture_error(self._write_run_page_and_index) or error

    def preload(self) -> None:
        """Import what rendering a notebook needs, at a moment when nothing waits for it."""
        import pipeline.report.exporter  # noqa: F401

    def enqueue(self, step: StepRecord) -> None:
        """Add the step to those whose page write_next writes first."""
        self.pending_steps.append(step)

    def write_next(self) -> Exception | None:
        """Write one page that is due: of an enqueued step, else of a step that is running."""
        if self.pending_steps:
            step = self.pending_steps.pop(0)
            return self._capture_error(self._write_step_page, step) or self._capture_error(
                self._write_run_page_and_index
            )
        if "pipeline.report.exporter" in sys.modules:
            return self._capture_error(self._refresh_running_step)
        return None

    def _refresh_running_step(self) -> None:
        """Write the page of the first running step whose notebook has changed since."""
        started_at = time.monotonic()
        for step in self.run.steps:
            if step.status == "running" and started_at >= self.next_write_at.get(step.name, 0):
                modified_at = _modified_at(self._notebook_path(step))
                if modified_at != self.rendered_mtimes.get(step.name):
                    self.rendered_mtimes[step.name] = modified_at
                    self._write_step_page(step)
                    written_at = time.monotonic()
                    pause = max(MIN_REFRESH_SECONDS, WRITE_PAUSE_FACTOR * (written_at - started_at))
                    self.next_write_at[step.name] = written_at + pause
                    return

    def write_final_pages(self) -> Exception | None:
        """Write the last version of all pages, the comparison with the previous run, the index."""
        from pipeline.report.pages.step import MAX_NAVIGATION_STEPS

        self.live = False
        self.__dict__.pop("_pin_reasons", None)  # cached; the run may have changed what serves
        error = self._capture_error(self._update_latest_link)
        if self.run.status == "done" and any(step.status == "done" for step in self.run.steps):
            error = self._capture_error(self._write_comparison) or error
        steps = self.run.steps
        if len(steps) > MAX_NAVIGATION_STEPS:
            # the pages of so many steps do not name all others: those already written may stay
            not_run = [step for step in steps[:MAX_NAVIGATION_STEPS] if step.status == "not run"]
            not_pending = [step for step in not_run if step not in self.pending_steps]
            steps = [*self.pending_steps, *not_pending]
        return self._write_run(steps) or error

    def rewrite_pages(self) -> Exception | None:
        """Write the pages of an earlier run again; reports/latest stays as it is."""
        self.live = False
        return self._write_run(self.run.steps)

    def _write_run(self, steps: list[StepRecord]) -> Exception | None:
        """Write the pages of the steps, the page of the run, and the index."""
        error = None
        for step in steps:
            error = self._capture_error(self._write_step_page, step) or error
        return self._capture_error(self._write_run_page_and_index) or error

    def _capture_error(self, write: Callable[..., None], *args: Any) -> Exception | None:
        """Call write and return its exception, if any: no error of a page may stop the run."""
        try:
            write(*args)
        except Exception as error:
            return error
        return None

    def _notebook_path(self, step: StepRecord) -> Path:
        """Return the path of the executed notebook, in the run that executed it."""
        return self.runs_dir / (step.reused or self.run.id) / f"{Path(step.report).stem}.ipynb"

    def _write_step_page(self, step: StepRecord) -> None:
        from pipeline.report.pages import step as step_page

        notebook = step_page.empty_notebook(step)
        notebook_path = self._notebook_path(step)
        if notebook_path.exists() and step.status != "not run":
            if step.status != "running":
                self.preload()
            if "pipeline.report.exporter" in sys.modules:
                from pipeline.report import exporter

                notebook = exporter.render_notebook(
                    exporter.read_notebook(notebook_path), step.name
                )
        self.summaries[step.name] = notebook.summary
        page = step_page.step_page(self.run, step, notebook, self._page_context(step))
        self._write_page(step.report, page)
        for page_name in step.pages:
            self._write_extra_page(step, page_name)

    def _write_extra_page(self, step: StepRecord, page_name: str) -> None:
        """Write a page that the step handed over; its Markdown is in the hand-over file."""
        from pipeline.report.pages.extra import extra_page

        handover = json.loads(self._notebook_path(step).with_suffix(".json").read_text())
        source = handover["pages"][page_name]["markdown"]
        page = extra_page(self.run, step, page_name, source, self.single_file)
        self._write_page(step.page_filename(page_name), page)

    def _page_context(self, step: StepRecord | None = None) -> "PageContext":
        """Return the context of the step's page, or of the run's page without a step."""
        from pipeline.report.model import PageContext
        from pipeline.report.pages.index import find_comparisons

        comparison = find_comparisons(self.reports_dir).get(self.run.id)
        return PageContext(
            single_file=self.single_file,
            live=self.live and (step is None or step.status in ("running", "not run")),
            previous_run_id=self.index.previous_run_of_step(self.run, step.name) if step else "",
            comparison_href=comparison.href if comparison else "",
        )

    def _write_run_page_and_index(self) -> None:
        from pipeline.report.pages.step import run_page

        pin_reason = self._pin_reasons.get(self.run.id, "")
        page = run_page(self.run, self.summaries, self._page_context(), pin_reason)
        self._write_page("index.html", page)
        started_at = time.monotonic()
        if not self.live or started_at >= self.next_write_at.get(INDEX_KEY, 0):
            self.index.update(self.run)
            self.index.write_page(self._pin_reasons)
            written_at = time.monotonic()
            pause = WRITE_PAUSE_FACTOR * (written_at - started_at)
            self.next_write_at[INDEX_KEY] = written_at + pause

    @cached_property
    def index(self) -> "RunIndex":
        from pipeline.report.pages.index import RunIndex

        return RunIndex(self.home)

    @cached_property
    def _pin_reasons(self) -> dict[str, str]:
        """What pinned_runs returns; called once, as it may have to query a server."""
        try:
            return self.pinned_runs()
        except Exception:  # whatever it queries: a page without the reasons is better than none
            return {}

    def _write_page(self, name: str, content: str) -> None:
        atomic_write(self.report_dir / name, content, durable=not self.live)

    def _write_comparison(self) -> None:
        from pipeline.report.pages.comparison import write_comparison

        previous_run_id = self.index.previous_comparable_run(self.run)
        if previous_run_id:
            write_comparison(self.home, previous_run_id, self.run.id)

    def _update_latest_link(self) -> None:
        """Make reports/latest a symbolic link to this run's folder, replaced atomically."""
        new_link = self.reports_dir / f".latest.{self.run.id}"
        latest = self.reports_dir / "latest"
        try:
            new_link.symlink_to(self.run.id, target_is_directory=True)
            new_link.replace(latest)
        except OSError:  # the file system has no links: write a page that redirects
            new_link.unlink(missing_ok=True)
            latest.mkdir(exist_ok=True)
            url = f"../{self.run.id}/index.html"
            page = f'<meta http-equiv="refresh" content="0;url={url}"><a href="{url}">here</a>'
            atomic_write(latest / "index.html", page, durable=False)


def _modified_at(notebook_path: Path) -> float:
    """Return the modification time of the notebook; 0.0 if it does not exist."""
    try:
        return notebook_path.stat().st_mtime
    except OSError:
        return 0.0
