"""The pages of a run, written by real runs."""

import html
import json
import re
import subprocess
import sys
import time

import pytest

from pipeline import main
from pipeline.report.live import ReportWriter
from pipeline.runs.status import CellStatus, StepStatus
from tests.pipeline.report.conftest import executed_cell, executed_notebook

PUBLISHING_CELL = """
import json, os
with open(os.environ["PIPELINE_RESULTS"], "w") as file:
    json.dump({results}, file)
"""


def read_page(home, name, run="latest"):
    return html.unescape((home / "reports" / run / f"{name}.html").read_text())


def read_header(home, name, run="latest"):
    return read_page(home, name, run).split("</header>")[0]


def test_the_header_answers_what_a_reader_asks_first(home, make_step):
    results = {
        "headline": {"RMSE": {"value": 9.5, "text": "$9.5", "before": 10, "better": "lower"}},
        "facts": {"data": "Numbers, 5 rows", "champion": "numbers version 2"},
        "links": {"model version: numbers 3": "https://example.com/models/3"},
    }
    cell = PUBLISHING_CELL.format(results=results)
    steps = [make_step("one", cell, parameters="n: int = 1  # so many"), make_step("two", "1")]
    assert main(steps, home, []) == 0
    assert main(steps, home, ["-p", "n=41"]) == 0
    header = read_header(home, "one")
    for text in (
        "The one report",
        "done",
        "Numbers, 5 rows",
        "<mark>41</mark>",
        "numbers version 2",
        '<a href="https://example.com/models/3">numbers 3</a>',
        "$9.5",
        "−$0.5 (−5.0%)",
        'href="two.html"',
        "previous report of this step",
        'href="../compare/',
    ):
        assert text in header, text
    assert re.search(r'rel="next" href="two.html"', read_page(home, "one"))
    assert re.search(r'rel="prev" href="one.html"', read_page(home, "two"))
    index = html.unescape((home / "reports" / "index.html").read_text())
    assert "one.n = <mark>41</mark>" in index


def test_a_step_without_facts_shows_the_group_of_its_run(project, record_run):
    notebook = executed_notebook(executed_cell("1"))
    run = record_run("20261101-01", prep=notebook, train=notebook, check=notebook)
    prep, _, check = run.steps
    prep.facts = {"data": "Numbers, 5 rows", "machine": "a GPU"}
    check.facts = {"limits": "strict"}
    assert ReportWriter(project, run).rewrite_pages() is None
    facts = {
        name: re.findall(r"<dt>(data|machine|limits)</dt><dd>(.*?)</dd>", page)
        for name in ("prep", "train", "check", "index")
        for page in [read_header(project.workspace.home, name, run.id)]
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
    notebook = executed_notebook(executed_cell("1", status="timed out"))
    run = record_run("20261101-01", fields, train=notebook)
    assert ReportWriter(project, run).rewrite_pages() is None
    header = read_header(project.workspace.home, "train", run.id)
    for text in (
        "This step timed out after 0 of 2 cells",
        "<code>time_limit</code> of the step train in <code>work.py</code>",
        "<code>python work.py</code>: it resumes at this step",
        "<code>python work.py show latest</code> prints all of this",
        "It ran because: input a is new; input b is new; input c is new and 2 more.",
    ):
        assert text in header, text


@pytest.mark.parametrize("value", ["'low'", "None", "[1]"])
def test_a_result_that_is_no_number_is_rejected(home, make_step, capsys, value):
    results = f'{{"headline": {{"RMSE": {{"value": {value}, "text": "x"}}}}}}'
    step = make_step("one", PUBLISHING_CELL.format(results=results))
    assert main([step], home, []) == 1
    assert "expected a number as value" in capsys.readouterr().out


def test_the_report_of_a_failed_step_explains_the_failure(home, make_step):
    cells = ("print('so far')\nvalue = 1\nresult = value / 0", "'never'")
    assert main([make_step("train", "1 + 1"), make_step("after", "1")], home, []) == 0
    first_run_id = (home / "reports" / "latest").resolve().name
    assert main([make_step("train", *cells), make_step("after", "1")], home, []) == 1
    header = read_header(home, "train")
    for text in (
        "This step failed after 1 of 3 cells",
        "ZeroDivisionError: division by zero",
        "In cell 2",
        'href="#cell-2"',
        "so far",
        "1 more cell of this notebook, and the step after",
        "train.ipynb",
        "python run_pipeline.py",
        f'href="../{first_run_id}/train.html"',
    ):
        assert text in header, text
    assert header.count('class="hll"') == 1
    assert "result" in header.split('class="hll"')[1].split("</span>\n")[0]
    assert "cell 2" in header.split("What is different")[1]
    assert "It did not run, as train failed" in read_page(home, "after")


def test_the_pages_of_later_steps_show_the_notice_too(home, make_step):
    cell = PUBLISHING_CELL.format(results={"notice": "MADE UP"})
    assert main([make_step("one", cell), make_step("two", "1 / 0")], home, []) == 1
    assert "MADE UP" in read_header(home, "two")


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


def test_a_single_file_needs_no_other_file(home, make_step):
    assert main([make_step("one", "1")], home, ["--single-file"]) == 0
    page = read_page(home, "one")
    assert "<style>" in page
    assert 'rel="stylesheet"' not in page
    assert " src=" not in page
    assert 'href="../' not in page
    assert main([], home, ["render", "latest"]) == 0
    assert 'rel="stylesheet"' in read_page(home, "one")


def test_a_page_without_figures_is_small(home, make_step):
    assert main([make_step("one", "1 + 1")], home, []) == 0
    reports_dir = home / "reports"
    assert len((reports_dir / "latest" / "one.html").read_bytes()) < 10_000
    assert sum(asset.stat().st_size for asset in (reports_dir / "assets").iterdir()) < 60_000


def test_the_link_to_the_commit_holds_no_password(home, tmp_path, make_step):
    step = make_step("one", "1")
    for arguments in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x"],
        ["remote", "add", "origin", "https://me:hush@example.com/team/houses.git"],
    ):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    assert main([step], home, []) == 0
    header = read_header(home, "one")
    assert re.search(r'href="https://example.com/team/houses/commit/[0-9a-f]{40}"', header)
    assert "hush" not in header
    step.notebook.write_text(step.notebook.read_text().replace('"1"', '"2"'))
    assert main([step], home, []) == 0
    assert "with uncommitted changes" in read_header(home, "one")


def test_a_record_of_an_older_version_is_still_listed(home, make_step):
    assert main([make_step("one", "1")], home, []) == 0
    [path] = (home / "var" / "runs").glob("*/run.json")
    record = json.loads(path.read_text())
    record.pop("commit")
    for step in record["steps"]:
        step.pop("links")
        step["no_longer_a_field"] = 1
    path.write_text(json.dumps(record))
    assert main([make_step("one", "2")], home, []) == 0
    assert (home / "reports" / "index.html").read_text().count("<tr data-run=") == 2


def test_no_page_of_a_long_run_stays_live(home, make_step):
    steps = [make_step(f"s{number}", "1") for number in range(14)]
    failing_step = make_step("s14", "1 / 0")
    assert main([*steps[:3], failing_step, *steps[3:]], home, ["--quiet"]) == 1
    pages = list((home / "reports" / "latest").glob("*.html"))
    assert len(pages) >= 13
    assert [page.name for page in pages if "data-live" in page.read_text()] == []
    for page in pages:  # and no link is broken
        for href in re.findall(r'href="([^"#?:]+\.html)"', page.read_text()):
            assert (page.parent / href).exists(), (page.name, href)


def test_a_page_that_cannot_be_rendered_is_reported_and_stops_nothing(
    home, make_step, capsys, monkeypatch
):
    from pipeline.report import exporter

    def fail(*_):
        raise KeyError("an unexpected notebook")

    monkeypatch.setattr(exporter, "render_notebook", fail)
    assert main([make_step("one", "1"), make_step("two", "1")], home, []) == 1
    printed = capsys.readouterr().out
    assert "a report could not be written: 'an unexpected notebook'" in printed
    assert printed.count("cells ") == 2


def test_the_first_page_waits_for_no_import():
    """Rendering cells takes a second to import, which is done while the first kernel starts."""
    code = (
        "import sys, pipeline.report.pages.step, pipeline.report.pages.index\n"
        "slow = ('nbconvert', 'nbformat', 'pygments', 'PIL')\n"
        "print([name for name in slow if name in sys.modules])"
    )
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert completed.stdout == "[]\n", completed.stderr
