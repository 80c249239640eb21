import json
import re

from pipeline import main
from pipeline.report.pages.index import MAX_INITIAL_ROWS, RunIndex
from tests.pipeline.report.conftest import executed_cell, executed_notebook


def step_fields(value, **metric_fields):
    """Return fields of a step that reached the value on data A."""
    metric = {"value": value, "text": f"${value}", **metric_fields}
    return {"headline": {"RMSE": metric}, "data": "A, b"}


def notebook():
    return executed_notebook(executed_cell("1"))


def write_index(home, pin_reasons=None):
    return RunIndex(home).write_page(pin_reasons or {}).read_text()


def recorded_run_ids(home):
    return sorted(path.parent.name for path in (home / "var" / "runs").glob("*/run.json"))


def test_every_run_is_listed_newest_first_with_its_change(home, record_run):
    record_run("20261101-01", step_fields(10), train=notebook())
    record_run("20261101-02", step_fields(9, before=10, better="lower"), train=notebook())
    page = write_index(home, {"20261101-02": "numbers version 2, champion"})
    assert re.findall(r'data-run="(\S+)"', page) == ["20261101-02", "20261101-01"]
    assert '<span class="gain better">−$1 (−10.0%)</span>' in page
    assert page.count("numbers version 2, champion") == 1
    assert "RMSE over 2 runs on A: now $9, best $9" in page


def test_a_changed_record_is_read_again(home, record_run):
    run = record_run("20261101-01", step_fields(10), train=notebook())
    assert "$10" in write_index(home)
    path = home / "var" / "runs" / run.id / "run.json"
    path.write_text(path.read_text().replace("$10", "$11"))
    assert "$11" in write_index(home)


def test_a_broken_record_or_cache_breaks_nothing(home, record_run):
    record_run("20261101-01", step_fields(10), train=notebook())
    (home / "var" / "runs" / "20261101-00").mkdir()
    (home / "var" / "runs" / "20261101-00" / "run.json").write_text("{")
    (home / "var" / "runs" / "index.json").write_text("[")
    assert write_index(home).count("data-run=") == 1


def test_no_text_of_a_run_ends_the_script_that_holds_it(home, record_run):
    for day in range(MAX_INITIAL_ROWS + 5):
        attack = {"parameters": {"x": "</script><script>alert(1)</script><!--"}}
        record_run(f"{day:04}-01", step_fields(day) | attack, train=notebook())
    page = write_index(home)
    script = r'<script type="application/json" id="rest">(.*?)</script>'
    remaining = json.loads(re.search(script, page, re.DOTALL)[1])
    assert len(remaining["rows"]) == 5
    assert len(remaining["keys"]) == MAX_INITIAL_ROWS + 5
    assert "<script>alert" not in page


def test_the_results_of_a_failed_run_are_not_shown(home, record_run):
    record_run("20261101-01", step_fields(10) | {"status": "failed"}, train=notebook())
    assert "$10" not in write_index(home)


def test_prune_keeps_the_runs_that_others_depend_on(home, make_step, capsys):
    step = make_step("one", "1")
    for number in range(5):
        step.notebook.write_text(step.notebook.read_text().replace('"1"', f'"{number}"'))
        assert main([step, make_step("two", "1")], home, ["--force"]) == 0
    run_ids = recorded_run_ids(home)

    def pinned_runs():
        return {run_ids[0]: "numbers version 1, champion"}

    capsys.readouterr()
    assert main([], home, ["prune", "--keep", "2", "--dry-run"], pinned_runs=pinned_runs) == 0
    assert capsys.readouterr().out.count("would be deleted") == 2
    assert len(list((home / "reports").glob("2*"))) == 5
    assert main([], home, ["prune", "--keep", "2"], pinned_runs=pinned_runs) == 0
    printed = capsys.readouterr().out
    assert f"kept: {run_ids[0]}, as it made numbers version 1, champion" in printed
    assert "2 runs deleted" in printed
    remaining_ids = [run_ids[0], run_ids[3], run_ids[4]]
    assert sorted(folder.name for folder in (home / "reports").glob("2*")) == remaining_ids
    assert recorded_run_ids(home) == remaining_ids
    for path in (home / "reports" / "compare").iterdir():
        assert set(path.stem.split("..")) <= set(remaining_ids)
    assert run_ids[1] not in (home / "reports" / "index.html").read_text()


def test_prune_keeps_the_run_whose_result_a_newer_one_reuses(home, make_step):
    step = make_step("one", "1")
    assert main([step], home, []) == 0
    [first_run_id] = recorded_run_ids(home)
    for number in range(3):  # each reuses the result of the first
        assert main([step, make_step("two", str(number))], home, []) == 0
    assert main([], home, ["prune", "--keep", "1"]) == 0
    remaining_ids = recorded_run_ids(home)
    assert remaining_ids[0] == first_run_id
    assert len(remaining_ids) == 2


def test_prune_deletes_nothing_if_the_pinned_runs_are_unknown(home, make_step, capsys):
    assert main([make_step("one", "1")], home, []) == 0

    def pinned_runs():
        raise OSError("the registry is down")

    assert main([], home, ["prune", "--keep", "1"], pinned_runs=pinned_runs) == 2
    assert "none was deleted: the registry is down" in capsys.readouterr().err
    assert main([], home, ["prune", "--keep", "0"]) == 2
    assert "expected at least 1" in capsys.readouterr().err


def test_a_run_is_compared_with_the_last_one_on_the_same_data(home, record_run):
    sample = step_fields(10) | {"data": "A sample, 5 rows"}
    previous_run_ids = []
    for number, fields in enumerate((step_fields(10), sample, step_fields(9), sample), 1):
        run = record_run(f"20261101-0{number}", fields, train=notebook())
        previous_run_ids.append(RunIndex(home).previous_comparable_run(run))
    assert previous_run_ids == ["", "20261101-01", "20261101-01", "20261101-02"]
