import time

import pytest

from pipeline.runs import records
from pipeline.runs.results import Metric
from pipeline.runs.status import CellStatus, StepStatus


def test_runs_in_one_second_sort_by_time():
    """Otherwise "latest" and `prune` would take a run for the newest that is not."""
    run_ids = []
    for _ in range(50):
        run_ids.append(records.new_run_id())
        time.sleep(0.0005)
    assert run_ids == sorted(run_ids)
    assert len(set(run_ids)) == len(run_ids)


def test_a_record_of_an_earlier_version_is_read():
    """It had entries of their own for facts, and metrics without all of today's entries."""
    content = {
        "id": "20261128-100000-0001",
        "started": "2026-11-28T10:00:00+00:00",
        "steps": [
            {
                "name": "train",
                "report": "02_train.html",
                "status": "timed out",
                "cell_status": ["ran", "timed out", "not run"],
                "headline": {"test RMSE": {"value": 0.4, "text": "$40,000"}, "family": "trees"},
                "notice": "A SAMPLE",
                "data": "A sample, 5 rows",
                "champion": "houses version 3",
                "attempts": [
                    {"status": "killed", "failure": "it died", "started": "", "seconds": 1.5}
                ],
            },
            {"name": "register", "report": "03_register.html", "status": "not run"},
        ],
    }
    run = records.RunRecord.from_dict(content)
    step = run.steps[0]
    assert run.status is StepStatus.TIMED_OUT
    assert step.cell_status[1] is CellStatus.TIMED_OUT
    assert step.headline == {"test RMSE": Metric(0.4, "$40,000"), "family": "trees"}
    assert step.facts == {"data": "A sample, 5 rows", "champion": "houses version 3"}
    assert (run.notice, run.fact("data")) == ("A SAMPLE", "A sample, 5 rows")
    assert step.attempts == [records.Attempt(StepStatus.KILLED, "it died", seconds=1.5)]


def test_a_record_survives_being_written(tmp_path):
    step = records.StepRecord("one", "one.html", StepStatus.DONE, facts={"data": "x"})
    step.headline = {"RMSE": Metric(1.0, "1 m", "lower", 2.0)}
    step.attempts = [records.Attempt(StepStatus.KILLED, "it died")]
    run = records.RunRecord("1", "2026-11-28T10:00:00+00:00", [step])
    records.RunRecordWriter(run, tmp_path / "1").close()
    assert records.load(tmp_path / "1") == run


def test_entries_of_a_later_version_are_dropped():
    step = {"name": "one", "report": "one.html", "status": "done", "facts": {}, "mood": "good"}
    content = {"id": "1", "started": "", "steps": [step], "weather": "fine"}
    run = records.RunRecord.from_dict(content)
    assert run == records.RunRecord(
        "1", "", [records.StepRecord("one", "one.html", StepStatus.DONE)]
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"id": "1", "started": "", "steps": ["a"]}',
        '{"id": "1", "started": "", "steps": [{"name": "one", "report": "", "headline": null}]}',
    ],
)
def test_a_damaged_record_is_named_and_left_out_of_lists(tmp_path, text):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "run.json").write_text(text)
    with pytest.raises(records.UnreadableRecordError, match=r"1/run\.json is not the record of a"):
        records.load(tmp_path / "1")
    assert records.load_all(tmp_path) == []


def test_a_step_that_was_never_going_to_run_is_read_from_a_run_that_was_killed():
    step = {"name": "two", "report": "two.html", "status": "skipped"}
    run = records.RunRecord.from_dict({"id": "1", "started": "", "steps": [step]})
    assert run.steps[0].status is StepStatus.SKIPPED


def test_a_run_after_one_of_the_future_is_the_newest():
    """The clock may have been set back."""
    newest = "20991231-235959-fffe"
    for expected in ("20991231-235959-ffff", "21000101-000000-0000", "21000101-000000-0001"):
        newest = records.new_run_id(newest)
        assert newest == expected
    assert records.new_run_id("20200101-000000-0000") > "2026"
    assert records.new_run_id("by-hand") > "2026"


def test_each_run_that_has_not_ended_is_found(tmp_path):
    for run_id in ("1", "2", "3"):
        run = records.RunRecord(run_id, "2026-11-28T10:00:00+00:00", [])
        writer = records.RunRecordWriter(run, tmp_path / run_id)
        if run_id != "1":
            writer.close()
    (tmp_path / "4").mkdir()
    (tmp_path / "4" / "run.json").write_text("")
    assert [run.id for run in records.load_unfinished(tmp_path)] == ["1"]
