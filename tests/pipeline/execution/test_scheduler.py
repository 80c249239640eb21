import json
import re
from pathlib import Path

from pipeline import main
from pipeline.runs import records


def page(home, step):
    return (home / "reports" / "latest" / f"{step}.html").read_text()


def test_steps_run_in_sequence_and_leave_reports(home, make_step, capsys):
    place = f"p = {str(home / 'passed')!r}"
    first = make_step("first", f"{place}; open(p, 'w').write('on')")
    second = make_step("second", f"{place}; print(open(p).read() + 'wards')")
    assert main([first, second], home, []) == 0
    assert "onwards" in page(home, "second")
    assert re.search(r"first +2/2 cells +[\d.]+ s +done", capsys.readouterr().out)
    [run] = records.load_all(home / "var" / "runs")
    assert run.status == "done"
    assert (home / "reports" / run.id / "first.html").exists()
    assert "The first report" in page(home, "first")
    assert 'href="second.html"' in page(home, "first")
    assert 'href="first.html"' in page(home, "second")


def test_a_failing_step_ends_the_run_with_one_sentence(home, make_step, capsys):
    bad = make_step("bad", "1 + 1", "1 / 0", "2 + 2")
    assert main([bad, make_step("after", "1")], home, []) == 1
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("The step bad failed after 2 of 4 cells: ZeroDivisionError: division")
    assert last.endswith("bad.html")
    top = page(home, "bad").split("</header>")[0]
    assert "ZeroDivisionError: division by zero" in top
    assert "Traceback" in top
    assert "It did not run, as bad failed." in page(home, "after")
    [run] = records.load_all(home / "var" / "runs")
    assert [one.status for one in run.steps] == ["failed", "not run"]


def test_a_step_that_fails_at_once_still_counts_its_cells(home, make_step, capsys):
    path = make_step("bad", "1 / 0", "1")
    notebook = json.loads(path.notebook.read_text())
    notebook["cells"] = notebook["cells"][1:]  # no title either
    path.notebook.write_text(json.dumps(notebook))
    assert main([path], home, []) == 1
    assert "failed after 0 of 2 cells: ZeroDivisionError" in capsys.readouterr().out


def test_figures_are_shown_whatever_was_imported_before(home, make_step):
    imports = (
        "import matplotlib.pyplot as plt\n"
        "from matplotlib_inline.backend_inline import set_matplotlib_formats"
    )
    assert main([make_step("one", imports, "plt.plot([1, 2]);")], home, []) == 0
    assert page(home, "one").count("<figure data-kind=") == 1


def test_a_missing_kernel_is_a_failed_step(home, make_step, capsys):
    odd = make_step("odd", "1")
    odd.notebook.write_text(odd.notebook.read_text().replace("python3", "no such kernel"))
    assert main([odd, make_step("after", "1")], home, []) == 1
    assert "No such kernel named no such kernel" in capsys.readouterr().out
    assert "No such kernel" in page(home, "odd").split("</header>")[0]
    [run] = records.load_all(home / "var" / "runs")
    assert [one.status for one in run.steps] == ["failed", "not run"]


def test_parameters_reach_the_notebook_and_its_report(home, make_step):
    one = make_step("one", "print('n is', n + 1)", parameters="n: int = 1  # how many")
    assert main([one], home, ["-p", "n=41"]) == 0
    assert "n is 42" in page(home, "one")
    assert "<mark>41</mark>" in page(home, "one")


def test_a_wrong_command_line_starts_nothing(home, make_step, capsys):
    one = make_step("one", "1", parameters="trials: int = 1")
    assert main([one], home, ["-p", "trails=2"]) == 2
    assert "did you mean 'trials'" in capsys.readouterr().err
    assert not (home / "var" / "runs").exists()


def test_what_a_notebook_hands_over_is_the_headline(home, make_step, capsys):
    told = json.dumps({"headline": {"RMSE": "$43,000"}, "notice": "MADE UP"})
    cell = f"import os; open(os.environ['PIPELINE_HANDOVER'], 'w').write({told!r})"
    assert main([make_step("one", cell)], home, []) == 0
    out = capsys.readouterr().out
    assert "RMSE: $43,000" in out
    assert "NOTE: MADE UP" in out
    for html in (page(home, "one"), (home / "reports" / "index.html").read_text()):
        assert "$43,000" in html
        assert "MADE UP" in html


def test_notebooks_run_in_their_own_folder_with_run_and_report_told(home, make_step, tmp_path):
    names = ["RUN_ID", "REPORT", "STARTED_IN"]
    cell = f"import os; print(os.getcwd(), *(os.environ['PIPELINE_' + one] for one in {names}))"
    assert main([make_step("one", cell)], home, []) == 0
    [run] = records.load_all(home / "var" / "runs")
    said = f"{tmp_path} {run.id} reports/{run.id}/one.html {Path.cwd()}"
    assert said in page(home, "one")


def test_the_index_shows_the_newest_run_first_and_latest_follows(home, make_step):
    one = make_step("one", "1")
    for _ in range(2):
        assert main([one], home, ["--force"]) == 0
    new, old = records.load_all(home / "var" / "runs")
    index = (home / "reports" / "index.html").read_text()
    assert index.index(new.id) < index.index(old.id)
    assert (home / "reports" / "latest").resolve().name == new.id


def test_what_a_notebook_prints_cannot_break_the_page(home, make_step):
    assert main([make_step("one", "print('</pre><script>alert(1)</script>')")], home, []) == 0
    assert "<script>alert(1)" not in page(home, "one")


def test_a_page_asks_for_nothing_outside(home, make_step):
    assert main([make_step("one", "1")], home, []) == 0
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page(home, "one"))
    assert len(page(home, "one")) < 10_000
