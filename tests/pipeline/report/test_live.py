"""When the pages of a run are written, on hand-made records."""

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
