"""The report of a step and the page of its run, from hand-made records; a few by real runs."""

import html
import json
import re
import subprocess
import sys
import time

import pytest

from pipeline import main
from pipeline.report import exporter
from pipeline.report.live import ReportWriter
from pipeline.report.pages.index import RunIndex
from pipeline.runs import git
from pipeline.runs.records import Attempt
from pipeline.runs.results import Metric, PublishedResults
from pipeline.runs.status import CellStatus, StepStatus
from tests.pipeline.report.conftest import executed_cell, executed_notebook, v4

ERROR = v4.new_output(
    "error",
    ename="ZeroDivisionError",
    evalue="division by zero",
    traceback=["Cell \x1b[32mIn[2]\x1b[39m, line 2\n----> 2 result = value / 0"],
)


def notebook(*cells):
    return executed_notebook(*(cells or [executed_cell("1")]))


def header(page):
    return page.split("</header>")[0]


def test_the_header_answers_what_a_reader_asks_first(project, record_run):
    record_run("20261101-01", one=notebook(), two=notebook())
    run = record_run(
        "20261101-02",
        {
            "headline": {"RMSE": Metric(9.5, "$9.5", "lower", before=10)},
            "facts": {"data": "Numbers, 5 rows", "champion": "numbers version 2"},
            "links": {"model version: numbers 3": "https://example.com/models/3"},
            "parameters": {"n": 41},
            "peak_mb": 1_234,
        },
        one=notebook("# The one report\n\nWhy?", executed_cell("1")),
        two=notebook(),
    )
    folder = project.workspace.report_folder("20261101-01")
    folder.mkdir(parents=True)
    (folder / "one.html").write_text("the report of before")
    writer = ReportWriter(project, run)
    assert writer.write_final_pages() is None
    assert writer.rewrite_pages() is None  # now there is a comparison to link to
    pages = {
        name: html.unescape((project.workspace.latest_report / f"{name}.html").read_text())
        for name in ("one", "two")
    }
    for text in (
        "The one report",
        "<p>Why?</p>",
        "done",
        "Numbers, 5 rows",
        "<mark>41</mark>",
        "numbers version 2",
        '<a href="https://example.com/models/3">numbers 3</a>',
        "$9.5",
        "−$0.5 (−5.0%)",
        'href="two.html"',
        "previous report of this step",
        'href="../compare/20261101-01..20261101-02.html',
        "1,234 MB",
    ):
        assert text in header(pages["one"]), text
    assert re.search(r'rel="next" href="two.html"', pages["one"])
    assert re.search(r'rel="prev" href="one.html"', pages["two"])
    index = html.unescape(project.workspace.run_index_page.read_text())
    assert "one.n = <mark>41</mark>" in index


def test_a_step_without_facts_shows_the_group_of_its_run(record_run, read_page):
    run = record_run("20261101-01", prep=notebook(), train=notebook(), check=notebook())
    prep, _, check = run.steps
    prep.facts = {"data": "Numbers, 5 rows", "machine": "a GPU"}
    check.facts = {"limits": "strict"}
    facts = {
        name: re.findall(
            r"<dt>(data|machine|limits)</dt><dd>(.*?)</dd>", header(read_page(run, name))
        )
        for name in ("prep", "train", "check", "index")
    }
    assert facts == {
        "prep": [("data", "Numbers, 5 rows"), ("machine", "a GPU")],
        "train": [("data", "Numbers, 5 rows")],
        "check": [("data", "Numbers, 5 rows"), ("limits", "strict")],
        "index": [("data", "Numbers, 5 rows")],
    }


def test_a_failure_names_the_project_s_script_and_three_reasons_to_run(project, record_run):
    project = project._replace(script="work.py")
    fields = {"cells": 2, "cell_status": [CellStatus.FAILED, CellStatus.NOT_RUN]}
    fields |= {"status": StepStatus.TIMED_OUT, "why": [f"input {name} is new" for name in "abcde"]}
    run = record_run("20261101-01", fields, train=notebook(executed_cell("1", status="timed out")))
    assert ReportWriter(project, run).rewrite_pages() is None
    page = html.unescape((project.workspace.report_folder(run.id) / "train.html").read_text())
    for text in (
        "This step timed out after 0 of 2 cells",
        "<code>time_limit</code> of the step train in <code>work.py</code>",
        "<code>python work.py</code>: it resumes at this step",
        "<code>python work.py show 20261101-01</code> prints all of this",
        "It ran because: input a is new; input b is new; input c is new and 2 more.",
        "<p>1 more cell of this notebook.</p>",
    ):
        assert text in header(page), text


def test_the_report_of_a_failed_step_explains_the_failure(project, record_run, read_page):
    finished_run = record_run("20261101-01", train=notebook(), after=notebook())
    read_page(finished_run, "train")
    cells = (
        executed_cell("1 + 1"),
        executed_cell("value = 1\nresult = value / 0", ERROR, status="failed"),
        executed_cell("'never'", status="not run"),
    )
    failed_notebook = notebook(*cells)
    failed_notebook.metadata["papermill"] = {"input_path": "notebooks/train.ipynb"}
    run = record_run("20261101-02", train=failed_notebook, after=notebook())
    step, later_step = run.steps
    later_step.status = StepStatus.NOT_RUN
    step.status, step.failure = StepStatus.FAILED, "ZeroDivisionError: division by zero"
    step.cells, step.cells_done, step.heading = 3, 1, "The search"
    step.cell_status = [CellStatus.RAN, CellStatus.FAILED, CellStatus.NOT_RUN]
    step.traceback, step.output = ERROR.traceback[0], "so far"
    step.stderr = "from below"
    step.parameters = {"n": 5, "family": "<b>"}
    step.why = ["cell 2 was edited", "it was forced"]
    step.attempts = [Attempt(StepStatus.KILLED, "it was killed", seconds=2.0)]
    text = header(read_page(run, "train"))
    for expected in (
        "This step failed after 1 of 3 cells",
        "ZeroDivisionError: division by zero",
        "In cell 2, in the section “The search”.",
        'href="#cell-2"',
        "so far",
        "from below",
        '<span class="ansi-green-fg">In[2]</span>',
        "1 more cell of this notebook, and the step after.",
        "train.ipynb",
        "(set n = 5, family = '<b>' in its parameters cell)",
        "It ran because: cell 2 was edited.",
        "Attempt 1 killed after 2.0 s: it was killed",
        'href="../20261101-01/train.html">run 20261101-01</a>',
    ):
        assert expected in text, expected
    assert text.count('class="hll"') == 1
    assert "result" in text.split('class="hll"')[1].split("</span>\n")[0]
    assert 'It did not run, as <a href="train.html">train</a> failed' in read_page(run, "after")


def test_a_step_that_failed_before_its_first_cell_has_a_report(record_run, read_page):
    fields = {"status": StepStatus.KILLED, "failure": "it was killed: out of memory"}
    text = header(read_page(record_run("20261101-01", fields, train=notebook()), "train"))
    assert "This step was killed before its first cell" in text
    assert "<p>This notebook.</p>" in text
    assert "raise <code>memory_limit</code> of the step train" in text
    assert "then run <code>python run_pipeline.py</code>: it resumes at this step" in text


def test_the_pages_of_later_steps_show_the_notice_too(record_run, read_page):
    run = record_run("20261101-01", one=notebook(), two=notebook())
    run.steps[0].notice = "MADE UP"
    run.steps[1].status = StepStatus.FAILED
    assert "MADE UP" in header(read_page(run, "two"))


@pytest.mark.parametrize("value", ["low", None, [1]])
def test_a_result_that_is_no_number_is_rejected(home, value):
    path = home / "one.json"
    path.write_text(json.dumps({"headline": {"RMSE": {"value": value, "text": "x"}}}))
    with pytest.raises(ValueError, match="expected a number as value"):
        PublishedResults.load(path)


def test_a_single_file_needs_no_other_file(record_run, read_page):
    run = record_run("20261101-01", one=notebook())
    page = read_page(run, "one", single_file=True)
    assert "<style>" in page
    assert 'rel="stylesheet"' not in page
    assert " src=" not in page
    assert 'href="../' not in page
    assert 'rel="stylesheet"' in read_page(run, "one")


def test_a_page_without_figures_is_small(project, record_run, read_page):
    run = record_run("20261101-01", one=notebook(executed_cell("1 + 1")))
    assert len(read_page(run, "one").encode()) < 10_000
    assets = project.workspace.assets_folder.iterdir()
    assert sum(asset.stat().st_size for asset in assets) < 60_000


def test_the_link_to_the_commit_holds_no_password(home, record_run, read_page):
    (home / "one.ipynb").write_text("1")
    for arguments in (
        ["init", "-q"],
        ["add", "one.ipynb"],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x"],
        ["remote", "add", "origin", "https://me:hush@example.com/team/houses.git"],
    ):
        subprocess.run(["git", *arguments], cwd=home, check=True)
    run = record_run("20261101-01", one=notebook())
    run.commit, run.commit_link = git.commit_and_url(home)
    text = header(read_page(run, "one"))
    assert re.search(r'href="https://example.com/team/houses/commit/[0-9a-f]{40}"', text)
    assert "hush" not in text
    (home / "one.ipynb").write_text("2")
    run.commit, run.commit_link = git.commit_and_url(home)
    assert "with uncommitted changes" in header(read_page(run, "one"))


def test_a_record_of_an_older_version_is_still_listed(project, record_run):
    run = record_run("20261101-01", one=notebook())
    path = project.workspace.run_folder(run.id) / "run.json"
    record = json.loads(path.read_text())
    record.pop("commit")
    for step in record["steps"]:
        step.pop("links")
        step["no_longer_a_field"] = 1
    path.write_text(json.dumps(record))
    record_run("20261101-02", one=notebook())
    assert RunIndex(project).write_page({}).read_text().count("<tr data-run=") == 2


def test_no_page_of_a_long_run_stays_live(project, record_run):
    run = record_run("20261101-01", **{f"s{number}": notebook() for number in range(15)})
    for step in run.steps:
        step.status = StepStatus.NOT_RUN
    writer = ReportWriter(project, run)
    assert writer.write_initial_pages() is None
    folder = project.workspace.report_folder(run.id)
    assert "data-live" in (folder / "s0.html").read_text()
    for step in run.steps[:3]:
        step.status = StepStatus.DONE
        writer.enqueue(step)
        assert writer.write_next() is None
    run.steps[3].status = StepStatus.FAILED
    writer.enqueue(run.steps[3])
    assert writer.write_final_pages() is None
    pages = list(folder.glob("*.html"))
    assert len(pages) >= 13
    assert [page.name for page in pages if "data-live" in page.read_text()] == []
    for page in pages:  # and no link is broken
        for href in re.findall(r'href="([^"#?:]+\.html)"', page.read_text()):
            assert (page.parent / href).exists(), (page.name, href)


def test_a_page_that_cannot_be_rendered_is_reported_and_stops_nothing(
    project, record_run, monkeypatch
):
    run = record_run("20261101-01", one=notebook(), two=notebook())
    render_notebook = exporter.render_notebook

    def fail_for_one(executed, title, *options):
        if title == "one":
            raise KeyError("an unexpected notebook")
        return render_notebook(executed, title, *options)

    monkeypatch.setattr(exporter, "render_notebook", fail_for_one)
    error = ReportWriter(project, run).rewrite_pages()
    assert "an unexpected notebook" in str(error)
    folder = project.workspace.report_folder(run.id)
    assert sorted(page.stem for page in folder.glob("*.html")) == ["index", "one", "two"]
    assert "cannot be shown: 'an unexpected notebook'" in html.unescape(
        (folder / "one.html").read_text()
    )


def test_the_first_page_waits_for_no_import():
    """Rendering cells takes a second to import, which is done while the first kernel starts."""
    code = (
        "import sys, pipeline.report.run_pages\n"
        "slow = ('nbconvert', 'nbformat', 'pygments', 'PIL', 'bs4')\n"
        "print([name for name in slow if name in sys.modules])"
    )
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert completed.stdout == "[]\n", completed.stderr


@pytest.mark.slow
def test_a_page_exists_from_the_first_second_and_fills_in(make_project, make_step):
    slow = "import time\nprint('first words', flush=True)\ntime.sleep(6)\nprint('last words')"
    project = make_project(make_step("one", "'a result'", slow), make_step("two", "1"))
    process = project.start()
    latest = project.folder / "reports" / "latest"
    deadline = time.monotonic() + 20
    while not (latest / "index.html").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "data-live" in (latest / "index.html").read_text()
    assert "has not started yet" in (latest / "two.html").read_text()
    # the printed text, not the code that prints it
    while "<pre tabindex=0>first words" not in project.report_html("one"):
        assert process.poll() is None
        time.sleep(0.05)
    assert "It is running: 2 of 3 cells are done" in project.report_html("one")
    assert process.wait(60) == 0
    assert "first words\nlast words" in project.report_html("one")
    for name in ("one", "two", "index"):
        assert "data-live" not in project.report_html(name)


@pytest.mark.slow
def test_a_run_says_that_a_page_could_not_be_rendered(home, make_step, capsys, monkeypatch):
    def fail(*_):
        raise KeyError("an unexpected notebook")

    monkeypatch.setattr(exporter, "render_notebook", fail)
    assert main([make_step("one", "1"), make_step("two", "1")], home, []) == 1
    printed = capsys.readouterr().out
    assert "a report could not be written: 'an unexpected notebook'" in printed
    assert printed.count("cells ") == 2
