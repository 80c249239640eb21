import html
import json
import threading
import time
from urllib.parse import quote

import nbformat
import pytest

from pipeline.execution.notebook_writer import NotebookWriter
from pipeline.execution.output_capture import OutputCapture, coalesce_streams


def make_executed_notebook(*outputs):
    """Make a notebook with a code cell for each printed text."""
    cells = [nbformat.v4.new_code_cell("1") for _ in outputs]
    for cell, text in zip(cells, outputs, strict=True):
        cell.outputs = [nbformat.v4.new_output("stream", text=text)]
    return nbformat.v4.new_notebook(cells=cells)


def make_stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", text=text, name=name)


def test_the_saved_file_is_a_valid_notebook(tmp_path):
    NotebookWriter(make_executed_notebook("one\ntwo", "ü"), tmp_path / "a.ipynb", []).save()
    notebook = nbformat.read(tmp_path / "a.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [cell.outputs[0].text for cell in notebook.cells] == ["one\ntwo", "ü"]


def test_a_reader_never_sees_half_a_notebook(tmp_path):
    notebook = make_executed_notebook(*["x" * 100_000] * 20)
    writer = NotebookWriter(notebook, tmp_path / "a.ipynb", [])
    writer.save()
    finished, cell_counts = threading.Event(), []

    def read_repeatedly():
        while not finished.is_set():
            cell_counts.append(len(json.loads((tmp_path / "a.ipynb").read_text())["cells"]))

    reader = threading.Thread(target=read_repeatedly)
    reader.start()
    for _ in range(200):
        writer.mark_dirty(3)
        writer.save(durable=False)
    finished.set()
    reader.join()
    assert len(cell_counts) > 20
    assert set(cell_counts) == {20}


def test_only_changed_cells_are_encoded_again(tmp_path, monkeypatch):
    writer = NotebookWriter(make_executed_notebook("a", "b", "c"), tmp_path / "a.ipynb", [])
    writer.save()
    encoded_cells = []
    monkeypatch.setattr(writer, "_prepare_cell", lambda cell: encoded_cells.append(cell) or cell)
    writer.mark_dirty(1)
    writer.save()
    assert encoded_cells == [writer.notebook.cells[1]]


def test_saving_takes_a_bounded_share_of_the_time(tmp_path, monkeypatch):
    """However large the notebook: a save is followed by a pause five times as long."""
    writer = NotebookWriter(make_executed_notebook("a"), tmp_path / "a.ipynb", [])
    monkeypatch.setattr(writer, "save", lambda durable: time.sleep(0.2))
    writer.save_if_due()
    assert writer.next_save_at - time.monotonic() == pytest.approx(1.0, abs=0.1)
    monkeypatch.setattr(writer, "save", lambda durable: pytest.fail("too early"))
    writer.mark_dirty(0)
    writer.save_if_due()


@pytest.mark.parametrize("secret", ["hush-hush", 'a"b<c>&d', "p\\w'd", "ümläut pass"])
def test_a_secret_is_masked_however_it_is_spelt(tmp_path, secret):
    text = f"{secret} {secret!r} {html.escape(secret)} {quote(secret)} {json.dumps(secret)}"
    NotebookWriter(make_executed_notebook(text), tmp_path / "a.ipynb", [secret]).save()
    [cell] = nbformat.read(tmp_path / "a.ipynb", as_version=4).cells
    assert cell.outputs[0].text.count("•••") == 5
    assert secret not in cell.outputs[0].text


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
