"""When the pages of a run are written, on hand-made records."""

import re
import subprocess
import sys

import pytest

from pipeline.report.live import ReportWriter
from pipeline.runs.status import StepStatus
from tests.pipeline.report.conftest import executed_cell, executed_notebook, stream_output


@pytest.fixture
def running_run(record_run):
    """A run whose step is running, with the output of its first cell on the disk."""
    notebook = executed_notebook("# Training", executed_cell("go()", stream_output("first words")))
    run = record_run("20261101-01", {"status": StepStatus.RUNNING, "cells": 2}, train=notebook)
    run.ended = ""
    return run


def read_page(project, run, name="train"):
    return (project.workspace.report_folder(run.id) / f"{name}.html").read_text()


def test_the_first_pages_do_not_wait_until_notebooks_can_be_rendered(project, running_run):
    writer = ReportWriter(project, running_run)
    assert writer.write_initial_pages() is None
    assert "It is running" in read_page(project, running_run)
    assert "first words" not in read_page(project, running_run)
    assert writer.write_next() is None
    assert "first words" not in read_page(project, running_run)
    writer.preload()
    assert writer.write_next() is None
    assert "first words" in read_page(project, running_run)


def test_a_step_that_has_ended_is_rendered_in_any_case(project, running_run):
    [step] = running_run.steps
    step.status = StepStatus.DONE
    writer = ReportWriter(project, running_run)
    writer.enqueue(step)
    assert writer.write_next() is None
    assert "first words" in read_page(project, running_run)


def test_the_page_of_a_run_that_is_in_use_says_for_what(project, record_run):
    run = record_run("20261101-01", train=executed_notebook(executed_cell("1")))
    in_use = {run.id: "numbers version 2"}
    project = project._replace(pinned_runs=lambda: in_use)
    writer = ReportWriter(project, run)
    assert writer.rewrite_pages() is None
    assert "<dt>in use as</dt><dd>numbers version 2</dd>" in read_page(project, run, "index")
    in_use[run.id] = "numbers version 3"  # the run has changed that
    assert writer.write_final_pages() is None
    assert "<dd>numbers version 3</dd>" in read_page(project, run, "index")


def test_a_page_that_the_notebook_published_no_longer_is_reported(project, record_run):
    fields = {"pages": {"card": "A card"}}
    run = record_run("20261101-01", fields, train=executed_notebook(executed_cell("1")))
    error = ReportWriter(project, run).rewrite_pages()
    assert "has no page card" in str(error)
    assert "<h1>train</h1>" in read_page(project, run)


def test_a_page_of_an_older_run_is_shown_whatever_else_its_file_has(project, record_run):
    fields = {"pages": {"card": "A card"}, "facts": {"data": "A, 5 rows"}}
    run = record_run("20261101-01", fields, train=executed_notebook(executed_cell("1")))
    results_file = project.workspace.executed_notebook(run.id, "train").with_suffix(".json")
    results_file.write_text(
        '{"data": "A, 5 rows", "champion": "x", "read": [], "wrote": [], "made": {},'
        ' "pages": {"card": {"title": "A card", "markdown": "For *first* guesses"}}}'
    )
    assert ReportWriter(project, run).rewrite_pages() is None
    page = read_page(project, run, "card")
    assert "For <em>first</em> guesses" in page
    assert "<dt>data</dt><dd>A, 5 rows</dd>" in page


def test_rendering_does_not_import_the_slow_grammar_of_web_addresses():
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pipeline.definition.project import Project\n"
        "from pipeline.report.live import ReportWriter\n"
        "from pipeline.runs.records import RunRecord\n"
        "from pipeline.workspace import Workspace\n"
        "project = Project(Workspace(Path()), 'work.py')\n"
        "ReportWriter(project, RunRecord('a', '', [])).preload()\n"
        "print('nbconvert' in sys.modules, sys.modules['rfc3987_syntax'])"
    )
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert completed.stdout == "True None\n", completed.stderr


class LongRun:
    """A run of many steps whose pages are written as the runner does, step by step."""

    def __init__(self, project, run):
        self.run, self.folder = run, project.workspace.report_folder(run.id)
        self.run.ended = ""
        for step in run.steps:
            step.status, step.seconds = StepStatus.NOT_RUN, 0.0
        self.writer = ReportWriter(project, run)
        assert self.writer.write_initial_pages() is None
        self.writer.preload()
        self.check()

    def start(self, index):
        step = self.run.steps[index]
        step.status, step.started = StepStatus.RUNNING, "2026-11-01T10:00:00+00:00"
        self._write()

    def end(self, index, status=StepStatus.DONE):
        step = self.run.steps[index]
        step.status, step.seconds = status, index + 0.5
        self.writer.enqueue(step)
        self._write()

    def skip(self, index, blocked_by):
        self.run.steps[index].status = StepStatus.SKIPPED
        self.run.steps[index].blocked_by = blocked_by

    def _write(self):
        for _ in range(3):
            self.writer.next_write_at.clear()  # as if time had passed
            assert self.writer.write_next() is None
        self.check()

    def finish(self):
        for step in self.run.steps:
            if step.status is StepStatus.SKIPPED:
                step.status = StepStatus.NOT_RUN
        self.run.ended = "2026-11-01T11:00:00+00:00"
        assert self.writer.write_final_pages() is None
        self.check()
        for page in self.folder.glob("*.html"):
            text = page.read_text()
            assert "data-live" not in text, page
            assert "as of" not in text, page

    def page(self, index):
        return (self.folder / self.run.steps[index].report).read_text()

    def check(self):
        """Hold each page against the record: no status that is wrong, no broken link."""
        statuses = {step.name: step.status for step in self.run.steps}
        seconds = {step.name: f"{step.seconds:.1f} s" for step in self.run.steps}
        for page in self.folder.glob("*.html"):
            text = page.read_text()
            for href in re.findall(r'href="([^"#?:]+\.html)"', text):
                assert (page.parent / href).exists(), (page.name, href)
            for item in re.findall(
                r"<li(?: class[^>]*)?>.*?</li>", text.partition("</ol>")[0], re.DOTALL
            ):
                name, _, shown_status = re.sub(r"<[^>]*>", "", item).strip().partition(" ")
                if page.name != "index.html" and shown_status:
                    expected = {str(statuses[name]), seconds[name]}
                    assert shown_status in expected, (page.name, item, statuses[name])
            if page.name != "index.html" and "data-live" not in text:
                assert statuses[page.stem].is_success or self.run.ended, page.name


@pytest.fixture
def make_long_run(project, record_run):
    def make(n_steps):
        notebook = executed_notebook(executed_cell("1"))
        names = {f"s{number}": notebook for number in range(n_steps)}
        return LongRun(project, record_run("20261101-01", **names))

    return make


@pytest.mark.parametrize("n_steps", [3, 12, 13, 40])
def test_each_page_is_true_at_every_moment_of_a_run(make_long_run, n_steps):
    long_run = make_long_run(n_steps)
    long_run.start(0)
    for index in range(n_steps - 1):
        long_run.start(index + 1)  # two steps are always running
        assert "It is running" in long_run.page(index)
        long_run.end(index)
    long_run.end(n_steps - 1)
    long_run.finish()
    for index in range(n_steps):
        assert f"<dd>{index}.5 s</dd>" in long_run.page(index)
    last_page = long_run.page(n_steps - 1)
    assert f'rel="prev" href="s{n_steps - 2}.html"' in last_page
    assert f'rel="next" href="s{n_steps - 1}.html"' in long_run.page(n_steps - 2)
    assert f"<dd>{n_steps} done</dd>" in (long_run.folder / "index.html").read_text()


@pytest.mark.parametrize("n_steps", [5, 20])
def test_a_failure_in_the_midst_is_told_on_the_pages_of_the_steps_that_need_it(
    make_long_run, n_steps
):
    long_run = make_long_run(n_steps)
    for index in (0, 1):
        long_run.start(index)
    long_run.end(0, StepStatus.UP_TO_DATE)
    long_run.skip(2, "s1")
    long_run.end(1, StepStatus.FAILED)
    assert "and the step s2." in long_run.page(1)  # the others may still run
    long_run.start(3)
    long_run.end(3, StepStatus.TIMED_OUT)
    long_run.skip(4, "s3")
    long_run.finish()
    assert 'It did not run, as <a href="s1.html">s1</a> failed.' in long_run.page(2)
    assert 'It did not run, as <a href="s3.html">s3</a> timed out.' in long_run.page(4)
    not_run = ", ".join(f"s{index}" for index in (2, *range(5, min(n_steps, 12))))
    plural = "s" if n_steps > 5 else ""
    assert f"and the step{plural} {not_run}" in long_run.page(1)
    assert "Made by executing" in long_run.page(0)
    assert "Made by executing" not in long_run.page(4)
    counts = "1 up to date, 1 failed, 1 timed out</dd>"
    assert f"<dd>{n_steps - 3} not run, {counts}" in (long_run.folder / "index.html").read_text()


def test_a_run_whose_runner_was_killed_gets_all_its_pages(project, make_long_run):
    long_run = make_long_run(20)
    long_run.start(0)
    long_run.end(0)
    long_run.start(1)
    long_run.run.steps[1].status = StepStatus.DONE  # and killed before its page was written
    long_run.run.steps[2].status = StepStatus.KILLED
    long_run.writer = ReportWriter(project, long_run.run)
    long_run.finish()
    assert "<dd>done</dd>" in long_run.page(1).replace(' class="status done"', "")
    assert 'It did not run, as <a href="s2.html">s2</a> was killed.' in long_run.page(3)


def test_a_missing_page_of_an_earlier_run_is_written_again(project, make_long_run):
    long_run = make_long_run(14)
    for index in range(14):
        long_run.end(index)
    long_run.finish()
    unchanged = long_run.folder / "s4.html"
    written_at = unchanged.stat().st_mtime_ns
    (long_run.folder / "s3.html").unlink()
    assert ReportWriter(project, long_run.run).restore_pages() is None
    long_run.check()
    assert (long_run.folder / "s3.html").exists()
    assert unchanged.stat().st_mtime_ns == written_at


def test_the_page_of_a_run_lists_every_step_that_did_not_end_well(project, make_long_run):
    long_run = make_long_run(120)
    for index, step in enumerate(long_run.run.steps):
        step.status = StepStatus.DONE if index != 110 else StepStatus.FAILED
    long_run.run.ended = "2026-11-01T11:00:00+00:00"
    long_run.writer.pages.write_run()
    page = (long_run.folder / "index.html").read_text()
    assert "s99" in page
    assert "s100" not in page
    assert "s110" in page
    assert "and 19 more steps" in page
    assert "<dd>119 done, 1 failed</dd>" in page
