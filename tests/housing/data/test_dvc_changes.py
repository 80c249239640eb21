"""The data files that differ between two commits, from DVC's pointers."""

import json
import os
import subprocess
import sys

import pytest

from housing.data.dvc_changes import DataFileChange, compare_data_files

OLD_RAW = {"md5": "fa9fe4cf24f70b69ac65fb33062ddf34", "size": 1_915_795}
NEW_RAW = {"md5": "0e9fe4cf24f70b69ac65fb33062ddf34", "size": 1_715_795}
PARQUET = {"md5": "bb9fe4cf24f70b69ac65fb33062ddf34", "size": 200}


def git(repo_dir, *arguments):
    identity = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
    command = ["git", "-C", repo_dir, *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def commit_data(tmp_path):
    """Commit DVC's pointers in a checkout with notebooks/: `commit_data(raw=..., parquet=...)`.

    Its attribute repo_dir is the checkout; it returns the commit.
    """
    repo_dir = tmp_path / "checkout"
    for folder in ("notebooks", "data/raw", ".dvc/tmp"):
        (repo_dir / folder).mkdir(parents=True)
    (repo_dir / ".dvc" / "config").touch()
    (repo_dir / ".gitignore").write_text("/.dvc/tmp\n")
    git(repo_dir, "init", "-q")

    def commit(raw=None, parquet=None):
        pointer, lock = repo_dir / "data" / "raw" / "raw.csv.dvc", repo_dir / "dvc.lock"
        for path in (pointer, lock):
            path.unlink(missing_ok=True)
        if raw:
            pointer.write_text(json.dumps({"outs": [{**raw, "hash": "md5", "path": "raw.csv"}]}))
        if parquet:
            outs = [{**parquet, "hash": "md5", "path": "data/part.parquet"}]
            stages = {"prep": {"cmd": "true", "outs": outs}}
            lock.write_text(json.dumps({"schema": "2.0", "stages": stages}))
            stage = {"cmd": "true", "outs": ["data/part.parquet"]}
            (repo_dir / "dvc.yaml").write_text(json.dumps({"stages": {"prep": stage}}))
        git(repo_dir, "add", "-A")
        git(repo_dir, "commit", "-q", "--allow-empty", "-m", "data")
        return git(repo_dir, "rev-parse", "HEAD")

    commit.repo_dir = repo_dir
    return commit


@pytest.fixture
def compare(commit_data):
    """Return the table of two commits, asked in the folder of the notebooks."""
    return lambda *commits: compare_data_files(commit_data.repo_dir / "notebooks", *commits)


def test_added_modified_and_deleted_files_have_hash_and_size(compare, commit_data):
    first, second, third = (
        commit_data(OLD_RAW),
        commit_data(NEW_RAW, PARQUET),
        commit_data(None, PARQUET),
    )
    table = compare(first, second)
    assert (table.title, table.notes) == ("data files", ())
    assert table.columns == ("file", "change", "before", "now")
    old_version, new_version = (
        "md5 fa9fe4cf24f7, 1,915,795 bytes",
        "md5 0e9fe4cf24f7, 1,715,795 bytes",
    )
    assert table.rows == [
        DataFileChange("data/part.parquet", "added", "", "md5 bb9fe4cf24f7, 200 bytes"),
        DataFileChange("data/raw/raw.csv", "modified", old_version, new_version),
    ]
    assert table.command == f"dvc diff {first[:12]} {second[:12]}"
    assert compare(second, third).rows == [
        DataFileChange("data/raw/raw.csv", "deleted", new_version, "")
    ]


@pytest.mark.slow
def test_the_changes_are_those_of_dvc_diff(compare, commit_data):
    first, second = commit_data(OLD_RAW), commit_data(NEW_RAW, PARQUET)
    completed = subprocess.run(
        [sys.executable, "-m", "dvc", "diff", "--json", "--show-hash", first, second],
        cwd=commit_data.repo_dir,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    changes = json.loads(completed.stdout)
    [added], [modified] = changes["added"], changes["modified"]
    added_row, modified_row = compare(first, second).rows
    assert added_row[:2] == (added["path"], "added")
    assert added_row.new_version.startswith(f"md5 {added['hash'][:12]}")
    assert modified_row[:2] == (modified["path"], "modified")
    assert modified_row.old_version.startswith(f"md5 {modified['hash']['old'][:12]}")
    assert modified_row.new_version.startswith(f"md5 {modified['hash']['new'][:12]}")


def test_unchanged_data_has_no_rows(compare, commit_data):
    first = commit_data(OLD_RAW)
    git(commit_data.repo_dir, "commit", "-q", "--allow-empty", "-m", "code")
    table = compare(first, git(commit_data.repo_dir, "rev-parse", "HEAD"))
    assert (table.rows, table.notes, table.command) == ([], (), "")


def test_a_commit_that_the_checkout_lacks_is_named(compare, commit_data):
    table = compare("1" * 40, commit_data(OLD_RAW))
    [note] = table.notes
    assert "The commit 111111111111 is not in this checkout" in note
    assert table.rows == ()


def test_a_checkout_whose_data_dvc_does_not_track_has_no_table(compare, commit_data):
    first = commit_data()
    assert compare(first, first) is None


def test_a_folder_without_git_has_no_table(tmp_path):
    assert compare_data_files(tmp_path, "1" * 40, "2" * 40) is None


def test_an_invalid_pointer_breaks_nothing(compare, commit_data):
    first = commit_data(OLD_RAW)
    pointer = commit_data.repo_dir / "data" / "raw" / "raw.csv.dvc"
    pointer.write_text("<<<<<<< HEAD\n\touts: [")
    git(commit_data.repo_dir, "commit", "-qam", "half a merge")
    [row] = compare(first, git(commit_data.repo_dir, "rev-parse", "HEAD")).rows
    assert row.change_type == "deleted"
