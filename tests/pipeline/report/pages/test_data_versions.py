"""Data files that DVC versions, in the comparison of two runs."""

import html
import json
import os
import subprocess
import sys

import pytest

from pipeline.report.pages import comparison
from tests.pipeline.report.conftest import executed_cell, executed_notebook

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
def compare_commits(home, record_run, commit_data):
    """Return the comparison of a run at each of two commits: `compare_commits(first, second)`."""
    letters = iter("ab")

    def compare(*commits, data=("5 rows", "5 rows")):
        letter = next(letters)
        for number, (commit, run_data) in enumerate(zip(commits, data, strict=True), 1):
            notebook = executed_notebook(executed_cell("1"))
            notebook.metadata["papermill"] = {
                "input_path": str(commit_data.repo_dir / "notebooks" / "prep.ipynb")
            }
            fields = {"commit": commit, "data": run_data}
            record_run(f"{letter}-0{number}", fields, prep=notebook)
        path = comparison.write_comparison(home, f"{letter}-01", f"{letter}-02")
        return html.unescape(path.read_text())

    return compare


def test_added_modified_and_deleted_files_have_hash_and_size(compare_commits, commit_data):
    first, second, third = (
        commit_data(OLD_RAW),
        commit_data(NEW_RAW, PARQUET),
        commit_data(None, PARQUET),
    )
    page = compare_commits(first, second)
    assert "2 DVC files differ." in page
    assert (
        '<tr><th scope="row" class="t">data/<wbr>raw/<wbr>raw.csv</th><td class="t">modified</td>'
        '<td class="t old">md5 fa9fe4cf24f7, 1,915,795 bytes</td>'
        '<td class="t new">md5 0e9fe4cf24f7, 1,715,795 bytes</td></tr>'
    ) in page
    assert (
        '<th scope="row" class="t">data/<wbr>part.parquet</th><td class="t">added</td>'
        '<td class="t">–</td><td class="t new">md5 bb9fe4cf24f7, 200 bytes</td>'
    ) in page
    assert f"<code>dvc diff {first[:12]} {second[:12]}</code>" in page
    assert '<td class="t">deleted</td>' in compare_commits(second, third)


def test_the_changes_are_those_of_dvc_diff(compare_commits, commit_data):
    first, second = commit_data(OLD_RAW), commit_data(NEW_RAW, PARQUET)
    page = compare_commits(first, second)
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
    for path, change_type, md5 in (
        (added["path"], "added", added["hash"]),
        (modified["path"], "modified", modified["hash"]["old"]),
        (modified["path"], "modified", modified["hash"]["new"]),
    ):
        [row] = [row for row in page.split("<tr>") if f">{path}</th>" in row.replace("<wbr>", "")]
        assert f">{change_type}<" in row
        assert f"md5 {md5[:12]}" in row


def test_unchanged_data_is_not_mentioned(compare_commits, commit_data):
    first = commit_data(OLD_RAW)
    git(commit_data.repo_dir, "commit", "-q", "--allow-empty", "-m", "code")
    page = compare_commits(first, git(commit_data.repo_dir, "rev-parse", "HEAD"))
    assert "DVC" not in page
    assert "data files" not in page


def test_a_run_with_uncommitted_changes_is_named(compare_commits, commit_data):
    first = commit_data(OLD_RAW)
    page = compare_commits(first, f"{first}-dirty", data=("5 rows", "6 rows"))
    assert "There were uncommitted changes when run a-02 was made" in page
    assert "run a-01 was made" not in page
    assert '<h2 id="data-files">' in page


def test_a_commit_that_the_checkout_lacks_is_named(compare_commits, commit_data):
    page = compare_commits("1" * 40, commit_data(OLD_RAW))
    assert "The commit 111111111111 is not in this checkout" in page


def test_without_git_the_data_is_not_mentioned(compare_commits, commit_data):
    commit_data(OLD_RAW)
    assert "DVC" not in compare_commits("", "")


def test_an_invalid_pointer_breaks_nothing(compare_commits, commit_data):
    first = commit_data(OLD_RAW)
    pointer = commit_data.repo_dir / "data" / "raw" / "raw.csv.dvc"
    pointer.write_text("<<<<<<< HEAD\n\touts: [")
    git(commit_data.repo_dir, "commit", "-qam", "half a merge")
    page = compare_commits(first, git(commit_data.repo_dir, "rev-parse", "HEAD"))
    assert '<td class="t">deleted</td>' in page
