"""Whose a path is, wherever interpreter, project, home and temporary folder are."""

import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.definition.steps import Step
from pipeline.staleness.path_scopes import PathScope, PathScopes
from pipeline.workspace import Workspace

DATA, SCRATCH, UNTRACKED, IGNORED = PathScope


@pytest.fixture
def find_scope(monkeypatch):
    """Return the scope of a path, for a project and an interpreter that need not exist."""
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")

    def find(path, project="/srv/app", prefix="/usr", base_prefix="/usr"):
        monkeypatch.setattr(sys, "prefix", prefix)
        monkeypatch.setattr(sys, "base_prefix", base_prefix)
        step = Step("one", Path(project, "notebooks", "one.ipynb"))
        return PathScopes(step, Workspace(Path(project))).find_scope(Path(path))

    return find


@pytest.mark.parametrize(
    ("project", "prefix"),
    [
        ("/usr/src/app", "/usr"),
        ("/usr/local/src/app", "/usr/local"),
        ("/usr/share/app", "/usr"),
        ("/opt/conda/work", "/opt/conda"),
        ("/opt/conda/lib/work", "/opt/conda"),
        ("/home/ann/.pyenv/versions/3.11.7/app", "/home/ann/.pyenv/versions/3.11.7"),
        ("/srv/app", "/srv/app"),  # a virtual environment made in the project's folder
        ("/srv/app", "/srv/app/.venv"),
        ("/srv/app", "/srv"),
        ("/etc/app", "/usr"),
        ("/tmp/app", "/usr"),
        ("/home/ann/.hidden/app", "/usr"),
        ("/home/ann", "/usr"),
    ],
)
def test_what_is_in_the_project_is_data_wherever_the_interpreter_is(find_scope, project, prefix):
    for name in ("data.csv", "lib/helper.py", "bin/run.py", "share/table.csv", "data/x/m.json"):
        for interpreter in ({"prefix": prefix}, {"base_prefix": prefix, "prefix": "/opt/env"}):
            assert find_scope(f"{project}/{name}", project, **interpreter) is DATA


@pytest.mark.parametrize(
    ("path", "project", "prefix"),
    [
        ("/srv/app/lib/python3.11/os.py", "/srv/app", "/srv/app"),
        ("/srv/app/pyvenv.cfg", "/srv/app", "/srv/app"),
        ("/srv/app/share/jupyter/kernels/python3/kernel.json", "/srv/app", "/srv/app"),
        ("/srv/app/.venv/lib/python3.11/os.py", "/srv/app", "/srv/app/.venv"),
        ("/usr/lib/python3.11/os.py", "/usr/src/app", "/usr"),
        ("/usr/local/lib/x.json", "/usr/src/app", "/usr"),
        ("/opt/conda/share/x", "/srv/app", "/opt/conda"),
        ("/etc/hosts", "/srv/app", "/usr"),
        ("/run/systemd/x", "/srv/app", "/usr"),
        ("/home/ann/.gitconfig", "/srv/app", "/usr"),
        ("/home/ann/.cache/matplotlib/fontlist-v390.json", "/srv/app", "/usr"),
        ("/home/ann/.cache/matplotlib/fontlist-v390.json", "/home/ann/app", "/usr"),
        ("/home/ann/.ipython/profile_default/ipython_config.py", "/srv/app", "/usr"),
    ],
)
def test_files_of_interpreters_systems_and_tools_are_not_tracked(find_scope, path, project, prefix):
    assert find_scope(path, project, prefix) is UNTRACKED


@pytest.mark.parametrize(
    "path",
    [
        *("/usr/src/data/a.csv", "/run/media/ann/disk/a.csv", "/mnt/a.csv", "/media/a.csv"),
        *("/opt/data/a.csv", "/var/data/a.csv", "/home/ann/data/a.csv", "/srv/data/a.csv"),
        "/home/ann/.pyenv/versions/3.11.7/data/a.csv",
    ],
)
def test_data_elsewhere_is_data(find_scope, path):
    assert find_scope(path, base_prefix="/home/ann/.pyenv/versions/3.11.7") is DATA


@pytest.mark.parametrize(
    "path",
    [
        *("/tmp/a.csv", "/var/tmp/a.csv", "/dev/shm/a.csv", "/run/user/1000/a.csv"),
        *("/home/ann/.data/a.csv", "/home/ann/.cache/huggingface/a", "/home/ann/.a.csv"),
    ],
)
def test_temporary_and_hidden_files_may_be_inputs_only(find_scope, path):
    assert find_scope(path) is SCRATCH


@pytest.mark.parametrize(
    "path",
    [
        *("/srv/app/notebooks/one.ipynb", "/srv/app/var/runs/1/one.ipynb"),
        *("/srv/app/reports/index.html", "/srv/app/.git/HEAD", "/srv/app/__pycache__/a.pyc"),
    ],
)
def test_the_runner_s_files_the_step_s_notebook_and_caches_are_ignored(find_scope, path):
    assert find_scope(path) is IGNORED


@pytest.mark.parametrize(
    "folder", ["/opt/env", "/home/ann/.envs/ml", "/home/ann/env", "/usr", "/tmp/env"]
)
def test_packages_of_another_environment_on_the_path_count_by_their_versions(find_scope, folder):
    for name in ("site-packages/numpy/__init__.py", "dist-packages/yaml/table.json"):
        assert find_scope(f"{folder}/lib/python3.11/{name}") in (IGNORED, UNTRACKED)
        own_path = f"{folder}/lib/python3.11/site-packages/app/data.csv"
        assert find_scope(own_path, own_path.removesuffix("/data.csv")) is DATA


def test_another_notebook_may_be_an_input(find_scope):
    assert find_scope("/srv/app/notebooks/other.ipynb") is DATA
