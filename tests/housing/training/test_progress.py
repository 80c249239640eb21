"""Where the progress of a computation is shown."""

import io
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from housing.training import progress


@pytest.mark.slow
def test_in_a_notebook_one_output_is_overwritten():
    source = (
        "from housing.training.progress import display_callback\n"
        "show = display_callback()\n"
        "for number in range(3):\n"
        "    show(f'trial {number}')\n"
        "print('done')"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3").execute()
    shown, printed = notebook.cells[0].outputs
    assert shown.data == {"text/plain": "trial 2"}
    assert printed.text == "done\n"


@pytest.mark.parametrize(("is_terminal", "n_returns"), [(True, 2), (False, 0)])
def test_elsewhere_only_a_terminal_shows_it_in_one_line(monkeypatch, is_terminal, n_returns):
    stderr = io.StringIO()
    stderr.isatty = lambda: is_terminal
    monkeypatch.setattr(sys, "stderr", stderr)
    show = progress.display_callback()
    show("trial 1")
    show("trial 2")
    assert stderr.getvalue().count("\r") == n_returns
    assert "\n" not in stderr.getvalue()
