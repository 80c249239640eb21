"""What a changed sys.path means for the modules that were preloaded."""

import sys

import pytest

from pipeline.kernels.preload.search_path import SearchPath


@pytest.fixture
def package_folder(tmp_path, monkeypatch):
    (tmp_path / "preloaded_package.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    return str(tmp_path)


def test_a_module_is_lacking_once_its_folder_has_left_the_path(package_folder, monkeypatch):
    search_path = SearchPath(list(sys.path))
    assert not search_path.lacks("preloaded_package")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != package_folder])
    assert search_path.lacks("preloaded_package")
    assert not search_path.lacks("sys")
    assert not search_path.lacks("json")  # is still found
    assert not search_path.lacks("a_module_that_never_was")


def test_a_module_that_another_folder_has_is_not_lacking(package_folder, monkeypatch):
    search_path = SearchPath([*sys.path, "/gone"])
    assert not search_path.lacks("preloaded_package")
