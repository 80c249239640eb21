"""A run's pages below reports/: there from its first second, filled in as its cells finish."""

import json
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.runs.atomic_write import write_whole
from pipeline.runs.records import RunRecord, StepRecord

EVERY = 1.0  # seconds between two pages of a step that is running
SHARE = 10  # at least as many times its own duration passes before the next
Keeps = Callable[[], dict[str, str]]  # run -> why it matters, e.g. that its model serves


def nothing() -> dict[str, str]:
    """No run matters more than others."""
    return {}


class Pages:
    """The pages of one run."""

    def __init__(
        self, home: Path, run: RunRecord, keeps: Keeps = nothing, single: bool = False
    ) -> None:
        self.home, self.run, self.keeps, self.single = home, run, keeps, single
        self.runs, self.reports = home / "var" / "runs", home / "reports"
        self.folder = self.reports / run.id
        self.waiting: list[StepRecord] = []
        self.answers: dict[str, str] = {}  # step -> its bottom line, HTML
        self.again: dict[str, float] = {}  # step, or "" -> when it, the index, may be written again
        self.seen: dict[str, float] = {}  # step -> when the notebook that was shown was saved
        self.live = True

    def prepare(self) -> None:
        """Makes the folder; OSError if it cannot be."""
        self.folder.mkdir(parents=True)

    def begin(self) -> Exception | None:
        """Writes what can be told before anything has run."""
        from pipeline.report.pages.step import FEW

        failed = self._try(self._point_latest)
        for step in self.run.steps[:FEW]:
            failed = self._try(self._write_step, step) or failed
        return self._try(self._write_around) or failed

    def warm_up(self) -> None:
        """Imports what writing needs, while there is nothing else to do."""
        import pipeline.report.exporter  # noqa: F401

    def due(self, step: StepRecord) -> None:
        """Says that the step's page is to be written."""
        self.waiting.append(step)

    def write_due(self) -> Exception | None:
        """Writes one page that is due: of a step that has ended, else of one that is running."""
        if self.waiting:
            step = self.waiting.pop(0)
            return self._try(self._write_step, step) or self._try(self._write_around)
        if "pipeline.report.exporter" in sys.modules:
            return self._try(self._show_running)
        return None

    def _show_running(self) -> None:
        now = time.monotonic()
        for step in self.run.steps:
            if step.status == "running" and now >= self.again.get(step.name, 0):
                saved = _saved(self._executed(step))
                if saved != self.seen.get(step.name):
                    self.seen[step.name] = saved
                    self._write_step(step)
                    took = time.monotonic() - now
                    self.again[step.name] = time.monotonic() + max(EVERY, SHARE * took)
                    return

    def finish(self) -> Exception | None:
        """Writes all pages as they stay, the comparison with the run before, and the index."""
        from pipeline.report.pages.step import FEW

        self.live, failed = False, self._try(self._point_latest)
        self.__dict__.pop("_matters", None)  # the run may have changed what serves
        if self.run.status == "done" and any(one.status == "done" for one in self.run.steps):
            failed = self._try(self._compare) or failed
        steps = self.run.steps
        if len(steps) > FEW:  # pages do not name all others: those that are written may stay
            waiting = [one for one in steps[:FEW] if one.status == "not run"]
            steps = [*self.waiting, *(one for one in waiting if one not in self.waiting)]
        for step in steps:
            failed = self._try(self._write_step, step) or failed
        return self._try(self._write_around) or failed

    def write_again(self) -> Exception | None:
        """The pages of a run that has ended; reports/latest stays where it is."""
        self.live, failed = False, None
        for step in self.run.steps:
            failed = self._try(self._write_step, step) or failed
        return self._try(self._write_around) or failed

    def _try(self, write: Callable[..., None], *what: Any) -> Exception | None:
        """Whatever is wrong with a page, or its disk, is to be told, and no reason to stop."""
        try:
            write(*what)
        except Exception as failed:
            return failed
        return None

    def _executed(self, step: StepRecord) -> Path:
        """The executed notebook, of the run that made it."""
        return self.runs / (step.reused or self.run.id) / f"{Path(step.report).stem}.ipynb"

    def _write_step(self, step: StepRecord) -> None:
        from pipeline.report.pages import step as step_page

        shown = step_page.empty(step)
        executed = self._executed(step)
        if executed.exists() and step.status != "not run":
            if step.status != "running":
                self.warm_up()
            if "pipeline.report.exporter" in sys.modules:
                from pipeline.report import exporter

                shown = exporter.body(exporter.read(executed), step.name)
        self.answers[step.name] = shown.answer
        self._write(step.report, step_page.step_page(self.run, step, shown, self._place(step)))
        for name in step.pages:
            self._write_further(step, name)

    def _write_further(self, step: StepRecord, name: str) -> None:
        """A page that the step handed over; its Markdown stays in the hand-over."""
        from pipeline.report.pages import extra

        told = json.loads(self._executed(step).with_suffix(".json").read_text())
        source = told["pages"][name]["markdown"]
        self._write(step.page(name), extra.page(self.run, step, name, source, self.single))

    def _place(self, step: StepRecord | None = None) -> Any:
        from pipeline.report.pages.index import comparisons
        from pipeline.report.pages.step import Place

        known = comparisons(self.reports).get(self.run.id, {})
        earlier = self.index.earlier(self.run, step.name) if step else ""
        goes_on = self.live and (step is None or step.status in ("running", "not run"))
        return Place(self.single, goes_on, earlier, known.get("href", ""))

    def _write_around(self) -> None:
        """The run's own page, and the index."""
        from pipeline.report.pages import step as step_page

        keeps = self._matters.get(self.run.id, "")
        told = step_page.run_page(self.run, self.answers, self._place(), keeps)
        self._write("index.html", told)
        started = time.monotonic()
        if not self.live or started >= self.again.get("", 0):
            self.index.update(self.run)
            self.index.write(self._matters)
            self.again[""] = time.monotonic() + SHARE * (time.monotonic() - started)

    @cached_property
    def index(self) -> Any:
        from pipeline.report.pages.index import Index

        return Index(self.home)

    @cached_property
    def _matters(self) -> dict[str, str]:
        """What `keeps` says, asked for once: it may have to ask a server."""
        try:
            return self.keeps()
        except Exception:  # whatever it asks: a page without that is better than none
            return {}

    def _write(self, name: str, content: str) -> None:
        write_whole(self.folder / name, content, durable=not self.live)

    def _compare(self) -> None:
        from pipeline.report.pages import comparison

        before = self.index.before(self.run)
        if before:
            comparison.write(self.home, before, self.run.id)

    def _point_latest(self) -> None:
        """reports/latest/ is the folder of the newest run: a link, moved in one step."""
        aside = self.reports / f".latest.{self.run.id}"
        latest = self.reports / "latest"
        try:
            aside.symlink_to(self.run.id, target_is_directory=True)
            aside.replace(latest)
        except OSError:  # no links on this file system: a page that leads there
            aside.unlink(missing_ok=True)
            latest.mkdir(exist_ok=True)
            there = f"../{self.run.id}/index.html"
            told = f'<meta http-equiv="refresh" content="0;url={there}"><a href="{there}">here</a>'
            write_whole(latest / "index.html", told, durable=False)


def _saved(executed: Path) -> float:
    try:
        return executed.stat().st_mtime
    except OSError:
        return 0.0
