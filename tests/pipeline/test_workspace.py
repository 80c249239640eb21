"""Paths that hold after a project has moved."""

import sys

import pytest

from pipeline.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "checkout" / "home", tmp_path / "checkout")


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("{tmp}/checkout/notebooks/helper.py", "{{project}}/notebooks/helper.py"),
        ("{tmp}/checkout/home/data/raw.csv", "{{home}}/data/raw.csv"),
        ("{tmp}/checkout/home", "{{home}}"),
        ("{tmp}/checkout", "{{project}}"),
        ("{prefix}/share/table.csv", "{{environment}}/share/table.csv"),
        ("{tmp}/elsewhere/raw.csv", "{tmp}/elsewhere/raw.csv"),
        ("{tmp}/checkout-2/raw.csv", "{tmp}/checkout-2/raw.csv"),
    ],
)
def test_a_path_is_stored_relative_to_the_folder_that_may_move(workspace, tmp_path, path, stored):
    path, stored = (text.format(tmp=tmp_path, prefix=sys.prefix) for text in (path, stored))
    assert workspace.to_portable(path) == stored
    assert workspace.from_portable(stored) == path


def test_a_stored_path_leads_to_where_the_project_is_now(workspace, tmp_path):
    moved = Workspace(tmp_path / "moved" / "home", tmp_path / "moved")
    stored = workspace.to_portable(str(tmp_path / "checkout" / "home" / "raw.csv"))
    assert moved.from_portable(stored) == str(tmp_path / "moved" / "home" / "raw.csv")


def test_an_environment_in_the_project_moves_by_itself(tmp_path, monkeypatch):
    """A virtual environment may be made anew elsewhere, while the project stays."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    stored = Workspace(tmp_path).to_portable(str(tmp_path / ".venv" / "share" / "table.csv"))
    assert stored == "{environment}/share/table.csv"


def test_the_files_of_a_task_differ_by_their_suffix_even_if_its_name_has_a_dot(workspace):
    files = workspace.task_files("1", "train-share=0.5")
    folder = workspace.home / "var" / "runs" / "1"
    assert files.notebook == folder / "train-share=0.5.ipynb"
    assert files.results == folder / "train-share=0.5.json"
    assert files.access_log == folder / "train-share=0.5.trace"
    assert files.stderr == folder / "train-share=0.5.stderr"
    assert files.attempt(2) == folder / "train-share=0.5.attempt-2.ipynb"
    assert workspace.executed_notebook("1", "train-share=0.5") == files.notebook
