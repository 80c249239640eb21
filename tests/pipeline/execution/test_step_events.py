"""How a step ended, in its record and its state: by hand-made files, without a kernel."""

from pathlib import Path

import pytest

from pipeline.definition.steps import Step
from pipeline.definition.tasks import Task
from pipeline.execution import step_events
from pipeline.execution.messages import CellEvent
from pipeline.runs import records
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.runs.status import CellStatus, StepStatus
from pipeline.staleness.file_signature import file_signature
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.recording import OtherTasks
from pipeline.staleness.state_store import StateStore
from pipeline.staleness.step_state import StepState
from pipeline.workspace import Workspace

TASK = Task(Step("two", Path("two.ipynb")), "two", {}, ("one",), "two")


@pytest.fixture
def store(home):
    return StateStore(Workspace(home))


@pytest.fixture
def save_end(store):
    """Save how step two ended, next to step one; return its record."""

    def save(status, failure=""):
        now = records.utc_now()
        step = StepRecord("two", "two.html", status=status, failure=failure, started=now)
        run = RunRecord("1", "", [StepRecord("one", "one.html"), step])
        files = store.workspace.task_files("1", "two")
        others = OtherTasks(("one",), frozenset())
        step_events.save_step_state(step, TASK, store, run, files, Fingerprint(), others)
        return step

    return save


@pytest.fixture
def run_folder(store):
    folder = store.workspace.run_folder("1")
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def changed_file(store, run_folder, home):
    """A file that step one wrote and that step two has changed."""
    path = home / "f"
    path.write_text("a")
    outputs = {str(path): file_signature(path)}
    store.save(StepState("one", "1", StepStatus.DONE, Fingerprint(outputs=outputs)))
    path.write_text("bb")
    (run_folder / "two.trace").write_text(f"written 1 1 1 1 {path}\n")
    return path


def test_a_record_follows_the_cells_of_its_notebook():
    step = StepRecord("two", "two.html")
    step_events.record_cell(step, CellEvent(0, 3, "Fit"))
    assert step.cell_status == ["running", "not run", "not run"]
    step_events.record_cell(step, CellEvent(0, 3, "Fit", CellStatus.RAN, 1.5))
    step_events.record_cell(step, CellEvent(1, 3, "Fit: trial 2"))
    assert step.cell_status == ["ran", "running", "not run"]
    assert step.cell_seconds == [1.5, 0.0, 0.0]
    assert (step.cells, step.cells_done, step.heading) == (3, 1, "Fit: trial 2")
    step_events.record_cell(step, CellEvent(0, 3, "Fit", CellStatus.RAN, 1.5))
    assert step.cells_done == 1


@pytest.mark.parametrize("published", ['{"headline": [1]}', "[1]", '{"input_files": null}', "{"])
def test_malformed_published_results_make_a_failed_step(save_end, run_folder, store, published):
    (run_folder / "two.json").write_text(published)
    step = save_end(StepStatus.DONE)
    assert step.status is StepStatus.FAILED
    assert step.failure.startswith("its result could not be recorded: ")
    assert store.load("two") is None


def test_a_step_that_succeeds_is_recorded_with_what_it_read_and_wrote(save_end, run_folder, home):
    for name in ("in", "out"):
        (home / name).write_text(name)
    stat = file_signature(home / "in").stat
    (run_folder / "two.trace").write_text(f"read {stat} {home}/in\nwritten 0 0 0 0 {home}/out\n")
    assert save_end(StepStatus.DONE).status is StepStatus.DONE
    fingerprint = StateStore(Workspace(home)).load("two").fingerprint
    assert list(fingerprint.inputs) == [f"{home}/in"]
    assert list(fingerprint.outputs) == [f"{home}/out"]


def test_a_step_that_has_changed_another_s_file_fails(save_end, changed_file, store):
    step = save_end(StepStatus.DONE)
    assert step.status is StepStatus.FAILED
    assert step.failure.startswith("step two has changed ")
    assert "which step one wrote" in step.failure
    assert store.load("two").status is StepStatus.FAILED


def test_a_published_output_of_another_step_is_its_file_too(
    save_end, changed_file, run_folder, store
):
    (run_folder / "two.trace").unlink()
    (run_folder / "two.json").write_text(f'{{"output_files": ["{changed_file}"]}}')
    assert "which step one wrote" in save_end(StepStatus.DONE).failure


def test_the_failure_of_a_killed_step_names_the_changed_file_too(save_end, changed_file):
    """Its status is no longer that which allows another attempt."""
    step = save_end(StepStatus.KILLED, "the kernel was killed by SIGKILL")
    assert step.status is StepStatus.FAILED
    assert step.failure.startswith("the kernel was killed by SIGKILL; step two has changed ")
