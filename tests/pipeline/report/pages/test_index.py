import json
import re

from pipeline import main
from pipeline.report.live import ReportWriter
from pipeline.report.pages.index import MAX_INITIAL_ROWS, MAX_ROW_ITEMS, RunIndex
from pipeline.runs.results import Metric
from pipeline.runs.status import StepStatus
from tests.pipeline.report.conftest import executed_cell, executed_notebook


def step_fields(value, **metric_fields):
    """Return fields of a step that reached the value on data A."""
    metric = Metric(value, f"${value}", **metric_fields)
    return {"headline": {"RMSE": metric}, "facts": {"data": "A, b"}}


def notebook():
    return executed_notebook(executed_cell("1"))


def write_index(project, pin_reasons=None):
    return RunIndex(project).write_page(pin_reasons or {}).read_text()


def recorded_run_ids(home):
    return sorted(path.parent.name for path in (home / "var" / "runs").glob("*/run.json"))


def test_every_run_is_listed_newest_first_with_its_change(project, record_run):
    record_run("20261101-01", step_fields(10), train=notebook())
    record_run("20261101-02", step_fields(9, before=10, better="lower"), train=notebook())
    page = write_index(project, {"20261101-02": "numbers version 2, champion"})
    assert re.findall(r'data-run="(\S+)"', page) == ["20261101-02", "20261101-01"]
    assert '<span class="gain better">−$1 (−10.0%)</span>' in page
    assert page.count("numbers version 2, champion") == 1
    assert "RMSE over 2 runs on A: now $9, best $9" in page


def test_the_chart_shows_each_run_of_the_newest_run_s_group(project, record_run):
    for day, value in enumerate((10, 8, 9), start=1):
        record_run(f"20261101-0{day}", step_fields(value, better="lower"), train=notebook())
    other_data = step_fields(1) | {"facts": {"data": "A sample, 5 rows"}}
    record_run("20261030-10", other_data, train=notebook())
    page = write_index(project)
    assert "RMSE over 3 runs on A: now $9, best $8" in page
    assert 'points="0.0,0.0 254.0,52.0 508.0,26.0 "' in page
    assert re.findall(r'<a href="(\S+)/index.html" aria-label="[^"]*: (.*?)">', page) == [
        ("20261101-01", "$10"),
        ("20261101-02", "$8"),
        ("20261101-03", "$9"),
    ]


def test_runs_of_the_same_value_have_a_level_chart(project, record_run):
    for day in (1, 2):
        record_run(f"20261101-0{day}", step_fields(10), train=notebook())
    assert 'points="0.0,26.0 508.0,26.0 "' in write_index(project)


def test_runs_are_grouped_by_the_fact_that_the_project_names(project, record_run):
    record_run("20261101-01", step_fields(10), train=notebook())
    record_run("20261101-02", {"facts": {"data": "A sample, 5 rows"}}, train=notebook())
    page = write_index(project)
    assert '<th scope="col">data</th>' in page
    assert '<label>Data <select id="by-group">' in page
    assert re.findall("<option>([^<]*)</option>", page)[1:] == ["A", "A sample"]
    assert re.findall("<td>(A.*?)</td>", page) == ["A sample", "A"]


def test_without_groups_the_index_has_no_column_for_them_and_shows_notices(project, record_run):
    project = project._replace(grouping_fact="")
    record_run("20261101-01", step_fields(10) | {"notice": "MADE UP"}, train=notebook())
    record_run("20261101-02", step_fields(9), train=notebook())
    page = write_index(project)
    assert "by-group" not in page
    headings = re.findall(r'<th scope="col">([^<]*)</th>', page)
    assert headings == ["run", "status", "took", "RMSE", "results", "parameters that differ"]
    for row in re.findall(r"<tr data-run.*?</tr>", page, re.DOTALL):
        assert row.count("</th>") + row.count("</td>") == len(headings)
    assert '<strong class="notice" title="MADE UP">MADE UP</strong>' in page
    assert "RMSE over 2 runs: now $9, best $9" in page


def test_a_record_from_before_there_were_facts_is_listed_with_its_data(project):
    step = {"name": "train", "report": "train.html", "status": "done", "data": "A sample, 5 rows"}
    step |= {"champion": "numbers version 2", "headline": {"RMSE": {"value": 7, "text": "$7"}}}
    started = "2026-11-01T10:00:00+00:00"
    run_folder = project.workspace.run_folder("20261101-01")
    run_folder.mkdir(parents=True)
    record = {"id": run_folder.name, "started": started, "ended": started, "steps": [step]}
    (run_folder / "run.json").write_text(json.dumps(record))
    page = write_index(project)
    assert "<td>A sample</td>" in page
    assert 'data-name="RMSE">$7' in page
    [run] = RunIndex(project).runs
    assert run.steps[0].facts == {"data": "A sample, 5 rows", "champion": "numbers version 2"}


def test_the_rows_follow_when_the_runs_are_grouped_otherwise(project, record_run):
    fields = step_fields(10)
    fields["facts"]["site"] = "Oslo, 2 rows"
    record_run("20261101-01", fields, train=notebook())
    assert "<td>A</td>" in write_index(project)
    assert "<td>Oslo</td>" in write_index(project._replace(grouping_fact="site"))


def test_a_row_names_some_steps_and_parameters_and_counts_the_others(project, record_run):
    notebooks = {f"s{number}": notebook() for number in range(MAX_ROW_ITEMS + 2)}
    record_run("20261101-01", {"parameters": {"n": 1}}, **notebooks)
    page = write_index(project)
    assert page.count(f"s{MAX_ROW_ITEMS - 1}.n = <mark>1</mark>") == 1
    assert f"s{MAX_ROW_ITEMS}.n" not in page
    assert page.count(" and 2 more") == 2


def test_the_page_holds_the_command_that_compares_the_picked_runs(project, record_run):
    record_run("20261101-01", step_fields(10), train=notebook())
    assert 'data-compare-command="python run_pipeline.py compare"' in write_index(project)


def test_a_changed_record_is_read_again(project, record_run):
    run = record_run("20261101-01", step_fields(10), train=notebook())
    assert "$10" in write_index(project)
    path = project.workspace.run_folder(run.id) / "run.json"
    path.write_text(path.read_text().replace("$10", "$11"))
    assert "$11" in write_index(project)


def test_a_broken_record_is_left_out(project, record_run):
    record_run("20261101-01", step_fields(10), train=notebook())
    broken_run = project.workspace.run_folder("20261101-00")
    broken_run.mkdir()
    (broken_run / "run.json").write_text("{")
    assert write_index(project).count("data-run=") == 1


def test_only_the_newest_runs_are_visible_at_first(project, record_run):
    for number in range(MAX_INITIAL_ROWS + 5):
        attack = {"parameters": {"x": "</script><script>alert(1)</script><!--"}}
        record_run(f"{number:04}-01", step_fields(number) | attack, train=notebook())
    page = write_index(project)
    assert page.count("<tr data-run=") == MAX_INITIAL_ROWS
    hidden_runs = re.findall('<tr hidden data-run="(.*?)"', page)
    assert hidden_runs == [f"{number:04}-01" for number in (4, 3, 2, 1, 0)]
    assert "JavaScript is needed to show 5 more." in page
    assert "<script>alert" not in page


def test_the_results_of_a_failed_run_are_not_shown(project, record_run):
    record_run("20261101-01", step_fields(10) | {"status": StepStatus.FAILED}, train=notebook())
    assert "$10" not in write_index(project)


def test_prune_keeps_the_runs_that_others_depend_on(project, record_run, capsys):
    home, workspace = project.workspace.home, project.workspace
    run_ids = [f"2026110{number}-000{number}" for number in range(1, 6)]
    for run_id in run_ids:
        run = record_run(run_id, one=notebook(), two=notebook())
        assert ReportWriter(project, run).write_final_pages() is None
    workspace.states_folder.mkdir()
    (workspace.states_folder / "one.json").write_text(json.dumps({"run": run_ids[4]}))

    def pinned_runs():
        return {run_ids[0]: "numbers version 1, champion"}

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
    assert list((home / "reports" / "compare").iterdir())
    for path in (home / "reports" / "compare").iterdir():
        assert set(path.stem.split("..")) <= set(remaining_ids)
    assert run_ids[1] not in (home / "reports" / "index.html").read_text()


def test_prune_keeps_the_run_whose_result_a_newer_one_reuses(home, record_run):
    record_run("20261101-01", one=notebook())
    for number in (2, 3, 4):
        fields = {"status": StepStatus.UP_TO_DATE, "reused": "20261101-01"}
        record_run(f"20261101-0{number}", fields, one=notebook())
    assert main([], home, ["prune", "--keep", "1"]) == 0
    assert recorded_run_ids(home) == ["20261101-01", "20261101-04"]


def test_prune_deletes_nothing_if_the_pinned_runs_are_unknown(home, record_run, capsys):
    record_run("20261101-01", one=notebook())

    def pinned_runs():
        raise OSError("the registry is down")

    assert main([], home, ["prune", "--keep", "1"], pinned_runs=pinned_runs) == 2
    assert "none was deleted: the registry is down" in capsys.readouterr().err
    assert main([], home, ["prune", "--keep", "0"]) == 2
    assert "expected at least 1" in capsys.readouterr().err


def test_a_run_is_compared_with_the_last_one_on_the_same_data(project, record_run):
    sample = step_fields(10) | {"facts": {"data": "A sample, 5 rows"}}
    previous_run_ids = []
    for number, fields in enumerate((step_fields(10), sample, step_fields(9), sample), 1):
        run = record_run(f"20261101-0{number}", fields, train=notebook())
        previous_run_ids.append(RunIndex(project).previous_comparable_run(run))
    assert previous_run_ids == ["", "20261101-01", "20261101-01", "20261101-02"]
