import json
import threading

import nbformat
import pytest

from pipeline.execution.notebook_writer import NotebookWriter
from pipeline.execution.output_capture import OutputCapture, coalesce_streams


def book(*outputs):
    cells = [nbformat.v4.new_code_cell("1") for _ in outputs]
    for cell, text in zip(cells, outputs, strict=True):
        cell.outputs = [nbformat.v4.new_output("stream", text=text)]
    return nbformat.v4.new_notebook(cells=cells)


def test_what_is_saved_is_a_notebook(tmp_path):
    NotebookWriter(book("one\ntwo", "ü"), tmp_path / "a.ipynb", []).save()
    read = nbformat.read(tmp_path / "a.ipynb", as_version=4)
    nbformat.validate(read)
    assert [one.outputs[0].text for one in read.cells] == ["one\ntwo", "ü"]


def test_a_reader_never_sees_a_half(tmp_path):
    made = book(*["x" * 100_000] * 20)
    saver = NotebookWriter(made, tmp_path / "a.ipynb", [])
    saver.save()
    done, seen = threading.Event(), []

    def read():
        while not done.is_set():
            seen.append(len(json.loads((tmp_path / "a.ipynb").read_text())["cells"]))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(200):
        saver.mark_dirty(3)
        saver.save(durable=False)
    done.set()
    reader.join()
    assert len(seen) > 20
    assert set(seen) == {20}


def test_only_touched_cells_are_made_into_json_again(tmp_path, monkeypatch):
    saver = NotebookWriter(book("a", "b", "c"), tmp_path / "a.ipynb", [])
    saver.save()
    made = []
    monkeypatch.setattr(saver, "_prepare_cell", lambda cell: made.append(cell) or cell)
    saver.mark_dirty(1)
    saver.save()
    assert made == [saver.notebook.cells[1]]


def test_saving_takes_a_bounded_share_of_the_time(tmp_path, monkeypatch):
    """However large the notebook: a save is followed by a pause five times as long."""
    import time

    saver = NotebookWriter(book("a"), tmp_path / "a.ipynb", [])
    monkeypatch.setattr(saver, "save", lambda durable: time.sleep(0.2))
    saver.save_if_due()
    assert saver.next_save_at - time.monotonic() == pytest.approx(1.0, abs=0.1)
    monkeypatch.setattr(saver, "save", lambda durable: pytest.fail("too early"))
    saver.mark_dirty(0)
    saver.save_if_due()


@pytest.mark.parametrize("secret", ["hush-hush", 'a"b<c>&d', "p\\w'd", "ümläut pass"])
def test_a_secret_is_masked_however_it_is_spelt(tmp_path, secret):
    import html
    from urllib.parse import quote

    made = book(f"{secret} {secret!r} {html.escape(secret)} {quote(secret)} {json.dumps(secret)}")
    NotebookWriter(made, tmp_path / "a.ipynb", [secret]).save()
    [cell] = nbformat.read(tmp_path / "a.ipynb", as_version=4).cells
    assert cell.outputs[0].text.count("•••") == 5
    assert secret not in cell.outputs[0].text


def stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", text=text, name=name)


def test_pieces_of_a_stream_are_joined_and_progress_bars_settle():
    other = nbformat.v4.new_output("display_data")
    outputs = [stream("a"), stream("b\n"), stream("e", "stderr"), other, stream("1%\r2%\r3%\nend")]
    found = coalesce_streams(outputs)
    assert [one.get("text") for one in found] == ["ab\n", "e", None, "3%\nend"]
    assert coalesce_streams([stream("a\r\nb\r\n")])[0].text == "a\nb\n"


def test_a_line_of_fifty_megabytes_is_no_trouble():
    """nbclient's own joining takes time by the square of a line's length."""
    assert (
        len(coalesce_streams([stream("x" * 25_000_000), stream("x" * 25_000_000)])[0].text)
        == 50_000_000
    )


def test_what_a_dead_kernel_printed_last_is_found(tmp_path):
    (tmp_path / "place").mkdir()
    tee = OutputCapture(tmp_path / "place")
    (tee.folder / "stdout").write_text("an earlier cell\n")
    tee.mark_cell_start()
    with (tee.folder / "stdout").open("a") as file:
        file.write("told, not told")
    tee.unlink_files()
    assert [one.text for one in tee.missing_outputs([stream("told, ")])] == ["not told"]
    assert tee.missing_outputs([stream("told, not "), stream("told")]) == []
    assert list((tmp_path / "place").iterdir()) == []  # nothing printed is left under any name
    tee.close()
