"""A run's pages below reports/: there from its first second, filled in as its cells finish."""

import json
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.records import RunRecord, StepRecord

MIN_REFRESH_SECONDS = 1.0  # seconds between two pages of a step that is running
WRITE_PAUSE_FACTOR = 10  # at least as many times its own duration passes before the next
PinnedRuns = Callable[[], dict[str, str]]  # run -> why it matters, e.g. that its model serves


def no_pinned_runs() -> dict[str, str]:
    """No run matters more than others."""
    return {}


class ReportWriter:
    """The pages of one run."""

    def __init__(
        self,
        home: Path,
        run: RunRecord,
        pinned_runs: PinnedRuns = no_pinned_runs,
        single_file: bool = False,
    ) -> None:
        self.home, self.run, self.pinned_runs, self.single_file = (
            home,
            run,
            pinned_runs,
            single_file,
        )
        self.runs_dir, self.reports_dir = home / "var" / "runs", home / "reports"
        self.report_dir = self.reports_dir / run.id
        self.pending_steps: list[StepRecord] = []
        self.summaries: dict[str, str] = {}  # step -> its bottom line, HTML
        self.next_write_at: dict[
            str, float
        ] = {}  # step, or "" -> when it, the index, may be written again
        self.rendered_mtimes: dict[
            str, float
        ] = {}  # step -> when the notebook that was shown was saved
        self.live = True

    def create_report_dir(self) -> None:
        """Makes the folder; OSError if it cannot be."""
        self.report_dir.mkdir(parents=True)

    def write_initial_pages(self) -> Exception | None:
        """Writes what can be told before anything has run."""
        from pipeline.report.pages.step import MAX_NAVIGATION_STEPS

        failed = self._capture_error(self._update_latest_link)
        for step in self.run.steps[:MAX_NAVIGATION_STEPS]:
            failed = self._capture_error(self._write_step_page, step) or failed
        return self._capture_error(self._write_run_page_and_index) or failed

    def preload(self) -> None:
        """Imports what writing needs, while there is nothing else to do."""
        import pipeline.report.exporter  # noqa: F401

    def enqueue(self, step: StepRecord) -> None:
        """Says that the step's page is to be written."""
        self.pending_steps.append(step)

    def write_next(self) -> Exception | None:
        """Writes one page that is due: of a step that has ended, else of one that is running."""
        if self.pending_steps:
            step = self.pending_steps.pop(0)
            return self._capture_error(self._write_step_page, step) or self._capture_error(
                self._write_run_page_and_index
            )
        if "pipeline.report.exporter" in sys.modules:
            return self._capture_error(self._refresh_running_step)
        return None

    def _refresh_running_step(self) -> None:
        now = time.monotonic()
        for step in self.run.steps:
            if step.status == "running" and now >= self.next_write_at.get(step.name, 0):
                saved = _modified_at(self._notebook_path(step))
                if saved != self.rendered_mtimes.get(step.name):
                    self.rendered_mtimes[step.name] = saved
                    self._write_step_page(step)
                    took = time.monotonic() - now
                    self.next_write_at[step.name] = time.monotonic() + max(
                        MIN_REFRESH_SECONDS, WRITE_PAUSE_FACTOR * took
                    )
                    return

    def write_final_pages(self) -> Exception | None:
        """Writes all pages as they stay, the comparison with the run before, and the index."""
        from pipeline.report.pages.step import MAX_NAVIGATION_STEPS

        self.live, failed = False, self._capture_error(self._update_latest_link)
        self.__dict__.pop("_pin_reasons", None)  # the run may have changed what serves
        if self.run.status == "done" and any(one.status == "done" for one in self.run.steps):
            failed = self._capture_error(self._write_comparison) or failed
        steps = self.run.steps
        if (
            len(steps) > MAX_NAVIGATION_STEPS
        ):  # pages do not name all others: those that are written may stay
            waiting = [one for one in steps[:MAX_NAVIGATION_STEPS] if one.status == "not run"]
            steps = [
                *self.pending_steps,
                *(one for one in waiting if one not in self.pending_steps),
            ]
        for step in steps:
            failed = self._capture_error(self._write_step_page, step) or failed
        return self._capture_error(self._write_run_page_and_index) or failed

    def rewrite_pages(self) -> Exception | None:
        """The pages of a run that has ended; reports/latest stays where it is."""
        self.live, failed = False, None
        for step in self.run.steps:
            failed = self._capture_error(self._write_step_page, step) or failed
        return self._capture_error(self._write_run_page_and_index) or failed

    def _capture_error(self, write: Callable[..., None], *args: Any) -> Exception | None:
        """Whatever is wrong with a page, or its disk, is to be told, and no reason to stop."""
        try:
            write(*args)
        except Exception as failed:
            return failed
        return None

    def _notebook_path(self, step: StepRecord) -> Path:
        """The executed notebook, of the run that made it."""
        return self.runs_dir / (step.reused or self.run.id) / f"{Path(step.report).stem}.ipynb"

    def _write_step_page(self, step: StepRecord) -> None:
        from pipeline.report.pages import step as step_page

        shown = step_page.empty_notebook(step)
        executed = self._notebook_path(step)
        if executed.exists() and step.status != "not run":
            if step.status != "running":
                self.preload()
            if "pipeline.report.exporter" in sys.modules:
                from pipeline.report import exporter

                shown = exporter.render_notebook(exporter.read_notebook(executed), step.name)
        self.summaries[step.name] = shown.summary
        self._write_page(
            step.report, step_page.step_page(self.run, step, shown, self._page_context(step))
        )
        for name in step.pages:
            self._write_extra_page(step, name)

    def _write_extra_page(self, step: StepRecord, name: str) -> None:
        """A page that the step handed over; its Markdown stays in the hand-over."""
        from pipeline.report.pages import extra

        told = json.loads(self._notebook_path(step).with_suffix(".json").read_text())
        source = told["pages"][name]["markdown"]
        self._write_page(
            step.page_filename(name),
            extra.extra_page(self.run, step, name, source, self.single_file),
        )

    def _page_context(self, step: StepRecord | None = None) -> Any:
        from pipeline.report.pages.index import find_comparisons
        from pipeline.report.pages.step import PageContext

        known = find_comparisons(self.reports_dir).get(self.run.id, {})
        earlier = self.index.previous_run_of_step(self.run, step.name) if step else ""
        goes_on = self.live and (step is None or step.status in ("running", "not run"))
        return PageContext(self.single_file, goes_on, earlier, known.get("href", ""))

    def _write_run_page_and_index(self) -> None:
        """The run's own page, and the index."""
        from pipeline.report.pages import step as step_page

        keeps = self._pin_reasons.get(self.run.id, "")
        told = step_page.run_page(self.run, self.summaries, self._page_context(), keeps)
        self._write_page("index.html", told)
        started = time.monotonic()
        if not self.live or started >= self.next_write_at.get("", 0):
            self.index.update(self.run)
            self.index.write_page(self._pin_reasons)
            self.next_write_at[""] = time.monotonic() + WRITE_PAUSE_FACTOR * (
                time.monotonic() - started
            )

    @cached_property
    def index(self) -> Any:
        from pipeline.report.pages.index import RunIndex

        return RunIndex(self.home)

    @cached_property
    def _pin_reasons(self) -> dict[str, str]:
        """What `keeps` says, asked for once: it may have to ask a server."""
        try:
            return self.pinned_runs()
        except Exception:  # whatever it asks: a page without that is better than none
            return {}

    def _write_page(self, name: str, content: str) -> None:
        atomic_write(self.report_dir / name, content, durable=not self.live)

    def _write_comparison(self) -> None:
        from pipeline.report.pages import comparison

        before = self.index.previous_comparable_run(self.run)
        if before:
            comparison.write_comparison(self.home, before, self.run.id)

    def _update_latest_link(self) -> None:
        """reports/latest/ is the folder of the newest run: a link, moved in one step."""
        aside = self.reports_dir / f".latest.{self.run.id}"
        latest = self.reports_dir / "latest"
        try:
            aside.symlink_to(self.run.id, target_is_directory=True)
            aside.replace(latest)
        except OSError:  # no links on this file system: a page that leads there
            aside.unlink(missing_ok=True)
            latest.mkdir(exist_ok=True)
            there = f"../{self.run.id}/index.html"
            told = f'<meta http-equiv="refresh" content="0;url={there}"><a href="{there}">here</a>'
            atomic_write(latest / "index.html", told, durable=False)


def _modified_at(notebook_path: Path) -> float:
    try:
        return notebook_path.stat().st_mtime
    except OSError:
        return 0.0
