"""Which of the files that a kernel opened are data."""

from pathlib import Path

import pytest

from pipeline.definition.steps import Step
from pipeline.staleness.access_log import read_access_log
from pipeline.workspace import Workspace


@pytest.fixture
def read_log(tmp_path):
    """Return the accesses of a step, given lines of "KIND PATH" below a project's folder."""
    folder = tmp_path / "models" / "project"
    folder.mkdir(parents=True)

    def read(*lines, ignore=()):
        log = tmp_path / "log"
        texts = (line.replace(" ", f" 1 2 3 4 {folder}/", 1) for line in lines)
        log.write_text("".join(f"{text}\n" for text in texts))
        step = Step("one", folder / "one.ipynb", ignore=ignore)
        return read_access_log(log, step, Workspace(folder))

    read.folder = folder
    return read


def test_each_kind_of_access_is_told_apart(read_log):
    accesses = read_log(
        "read in.csv",
        "written out.csv",
        "read table.csv",
        "written table.csv",
        "appended log.txt",
        "module helper.py",
        "listed data",
        "listed-by-package cache",
    )
    folder = read_log.folder
    assert list(accesses.read) == [folder / "in.csv", folder / "table.csv"]
    assert list(accesses.written) == [folder / "out.csv", folder / "table.csv"]
    assert list(accesses.appended) == [folder / "log.txt"]
    assert list(accesses.module) == [folder / "helper.py"]
    assert list(accesses.listed) == [folder / "data"]
    assert list(accesses.listed_by_package) == [folder / "cache"]


def test_the_name_of_an_ignored_folder_stands_for_all_in_it(read_log):
    lines = ("read .cache/deep/a.csv", "read in.csv", "read model.db")
    accesses = read_log(*lines, ignore=(".cache", "*.db"))
    assert list(accesses.read) == [read_log.folder / "in.csv"]


def test_a_module_counts_where_reading_source_code_is_ignored(read_log):
    accesses = read_log("read other.py", "module helper.py", ignore=("*.py",))
    assert (accesses.read, list(accesses.module)) == ({}, [read_log.folder / "helper.py"])


def test_shared_libraries_are_not_named_among_what_is_not_tracked(tmp_path):
    log = tmp_path / "log"
    paths = ("/usr/lib/libc.so.6", "/usr/lib/libz.so", "/etc/localtime", "/usr/share/dict/words")
    log.write_text("".join(f"read 1 2 3 4 {path}\n" for path in paths))
    accesses = read_access_log(log, Step("one", tmp_path / "one.ipynb"), Workspace(tmp_path))
    assert (accesses.untracked, accesses.read) == ({Path("/usr/share/dict/words")}, {})


def test_only_folders_of_the_project_are_ignored_by_name(read_log):
    """Else a checkout below a folder of that name would have no inputs at all."""
    accesses = read_log("read in.csv", ignore=("models",))
    assert list(accesses.read) == [read_log.folder / "in.csv"]


def test_files_of_the_runner_are_no_data(read_log):
    accesses = read_log("written var/runs/1/one.json", "read reports/index.html", "read var/x.csv")
    assert list(accesses.read) == [read_log.folder / "var" / "x.csv"]
    assert not accesses.written
