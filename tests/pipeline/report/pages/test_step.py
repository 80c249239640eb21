"""A run's pages, made by real runs."""

import html
import json
import re
import subprocess
import sys
import time

import pytest

from pipeline import main

HANDOVER = """
import json, os
told = {told}
with open(os.environ["PIPELINE_HANDOVER"], "w") as file:
    json.dump(told, file)
"""


def page(home, name, run="latest"):
    return html.unescape((home / "reports" / run / f"{name}.html").read_text())


def top(home, name):
    return page(home, name).split("</header>")[0]


def test_the_top_tells_what_a_reader_asks_first(home, make_step):
    told = {
        "headline": {"RMSE": {"value": 9.5, "text": "$9.5", "before": 10, "better": "lower"}},
        "data": "Numbers, 5 rows", "champion": "numbers version 2",
        "links": {"model version: numbers 3": "https://example.com/models/3"},
    }  # fmt: skip
    code = HANDOVER.format(told=told)
    steps = [make_step("one", code, parameters="n: int = 1  # so many"), make_step("two", "1")]
    assert main(steps, home, []) == 0
    assert main(steps, home, ["-p", "n=41"]) == 0
    said = top(home, "one")
    for part in (
        "The one report", "done", "Numbers, 5 rows", "<mark>41</mark>", "numbers version 2",
        '<a href="https://example.com/models/3">numbers 3</a>', "$9.5", "−$0.5 (−5.0%)",
        'href="two.html"', "the same step before", 'href="../compare/',
    ):  # fmt: skip
        assert part in said, part
    assert re.search(r'rel="next" href="two.html"', page(home, "one"))
    assert re.search(r'rel="prev" href="one.html"', page(home, "two"))
    index = html.unescape((home / "reports" / "index.html").read_text())
    assert "one.n = <mark>41</mark>" in index


@pytest.mark.parametrize("value", ["'low'", "None", "[1]"])
def test_a_result_that_is_no_number_is_refused(home, make_step, capsys, value):
    told = '{"headline": {"RMSE": {"value": %s, "text": "x"}}}' % value  # noqa: UP031
    assert main([make_step("one", HANDOVER.format(told=told))], home, []) == 1
    assert "expected a number as value" in capsys.readouterr().out


def test_the_report_of_a_failed_step_says_all(home, make_step):
    cells = ("## The search\n", "print('so far')\nvalue = 1\nresult = value / 0", "'never'")
    good = make_step("train", "1 + 1")
    assert main([good, make_step("after", "1")], home, []) == 0
    first = (home / "reports" / "latest").resolve().name
    bad = make_step("train", *cells[1:])
    assert main([bad, make_step("after", "1")], home, []) == 1
    said = top(home, "train")
    for part in (
        "This step failed after 1 of 3 cells", "ZeroDivisionError: division by zero", "In cell 2",
        'href="#cell-2"', "so far", "1 more cell of this notebook, and the step after",
        "train.ipynb", "python run_pipeline.py", f'href="../{first}/train.html"',
    ):  # fmt: skip
        assert part in said, part
    assert said.count('class="hll"') == 1
    assert "result" in said.split('class="hll"')[1].split("</span>\n")[0]
    assert "cell 2" in said.split("What is different")[1]
    assert "It did not run, as train failed" in page(home, "after")


def test_the_pages_of_a_later_step_warn_of_a_sample_too(home, make_step):
    told = {"notice": "MADE UP"}
    assert (
        main([make_step("one", HANDOVER.format(told=told)), make_step("two", "1 / 0")], home, [])
        == 1
    )
    assert "MADE UP" in top(home, "two")


def test_a_page_is_there_from_the_first_second_and_fills_in(make_project, make_step):
    slow = "import time\nprint('first words', flush=True)\ntime.sleep(6)\nprint('last words')"
    made = make_project(make_step("one", "'a result'", slow), make_step("two", "1"))
    process = made.start()
    reports = made.folder / "reports"
    deadline = time.monotonic() + 20
    while not (reports / "latest" / "index.html").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "data-live" in (reports / "latest" / "index.html").read_text()
    assert "has not started yet" in (reports / "latest" / "two.html").read_text()
    while "<pre tabindex=0>first words" not in made.report_html("one"):  # printed, not the code's
        assert process.poll() is None
        time.sleep(0.05)
    assert "It is running: 2 of 3 cells are done" in made.report_html("one")
    assert process.wait(60) == 0
    assert "first words\nlast words" in made.report_html("one")
    assert "data-live" not in made.report_html("one") + made.report_html(
        "index"
    ) + made.report_html("two")


def test_a_single_file_asks_for_no_other(home, make_step):
    assert main([make_step("one", "1")], home, ["--single-file"]) == 0
    said = page(home, "one")
    assert "<style>" in said
    assert 'rel="stylesheet"' not in said
    assert " src=" not in said
    assert 'href="../' not in said
    assert main([], home, ["render", "latest"]) == 0
    assert 'rel="stylesheet"' in page(home, "one")


def test_a_page_without_pictures_is_small(home, make_step):
    assert main([make_step("one", "1 + 1")], home, []) == 0
    folder = home / "reports"
    assert len((folder / "latest" / "one.html").read_bytes()) < 10_000
    assert sum(one.stat().st_size for one in (folder / "assets").iterdir()) < 60_000


def test_the_commit_is_told_without_a_password(home, tmp_path, make_step, monkeypatch):
    one = make_step("one", "1")
    for told in (
        ["init", "-q"], ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x"],
        ["remote", "add", "origin", "https://me:hush@example.com/team/houses.git"],
    ):  # fmt: skip
        subprocess.run(["git", *told], cwd=tmp_path, check=True)
    assert main([one], home, []) == 0
    said = top(home, "one")
    assert re.search(r'href="https://example.com/team/houses/commit/[0-9a-f]{40}"', said)
    assert "hush" not in said
    one.notebook.write_text(one.notebook.read_text().replace('"1"', '"2"'))
    assert main([one], home, []) == 0
    assert "and files that differ from it" in top(home, "one")


def test_a_record_of_an_older_version_is_still_listed(home, make_step):
    assert main([make_step("one", "1")], home, []) == 0
    [path] = (home / "var" / "runs").glob("*/run.json")
    told = json.loads(path.read_text())
    told.pop("commit")
    for one in told["steps"]:
        one.pop("links")
        one["forgotten"] = 1
    path.write_text(json.dumps(told))
    assert main([make_step("one", "2")], home, []) == 0
    assert (home / "reports" / "index.html").read_text().count("<tr data-run=") == 2


def test_no_page_of_a_long_run_waits_for_ever(home, make_step):
    notebooks = [make_step(f"s{number}", "1") for number in range(14)]
    bad = make_step("s14", "1 / 0")
    assert main([*notebooks[:3], bad, *notebooks[3:]], home, ["--quiet"]) == 1
    written = list((home / "reports" / "latest").glob("*.html"))
    assert len(written) >= 13
    assert [one.name for one in written if "data-live" in one.read_text()] == []
    for one in written:  # and every link leads somewhere
        for href in re.findall(r'href="([^"#?:]+\.html)"', one.read_text()):
            assert (one.parent / href).exists(), (one.name, href)


def test_a_page_that_cannot_be_made_is_told_and_stops_nothing(home, make_step, capsys, monkeypatch):
    from pipeline.report import exporter

    def broken(*_):
        raise KeyError("nobody thought of that")

    monkeypatch.setattr(exporter, "render_notebook", broken)
    assert main([make_step("one", "1"), make_step("two", "1")], home, []) == 1
    said = capsys.readouterr().out
    assert "a report could not be written: 'nobody thought of that'" in said
    assert said.count("cells ") == 2


def test_the_first_page_waits_for_no_import():
    """What shows cells takes a second to import: that is done while the first kernel starts."""
    code = (
        "import sys, pipeline.report.pages.step, pipeline.report.pages.index; "
        "print([one for one in ('nbconvert', 'nbformat', 'pygments', 'PIL') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
