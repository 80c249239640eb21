"""Runs that score into the same target at the same time, and what killed ones leave behind."""

from pathlib import Path

import pytest

from housing.batch_scoring.target_lock import target_lock


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_a_second_run_into_the_same_target_is_refused(folder):
    for name, is_folder in (("out", True), ("out.csv", False)):
        with (
            target_lock(folder / name, is_folder),
            pytest.raises(LookupError, match=f"another run is scoring into .*{name}: wait for"),
            target_lock(folder / name, is_folder),
        ):
            pass
        with target_lock(folder / name, is_folder) as work_folder:
            assert work_folder.is_dir()
        assert not work_folder.exists()


def test_two_files_of_a_folder_may_be_written_at_once(folder):
    with target_lock(folder / "a.csv", False), target_lock(folder / "b.csv", False):
        pass
    assert list(folder.iterdir()) == []


def test_a_run_into_a_folder_keeps_others_from_its_files(folder):
    with (
        target_lock(folder, True),
        pytest.raises(LookupError, match="another run is scoring into"),
        target_lock(folder / "a.csv", False),
    ):
        pass


def test_what_killed_runs_left_is_removed_and_nothing_else(folder):
    kept_names = ["a.csv", ".b.csv.77.abcd.part", "a.csv.part", ".hidden", ".a.csvx.1.ab.part"]
    removed_names = [".a.csv.77.abcd.part", ".a.csv.78.ef01.part"]
    for name in [*kept_names, removed_names[0]]:
        (folder / name).touch()
    (folder / removed_names[1]).mkdir()
    with target_lock(folder / "a.csv", False):
        pass
    assert sorted(path.name for path in folder.iterdir()) == sorted(kept_names)


def test_a_run_into_a_folder_leaves_alone_what_a_run_into_a_file_of_it_writes(folder):
    (folder / ".b.csv.77.abcd.part").touch()
    with target_lock(folder / "a.csv", False) as work_folder:
        (folder / ".a.csv.77.abcd.part").touch()
        with target_lock(folder, True):
            pass
        assert work_folder.exists()
        assert (folder / ".a.csv.77.abcd.part").exists()
        assert not (folder / ".b.csv.77.abcd.part").exists()


def test_a_place_where_no_file_can_be_made_is_no_other_run():
    with pytest.raises(PermissionError), target_lock(Path("/proc/out.csv"), False):
        pass


def test_the_next_run_into_a_folder_removes_what_the_workers_of_a_killed_one_had(folder):
    with target_lock(folder, True) as work_folder:
        name = work_folder.name
    (folder / name).mkdir()
    (folder / name / "0.progress").touch()
    with target_lock(folder, True):
        assert not (folder / name).exists()
