import json
import re

from pipeline import main
from pipeline.report.pages.index import MAX_INITIAL_ROWS, RunIndex
from tests.pipeline.report.conftest import executed_cell, executed_notebook


def told(value, **more):
    return {"headline": {"RMSE": {"value": value, "text": f"${value}", **more}}, "data": "A, b"}


def written(home, keeps=None):
    return RunIndex(home).write_page(keeps or {}).read_text()


def test_every_run_is_listed_newest_first_with_its_change(home, record_run):
    record_run("20261101-01", told(10), train=executed_notebook(executed_cell("1")))
    record_run(
        "20261101-02",
        told(9, before=10, better="lower"),
        train=executed_notebook(executed_cell("1")),
    )
    said = written(home, {"20261101-02": "numbers version 2, champion"})
    assert re.findall(r'data-run="(\S+)"', said) == ["20261101-02", "20261101-01"]
    assert '<span class="gain better">−$1 (−10.0%)</span>' in said
    assert said.count("numbers version 2, champion") == 1
    assert "RMSE over 2 runs on A: now $9, best $9" in said


def test_a_change_of_a_record_is_seen(home, record_run):
    run = record_run("20261101-01", told(10), train=executed_notebook(executed_cell("1")))
    assert "$10" in written(home)
    path = home / "var" / "runs" / run.id / "run.json"
    path.write_text(path.read_text().replace("$10", "$11"))
    assert "$11" in written(home)


def test_a_broken_record_or_cache_breaks_nothing(home, record_run):
    record_run("20261101-01", told(10), train=executed_notebook(executed_cell("1")))
    (home / "var" / "runs" / "20261101-00").mkdir()
    (home / "var" / "runs" / "20261101-00" / "run.json").write_text("{")
    (home / "var" / "runs" / "index.json").write_text("[")
    assert written(home).count("data-run=") == 1


def test_no_words_of_a_run_end_the_script_that_holds_them(home, record_run):
    for day in range(MAX_INITIAL_ROWS + 5):
        more = {"parameters": {"x": "</script><script>alert(1)</script><!--"}}
        record_run(f"{day:04}-01", told(day) | more, train=executed_notebook(executed_cell("1")))
    said = written(home)
    rest = re.search(r'<script type="application/json" id="rest">(.*?)</script>', said, re.DOTALL)[
        1
    ]
    assert len(json.loads(rest)["rows"]) == 5
    assert len(json.loads(rest)["keys"]) == MAX_INITIAL_ROWS + 5
    assert "<script>alert" not in said


def test_results_of_a_run_that_failed_are_no_results(home, record_run):
    record_run(
        "20261101-01", told(10) | {"status": "failed"}, train=executed_notebook(executed_cell("1"))
    )
    assert "$10" not in written(home)


def test_prune_keeps_what_something_rests_on(home, make_step, capsys):
    one = make_step("one", "1")
    for number in range(5):
        one.notebook.write_text(one.notebook.read_text().replace('"1"', f'"{number}"'))
        assert main([one, make_step("two", "1")], home, ["--force"]) == 0
    names = sorted(path.parent.name for path in (home / "var" / "runs").glob("*/run.json"))

    def keeps():
        return {names[0]: "numbers version 1, champion"}

    capsys.readouterr()
    assert main([], home, ["prune", "--keep", "2", "--dry-run"], pinned_runs=keeps) == 0
    assert capsys.readouterr().out.count("would be deleted") == 2
    assert len(list((home / "reports").glob("2*"))) == 5
    assert main([], home, ["prune", "--keep", "2"], pinned_runs=keeps) == 0
    said = capsys.readouterr().out
    assert f"kept: {names[0]}, as it made numbers version 1, champion" in said
    assert "2 runs deleted" in said
    left = [names[0], names[3], names[4]]
    assert sorted(one.name for one in (home / "reports").glob("2*")) == left
    assert sorted(path.parent.name for path in (home / "var" / "runs").glob("*/run.json")) == left
    for path in (home / "reports" / "compare").iterdir():
        assert set(path.stem.split("..")) <= set(left)
    assert names[1] not in (home / "reports" / "index.html").read_text()


def test_prune_keeps_the_run_that_made_what_a_newer_one_shows(home, make_step):
    one = make_step("one", "1")
    assert main([one], home, []) == 0
    [made_by] = (path.parent.name for path in (home / "var" / "runs").glob("*/run.json"))
    for number in range(3):  # each shows the result of the first
        assert main([one, make_step("two", str(number))], home, []) == 0
    assert main([], home, ["prune", "--keep", "1"]) == 0
    left = sorted(path.parent.name for path in (home / "var" / "runs").glob("*/run.json"))
    assert left[0] == made_by
    assert len(left) == 2


def test_prune_deletes_nothing_if_it_cannot_ask(home, make_step, capsys):
    assert main([make_step("one", "1")], home, []) == 0

    def keeps():
        raise OSError("the registry is down")

    assert main([], home, ["prune", "--keep", "1"], pinned_runs=keeps) == 2
    assert "none was deleted: the registry is down" in capsys.readouterr().err
    assert main([], home, ["prune", "--keep", "0"]) == 2
    assert "expected at least 1" in capsys.readouterr().err


def test_a_run_is_compared_with_the_last_one_on_the_same_data(home, record_run):
    other = told(10) | {"data": "A sample, 5 rows"}
    for number, it in enumerate((told(10), other, told(9), other), 1):
        run = record_run(f"20261101-0{number}", it, train=executed_notebook(executed_cell("1")))
        before = RunIndex(home).previous_comparable_run(run)
        assert before == ["", "20261101-01", "20261101-01", "20261101-02"][number - 1]
