import json
import re

import pytest

from pipeline import main
from pipeline.runs import records


def latest_page(home, step_name):
    return (home / "reports" / "latest" / f"{step_name}.html").read_text()


def test_steps_run_in_sequence_and_leave_reports(home, make_step, capsys):
    set_path = f"p = {str(home / 'passed')!r}"
    first = make_step("first", f"{set_path}; open(p, 'w').write('on')")
    second = make_step("second", f"{set_path}; print(open(p).read() + 'wards')")
    assert main([first, second], home, []) == 0
    assert "onwards" in latest_page(home, "second")
    assert re.search(r"first +2/2 cells +[\d.]+ s +done", capsys.readouterr().out)
    [run] = records.load_all(home / "var" / "runs")
    assert run.status == "done"
    assert (home / "reports" / run.id / "first.html").exists()
    assert "The first report" in latest_page(home, "first")
    assert 'href="second.html"' in latest_page(home, "first")
    assert 'href="first.html"' in latest_page(home, "second")


def test_a_failing_step_ends_the_run_with_one_sentence(home, make_step, capsys):
    failing = make_step("bad", "1 + 1", "1 / 0", "2 + 2")
    assert main([failing, make_step("after", "1")], home, []) == 1
    failure_line, resume_line = capsys.readouterr().out.strip().splitlines()[-2:]
    assert failure_line.startswith(
        "The step bad failed after 2 of 4 cells, in cell 3: ZeroDivisionError: division"
    )
    assert failure_line.endswith("bad.html")
    assert resume_line.startswith("To go on from there: ")
    header = latest_page(home, "bad").split("</header>")[0]
    assert "ZeroDivisionError: division by zero" in header
    assert "Traceback" in header
    assert 'It did not run, as <a href="bad.html">bad</a> failed.' in latest_page(home, "after")
    [run] = records.load_all(home / "var" / "runs")
    assert [step.status for step in run.steps] == ["failed", "not run"]


def test_a_step_that_fails_in_its_first_cell_still_counts_its_cells(home, make_step, capsys):
    step = make_step("bad", "1 / 0", "1")
    notebook = json.loads(step.notebook.read_text())
    notebook["cells"] = notebook["cells"][1:]  # without the title
    step.notebook.write_text(json.dumps(notebook))
    assert main([step], home, []) == 1
    assert "failed after 0 of 2 cells, in cell 1: ZeroDivisionError" in capsys.readouterr().out


@pytest.mark.slow
def test_figures_are_shown_whatever_was_imported_before(home, make_step):
    imports = (
        "import matplotlib.pyplot as plt\n"
        "from matplotlib_inline.backend_inline import set_matplotlib_formats"
    )
    assert main([make_step("one", imports, "plt.plot([1, 2]);")], home, []) == 0
    assert latest_page(home, "one").count("<figure data-kind=") == 1


def test_parameters_reach_the_notebook_and_its_report(home, make_step):
    step = make_step("one", "print('n is', n + 1)", parameters="n: int = 1  # how many")
    assert main([step], home, ["-p", "n=41"]) == 0
    assert "n is 42" in latest_page(home, "one")
    assert "<mark>41</mark>" in latest_page(home, "one")


def test_a_wrong_command_line_starts_nothing(home, make_step, capsys):
    step = make_step("one", "1", parameters="trials: int = 1")
    assert main([step], home, ["-p", "trails=2"]) == 2
    assert "did you mean 'trials'" in capsys.readouterr().err
    assert not (home / "var" / "runs").exists()


def test_results_that_a_notebook_publishes_are_the_headline(home, make_step, capsys):
    published = json.dumps({"headline": {"RMSE": "$43,000"}, "notice": "MADE UP"})
    cell = f"import os; open(os.environ['PIPELINE_RESULTS'], 'w').write({published!r})"
    assert main([make_step("one", cell)], home, []) == 0
    output = capsys.readouterr().out
    assert "RMSE: $43,000" in output
    assert "NOTE: MADE UP" in output
    for page in (latest_page(home, "one"), (home / "reports" / "index.html").read_text()):
        assert "$43,000" in page
        assert "MADE UP" in page


def test_a_notebook_runs_in_its_own_folder_and_knows_its_run_and_report(home, make_step, tmp_path):
    names = ["RUN_ID", "REPORT"]
    cell = f"import os; print(os.getcwd(), *(os.environ['PIPELINE_' + name] for name in {names}))"
    assert main([make_step("one", cell)], home, []) == 0
    [run] = records.load_all(home / "var" / "runs")
    expected = f"{tmp_path} {run.id} reports/{run.id}/one.html"
    assert expected in latest_page(home, "one")


@pytest.mark.slow
def test_the_index_shows_the_newest_run_first_and_latest_follows(home, make_step):
    step = make_step("one", "1")
    for _ in range(2):
        assert main([step], home, ["--force"]) == 0
    newer_run, older_run = records.load_all(home / "var" / "runs")
    index = (home / "reports" / "index.html").read_text()
    assert index.index(newer_run.id) < index.index(older_run.id)
    assert (home / "reports" / "latest").resolve().name == newer_run.id


def test_printed_html_cannot_break_the_page(home, make_step):
    assert main([make_step("one", "print('</pre><script>alert(1)</script>')")], home, []) == 0
    assert "<script>alert(1)" not in latest_page(home, "one")


def test_a_page_loads_nothing_from_other_hosts(home, make_step):
    assert main([make_step("one", "1")], home, []) == 0
    assert not re.search(r"""(src|href)=["'](https?:)?//""", latest_page(home, "one"))
    assert len(latest_page(home, "one")) < 10_000
