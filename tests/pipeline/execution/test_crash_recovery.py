"""The record of a run whose runner was killed is completed; a damaged one stops nobody."""

import json

import nbformat
import pytest

from pipeline import main
from pipeline.definition.project import Project
from pipeline.execution import crash_recovery
from pipeline.runs import records
from pipeline.runs.records import RunRecord, RunRecordWriter, StepRecord
from pipeline.runs.status import CellStatus, StepStatus
from pipeline.workspace import Workspace

pytestmark = pytest.mark.slow

RUN_ID = "20261128-100000-0001"


@pytest.fixture
def project(home):
    return Project(Workspace(home), "run_pipeline.py")


@pytest.fixture
def interrupted_run(project):
    """A run that was killed during the second of three cells, which its record knows already."""
    cells = [nbformat.v4.new_code_cell(source) for source in ("1", "print('so far')", "3")]
    for cell, status in zip(cells, ("completed", "running", "pending"), strict=True):
        cell.metadata["papermill"] = {
            "status": status,
            "duration": 2.0 if status[0] == "c" else None,
        }
    cells[1].outputs = [nbformat.v4.new_output("stream", text="so far")]
    running = StepRecord("one", "one.html", StepStatus.RUNNING, cells=3, cells_done=1)
    running.cell_status = [CellStatus.RAN, CellStatus.RUNNING, CellStatus.NOT_RUN]
    running.cell_seconds = [2.0, 0.0, 0.0]
    skipped = StepRecord("two", "two.html", StepStatus.SKIPPED)
    run = RunRecord(RUN_ID, "2026-11-28T10:00:00+00:00", [running, skipped])
    RunRecordWriter(run, project.workspace.run_folder(RUN_ID))
    path = project.workspace.executed_notebook(RUN_ID, "one")
    path.write_text(json.dumps(nbformat.v4.new_notebook(cells=cells)))
    return run


def test_the_record_of_an_interrupted_run_is_completed(project, interrupted_run):
    crash_recovery.recover(project, interrupted_run)
    recovered = records.load(project.workspace.run_folder(RUN_ID))
    assert recovered.ended
    step, skipped_step = recovered.steps
    assert (step.status, skipped_step.status) == (StepStatus.KILLED, StepStatus.NOT_RUN)
    assert step.cell_status == [CellStatus.RAN, CellStatus.KILLED, CellStatus.NOT_RUN]
    assert (step.cells, step.cells_done, step.seconds) == (3, 1, 2.0)
    assert step.output == "so far"


@pytest.mark.parametrize("text", ["", "[]", '{"id": "9", "started": "", "steps": [1]}'])
def test_a_damaged_record_does_not_keep_the_next_run_from_starting(
    project, home, make_step, capsys, text
):
    folder = project.workspace.run_folder("20261128-090000-0001")
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(text)
    step = make_step("one", "1")
    assert main([step], home, []) == 0
    assert main([step], home, ["runs"]) == 0
    assert main([step], home, ["show", "20261128-090000"]) == 2
    assert f"{folder / 'run.json'} is not the record of a run" in capsys.readouterr().err


def test_a_damaged_record_keeps_old_runs_from_being_deleted(project, home, make_step, capsys):
    """It may be the one that shows what an older run has made."""
    step = make_step("one", "1")
    for _ in range(2):
        assert main([step], home, ["--force"]) == 0
    [newest, oldest] = project.workspace.run_ids()
    (project.workspace.run_folder(newest) / "run.json").write_text("")
    assert main([step], home, ["prune", "--keep", "1"]) == 2
    assert "run.json is not the record of a run" in capsys.readouterr().err
    assert project.workspace.run_folder(oldest).exists()
