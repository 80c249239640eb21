"""On-demand steps: commands of their own, with verdicts that set the exit code."""

import pytest

from pipeline import FollowUp, main
from pipeline.report.pages.index import RunIndex
from pipeline.runs import records
from pipeline.runs.records import RunRecord, RunRecordWriter, StepRecord
from pipeline.runs.results import Metric
from pipeline.runs.status import StepStatus
from pipeline.workspace import Workspace

VERDICTS = ("fine", "look", "retrain")
PUBLISH_VERDICT = """
from pipeline.notebook import publish

publish({"state": verdict + "!"}, verdict=verdict)
"""


@pytest.fixture
def results():
    """What `on_finish` was called with."""
    return []


@pytest.fixture
def watch_step(make_step, results):
    """A step that is run on demand and publishes its parameter as its verdict."""
    return make_step(
        "watch",
        PUBLISH_VERDICT,
        parameters='verdict: str = "fine"  # what comes out',
        on_demand=True,
        verdicts=VERDICTS,
        on_finish=results.append,
        follow_up=FollowUp("--retrain-on", {"rows": "2"}, "train again if the verdict is as bad"),
    )


@pytest.fixture
def type_command(make_step, home, watch_step):
    """Type a command of a project with the step `train` and the on-demand step `watch`."""
    train_step = make_step("train", "rows", parameters="rows: int = 1  # to learn from")

    def type_command(*arguments, watch=watch_step):
        return main([watch, train_step], home, list(arguments))

    return type_command


@pytest.fixture
def record_run(home):
    """Record a finished run without running it: `record_run("2026-01", "train", RMSE=1)`."""

    def record(run_id, step_name, on_demand_step="", **headline):
        metrics = {name: Metric(value, f"{value}") for name, value in headline.items()}
        step = StepRecord(step_name, f"{step_name}.html", StepStatus.DONE, headline=metrics)
        run = RunRecord(run_id, "2026-11-01T10:00:00+00:00", [step], on_demand_step=on_demand_step)
        folder = Workspace(home).run_folder(run_id)
        folder.mkdir(parents=True)
        RunRecordWriter(run, folder).close()

    return record


def run_records(home):
    return records.load_all(Workspace(home).runs_folder)


def test_its_help_has_its_own_parameters_and_verdicts(type_command, capsys):
    assert type_command("watch", "--help") == 0
    output = capsys.readouterr().out
    assert "what comes out" in output
    assert "to learn from" not in output
    assert "--fail-on VERDICT" in output
    assert "fine, look, retrain" in output
    assert "train again if the verdict is as bad" in output
    assert type_command("--help") == 0
    output = capsys.readouterr().out
    assert "Run the notebook watch.ipynb, which is no part of run." in output
    assert "watch  (watch.ipynb, on demand: a command of its own)" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("watch --fail-on loook", "invalid choice: 'loook' (choose from 'fine', 'look', 'retrain'"),
        ("watch -p verdikt=look", "there is no parameter 'verdikt'; did you mean 'verdict'?"),
        ("watch -p rows=3", "there is no parameter 'rows'"),
        ("watch --only train", "there is no option --only"),
        ("--only watch", "watch is run on demand, by a command of its own: watch"),
        ("--force watch", "there is no step 'watch'"),
        ("accept watch", "watch is run on demand"),
        ("-p verdict=look", "there is no parameter 'verdict'"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_was_meant(type_command, capsys, arguments, message):
    assert type_command(*arguments.split()) == 2
    assert message in capsys.readouterr().err


def test_explain_and_list_name_it_apart(type_command, capsys):
    assert type_command("explain") == 0
    train_line, watch_line = capsys.readouterr().out.splitlines()
    assert train_line == "train      run   it has never run here"
    assert watch_line.startswith("watch      on demand")
    assert type_command("list") == 0
    assert "verdict  str  'fine'  what comes out" in capsys.readouterr().out


def test_a_follow_up_that_cannot_run_is_an_error_before_the_step_runs(
    type_command, home, watch_step, capsys
):
    follow_up = watch_step.follow_up._replace(parameters={"columns": "2"})
    watch = watch_step._replace(follow_up=follow_up)
    assert type_command("watch", "--retrain-on", "look", watch=watch) == 2
    assert "there is no parameter 'columns'" in capsys.readouterr().err
    assert run_records(home) == []


@pytest.mark.slow
def test_the_default_run_leaves_it_out_and_its_command_always_runs_it(type_command, home, results):
    assert type_command("--quiet") == 0
    assert results == []
    [pipeline_run] = run_records(home)
    latest = home / "reports" / "latest"
    for _ in range(2):
        assert type_command("watch", "--quiet") == 0
    assert [run.on_demand_step for run in run_records(home)] == ["watch", "watch", ""]
    assert [step.name for step in run_records(home)[0].steps] == ["watch"]
    assert run_records(home)[0].steps[0].why == ["it is run on demand"]
    assert latest.resolve().name == pipeline_run.id
    assert (home / "reports" / "latest-watch" / "watch.html").is_file()
    assert type_command("--quiet") == 0  # nothing to do
    assert len(run_records(home)) == 3
    assert [(result.step, result.verdict, dict(result.headline)) for result in results] == [
        ("watch", "fine", {"verdict": "fine", "state": "fine!"})
    ] * 2
    assert results[0].report.is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verdict", "exit_codes"),
    [
        ("fine", {"fine": 3, "look": 0}),
        ("look", {"look": 3, "retrain": 0}),
        ("retrain", {"look": 3}),
    ],
)
def test_a_verdict_as_bad_as_the_limit_sets_the_exit_code(type_command, verdict, exit_codes):
    for limit, exit_code in exit_codes.items():
        assert (
            type_command("watch", "-p", f"verdict={verdict}", "--fail-on", limit, "--quiet")
            == exit_code
        )


@pytest.mark.slow
def test_a_bad_verdict_starts_the_pipeline_with_the_parameters_of_the_follow_up(type_command, home):
    command = ["watch", "--quiet", "--retrain-on", "retrain", "-p"]
    assert type_command(*command, "verdict=look") == 0
    assert [run.on_demand_step for run in run_records(home)] == ["watch"]
    assert type_command(*command, "verdict=retrain", "--fail-on", "look") == 3
    run = run_records(home)[0]
    assert (run.on_demand_step, run.steps[0].name) == ("", "train")
    assert run.steps[0].parameters == {"rows": 2}
    assert run.invocation.arguments == ["run", "-p", "rows=2"]


@pytest.mark.slow
def test_a_verdict_that_the_step_does_not_have_is_a_failure_that_is_notified(
    type_command, home, results
):
    assert type_command("watch", "-p", "verdict=good", "--fail-on", "look", "--quiet") == 1
    [result] = results
    assert result.status is StepStatus.FAILED
    assert result.failure == (
        "its result could not be recorded: it published the verdict 'good', expected one of fine, "
        "look, retrain"
    )
    assert result.report.is_file()


@pytest.mark.slow
def test_a_notification_that_fails_is_a_warning(type_command, home, watch_step, capsys):
    def fail(result):
        raise OSError("the server is down")

    assert type_command("watch", watch=watch_step._replace(on_finish=fail)) == 0
    message = "warning: nobody was notified of the step watch: the server is down\n"
    assert capsys.readouterr().err == message
    assert run_records(home)[0].status is StepStatus.DONE


def test_latest_is_the_last_run_of_the_pipeline_and_its_name_its_own(
    type_command, record_run, capsys
):
    record_run("2026-01", "train")
    record_run("2026-02", "watch", on_demand_step="watch")
    for reference, run_id in (("latest", "2026-01"), ("watch", "2026-02")):
        assert type_command("show", reference) == 0
        assert capsys.readouterr().out.startswith(f"run {run_id}: ")


def test_the_index_charts_the_pipeline_and_links_the_last_run_of_each_kind(home, record_run):
    for number, rmse in ((1, 10), (2, 9)):
        record_run(f"2026-0{number}", "train", RMSE=rmse)
    record_run("2026-03", "watch", on_demand_step="watch", alarms=1)
    main([], home, ["prune", "--keep", "5"])
    page = (home / "reports" / "index.html").read_text()
    assert "RMSE over 2 runs" in page
    assert '<dt>last run of pipeline</dt><dd><a href="2026-02/index.html">' in page
    assert '<dt>last run of watch</dt><dd><a href="2026-03/index.html">' in page


def test_pruning_counts_the_runs_of_each_kind_apart(home, record_run):
    for number in range(1, 4):
        record_run(f"2026-0{number}", "train")
    for number in range(4, 9):
        record_run(f"2026-0{number}", "watch", on_demand_step="watch")
    assert main([], home, ["prune", "--keep", "2"]) == 0
    run_ids = [run.id for run in run_records(home)]
    assert run_ids == ["2026-08", "2026-07", "2026-03", "2026-02"]


def test_a_run_is_compared_with_the_last_one_of_its_kind(home, record_run):
    from pipeline.definition.project import Project

    record_run("2026-01", "train")
    record_run("2026-02", "watch", on_demand_step="watch")
    record_run("2026-03", "train")
    index = RunIndex(Project(Workspace(home), "run_pipeline.py"))
    assert index.previous_comparable_run(index.runs[0]) == "2026-01"


def test_an_on_demand_step_may_not_have_the_name_of_a_command(make_step, home):
    with pytest.raises(ValueError, match="there are two commands 'list'"):
        main([make_step("list", "1", on_demand=True)], home, ["list"])


def test_no_step_of_the_pipeline_may_need_it(make_step, home, capsys):
    watch = make_step("watch", "1", on_demand=True)
    assert main([watch, make_step("train", "1", needs=("watch",))], home, ["explain"]) == 2
    assert "step 'train' needs 'watch', which is run on demand" in capsys.readouterr().err
