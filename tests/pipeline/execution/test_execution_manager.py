"""The record of an execution, in memory and on disk, without a kernel."""

import json
import threading
import time
from pathlib import Path

import nbformat
import papermill  # noqa: F401 - loads our engine, which the modules below must not do first
import pytest

from pipeline.execution.execution_manager import ExecutionManager
from pipeline.execution.messages import JobRequest
from pipeline.execution.notebook_job import NotebookJob
from pipeline.execution.output_capture import OutputCapture, coalesce_streams
from pipeline.runs.status import CellStatus, StepStatus


def make_executed_notebook(*outputs):
    """Make a notebook with a code cell for each printed text."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1") for _ in outputs])
    notebook.metadata["papermill"] = {}
    add_outputs(notebook, *outputs)
    return notebook


def add_outputs(notebook, *outputs):
    for cell, text in zip(notebook.cells, outputs, strict=True):
        cell.outputs = [make_stream(text)]


def make_stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", text=text, name=name)


@pytest.fixture
def make_manager(tmp_path, monkeypatch):
    """Make the manager of a notebook that writes a.ipynb; its job's events are in `events`."""

    def make(notebook, secret=""):
        monkeypatch.setenv("TOKEN", secret)
        request = JobRequest(
            notebook=tmp_path / "in.ipynb",
            executed_path=str(tmp_path / "a.ipynb"),
            working_folder=tmp_path,
            environment={},
            socket_folder=tmp_path,
            kernel_name="python3",
            secret_variables=["TOKEN"] if secret else [],
        )
        events = []
        manager = ExecutionManager(
            notebook, NotebookJob(request, events.append, None), progress_bar=False
        )
        manager.events = events
        return manager

    return make


def read_saved(tmp_path):
    notebook = nbformat.read(tmp_path / "a.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def test_the_saved_file_is_a_valid_notebook(make_manager, tmp_path):
    notebook = make_executed_notebook("one\ntwo", "ü")
    notebook.metadata.papermill["parameters"] = {"places": [Path("a")]}
    manager = make_manager(notebook)
    manager.notebook_start()
    add_outputs(notebook, "one\ntwo", "ü")
    manager.write()
    saved = read_saved(tmp_path)
    assert [cell.outputs[0].text for cell in saved.cells] == ["one\ntwo", "ü"]
    assert saved.metadata.papermill.parameters == {"places": ["a"]}


@pytest.mark.parametrize("kernelspec", [{"language": "python"}, {"name": None}, {"name": ""}])
def test_a_kernelspec_without_a_name_is_completed(make_manager, tmp_path, kernelspec):
    notebook = make_executed_notebook("1")
    notebook.metadata["kernelspec"] = kernelspec
    manager = make_manager(notebook)
    manager.notebook_start()
    manager.write()
    saved_notebook = nbformat.read(tmp_path / "a.ipynb", as_version=4)
    nbformat.validate(saved_notebook)
    assert saved_notebook.metadata.kernelspec["name"] == "python3"


def test_a_cell_after_the_failed_one_is_recorded_as_not_run(make_manager, tmp_path):
    notebook = make_executed_notebook("", "", "")
    manager = make_manager(notebook)
    manager.notebook_start()
    for index, status in enumerate((CellStatus.RAN, CellStatus.KILLED)):
        manager.cell_start(notebook.cells[index], index)
        manager.cell_complete(notebook.cells[index], index, status=status)
    manager.job.finish(StepStatus.KILLED, "the kernel was killed")
    manager.notebook_complete()
    saved = read_saved(tmp_path)
    states = [cell.metadata.papermill for cell in saved.cells]
    assert [state.status for state in states] == ["completed", "killed", "not run"]
    assert [state.exception for state in states] == [False, True, None]
    assert saved.metadata.papermill.exception is True
    statuses = [CellStatus.RAN, CellStatus.KILLED, CellStatus.NOT_RUN]
    assert manager.job.result.cell_status == statuses
    assert [(event.cell_index, event.n_cells, event.status) for event in manager.events] == [
        (0, 3, CellStatus.RUNNING),
        (0, 3, CellStatus.RAN),
        (1, 3, CellStatus.RUNNING),
        (1, 3, CellStatus.KILLED),
    ]


def test_progress_stands_behind_the_heading_without_secrets(make_manager):
    notebook = make_executed_notebook("")
    manager = make_manager(notebook, secret="hush-hush")
    title = nbformat.v4.new_markdown_cell("# Train\ntext\n## Fit")
    notebook.cells.insert(0, title)
    manager.notebook_start()
    manager.cell_start(title, 0)
    manager.report_progress("3 of 5 with hush-hush")
    manager.cell_complete(title, 0)
    progress = "Fit: 3 of 5 with •••"
    assert [event.heading for event in manager.events] == ["Fit", progress, progress]


def test_a_full_disk_fails_the_job_and_leaves_the_statuses(make_manager, tmp_path, monkeypatch):
    notebook = make_executed_notebook("")
    manager = make_manager(notebook)
    manager.notebook_start()
    add_outputs(notebook, "x" * 100)
    write = manager.write

    def write_if_small(durable=True):
        if notebook.cells[0].outputs:
            raise OSError("No space left on device")
        write(durable)

    monkeypatch.setattr(manager, "write", write_if_small)
    manager.notebook_complete()
    assert manager.job.result.status is StepStatus.FAILED
    assert "could not be saved: No space left on device" in manager.job.result.failure
    assert read_saved(tmp_path).cells[0].outputs == []


def test_a_reader_never_sees_half_a_notebook(make_manager, tmp_path):
    manager = make_manager(make_executed_notebook(*["x" * 50_000] * 20))
    manager.write()
    finished, cell_counts = threading.Event(), []

    def read_repeatedly():
        while not finished.is_set():
            cell_counts.append(len(json.loads((tmp_path / "a.ipynb").read_text())["cells"]))

    reader = threading.Thread(target=read_repeatedly)
    reader.start()
    for _ in range(50):
        manager.write(durable=False)
    finished.set()
    reader.join()
    assert len(cell_counts) > 5
    assert set(cell_counts) == {20}


def test_saving_takes_a_bounded_share_of_the_time(make_manager, monkeypatch):
    """A save is followed by a pause five times as long, for which nothing is written."""
    manager = make_manager(make_executed_notebook("a"))
    monkeypatch.setattr(manager, "write", lambda durable: time.sleep(0.15))
    manager.save_if_due()
    assert manager.next_save_at - time.monotonic() == pytest.approx(0.75, abs=0.2)
    monkeypatch.setattr(manager, "write", lambda durable: pytest.fail("too early"))
    manager.autosave_cell()
    manager.save_if_due()


def test_pieces_of_a_stream_are_joined_and_progress_bars_show_their_last_state():
    outputs = [
        make_stream("a"),
        make_stream("b\n"),
        make_stream("e", "stderr"),
        nbformat.v4.new_output("display_data"),
        make_stream("1%\r2%\r3%\nend"),
    ]
    coalesced = coalesce_streams(outputs)
    assert [output.get("text") for output in coalesced] == ["ab\n", "e", None, "3%\nend"]
    assert coalesce_streams([make_stream("a\r\nb\r\n")])[0].text == "a\nb\n"


def test_a_line_of_fifty_megabytes_is_joined_in_linear_time():
    """nbclient's own joining takes time by the square of a line's length."""
    half = "x" * 25_000_000
    [output] = coalesce_streams([make_stream(half), make_stream(half)])
    assert len(output.text) == 50_000_000


def test_the_last_output_of_a_dead_kernel_is_recovered(tmp_path):
    parent_folder = tmp_path / "sockets"
    parent_folder.mkdir()
    capture = OutputCapture(parent_folder)
    (capture.folder / "stdout").write_text("an earlier cell\n")
    capture.mark_cell_start()
    with (capture.folder / "stdout").open("a") as file:
        file.write("sent, not sent")
    capture.unlink_files()
    missing = capture.missing_outputs([make_stream("sent, ")])
    assert [output.text for output in missing] == ["not sent"]
    assert capture.missing_outputs([make_stream("sent, not "), make_stream("sent")]) == []
    assert list(parent_folder.iterdir()) == []  # nothing printed is left under any name
    capture.close()
