"""The environment of the processes that a run starts."""

import os
import sys
from pathlib import Path

from pipeline.execution import worker_pool

REPOSITORY = Path(__file__).resolve().parents[3]


def test_other_processes_import_the_runner_that_this_one_runs(tmp_path, monkeypatch):
    """Else a checkout that another one's interpreter runs would execute the code of that one."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(REPOSITORY), str(tmp_path)])
    expected_path = os.pathsep.join([str(REPOSITORY), "mine"])
    assert worker_pool.runner_path({"PYTHONPATH": "mine"}) == {"PYTHONPATH": expected_path}
    assert worker_pool.runner_path({}) == {"PYTHONPATH": str(REPOSITORY)}


def test_an_installed_runner_needs_no_search_path(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(REPOSITORY)])
    assert worker_pool.runner_path({"PYTHONPATH": "mine"}) == {}
