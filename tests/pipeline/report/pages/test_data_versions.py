"""Data files that DVC versions, in the comparison of two runs."""

import html
import json
import os
import subprocess
import sys

import pytest

from pipeline.report.pages import comparison
from tests.pipeline.report.conftest import executed_cell, executed_notebook

MILLION = {"md5": "fa9fe4cf24f70b69ac65fb33062ddf34", "size": 1_915_795}
SMALLER = {"md5": "0e9fe4cf24f70b69ac65fb33062ddf34", "size": 1_715_795}
PART = {"md5": "bb9fe4cf24f70b69ac65fb33062ddf34", "size": 200}


def git(folder, *arguments):
    ann = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
    command = ["git", "-C", folder, *ann, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A checkout with notebooks/ and the pointers of DVC; `checkout(raw=..., part=...)` commits."""
    folder = tmp_path / "checkout"
    for one in ("notebooks", "data/raw", ".dvc/tmp"):
        (folder / one).mkdir(parents=True)
    (folder / ".dvc" / "config").touch()
    (folder / ".gitignore").write_text("/.dvc/tmp\n")
    git(folder, "init", "-q")

    def commit(raw=None, part=None):
        pointer, lock = folder / "data" / "raw" / "raw.csv.dvc", folder / "dvc.lock"
        for file in (pointer, lock):
            file.unlink(missing_ok=True)
        if raw:
            pointer.write_text(json.dumps({"outs": [{**raw, "hash": "md5", "path": "raw.csv"}]}))
        if part:
            outs = [{**part, "hash": "md5", "path": "data/part.parquet"}]
            stages = {"prep": {"cmd": "true", "outs": outs}}
            lock.write_text(json.dumps({"schema": "2.0", "stages": stages}))
            told = {"cmd": "true", "outs": ["data/part.parquet"]}
            (folder / "dvc.yaml").write_text(json.dumps({"stages": {"prep": told}}))
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "--allow-empty", "-m", "data")
        return git(folder, "rev-parse", "HEAD")

    commit.folder = folder
    return commit


@pytest.fixture
def page(home, record_run, checkout):
    """The comparison of a run at each of two commits: `page(first, second)`."""

    letters = iter("ab")

    def make(*commits, data=("5 rows", "5 rows")):
        letter = next(letters)
        for number, (commit, its) in enumerate(zip(commits, data, strict=True), 1):
            notebook = executed_notebook(executed_cell("1"))
            notebook.metadata["papermill"] = {
                "input_path": str(checkout.folder / "notebooks" / "prep.ipynb")
            }
            record_run(f"{letter}-0{number}", {"commit": commit, "data": its}, prep=notebook)
        return html.unescape(
            comparison.write_comparison(home, f"{letter}-01", f"{letter}-02").read_text()
        )

    return make


def test_added_modified_and_deleted_files_stand_with_hash_and_size(page, checkout):
    first, second, third = checkout(MILLION), checkout(SMALLER, PART), checkout(None, PART)
    shown = page(first, second)
    assert "2 files of DVC's differ." in shown
    assert (
        '<tr><th scope="row" class="t">data/<wbr>raw/<wbr>raw.csv</th><td class="t">modified</td>'
        '<td class="t old">md5 fa9fe4cf24f7, 1,915,795 bytes</td>'
        '<td class="t new">md5 0e9fe4cf24f7, 1,715,795 bytes</td></tr>'
    ) in shown
    assert (
        '<th scope="row" class="t">data/<wbr>part.parquet</th><td class="t">added</td>'
        '<td class="t">–</td><td class="t new">md5 bb9fe4cf24f7, 200 bytes</td>'
    ) in shown
    assert f"<code>dvc diff {first[:12]} {second[:12]}</code>" in shown
    assert '<td class="t">deleted</td>' in page(second, third)


def test_it_is_what_dvc_itself_says(page, checkout):
    first, second = checkout(MILLION), checkout(SMALLER, PART)
    shown = page(first, second)
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "diff", "--json", "--show-hash", first, second],
        cwd=checkout.folder, env={**os.environ, "DVC_NO_ANALYTICS": "1"}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    [added], [modified] = told["added"], told["modified"]
    for path, kind, md5 in (
        (added["path"], "added", added["hash"]),
        (modified["path"], "modified", modified["hash"]["old"]),
        (modified["path"], "modified", modified["hash"]["new"]),
    ):
        [row] = [one for one in shown.split("<tr>") if f">{path}</th>" in one.replace("<wbr>", "")]
        assert f">{kind}<" in row
        assert f"md5 {md5[:12]}" in row


def test_the_same_data_needs_no_words(page, checkout):
    first = checkout(MILLION)
    git(checkout.folder, "commit", "-q", "--allow-empty", "-m", "code")
    shown = page(first, git(checkout.folder, "rev-parse", "HEAD"))
    assert "DVC" not in shown
    assert "data files" not in shown


def test_a_run_with_changed_files_is_not_vouched_for(page, checkout):
    first = checkout(MILLION)
    shown = page(first, f"{first}-dirty", data=("5 rows", "6 rows"))
    assert "Files differed from its commit when run a-02 was made" in shown
    assert "run a-01 was made" not in shown
    assert '<h2 id="data-files">' in shown


def test_a_commit_that_is_not_here_is_named(page, checkout):
    shown = page("1" * 40, checkout(MILLION))
    assert "The commit 111111111111 is not in this checkout" in shown


def test_without_git_there_is_nothing_to_say(page, checkout):
    checkout(MILLION)
    assert "DVC" not in page("", "")


def test_a_pointer_that_is_no_pointer_harms_nothing(page, checkout):
    first = checkout(MILLION)
    (checkout.folder / "data" / "raw" / "raw.csv.dvc").write_text("<<<<<<< HEAD\n\touts: [")
    git(checkout.folder, "commit", "-qam", "half a merge")
    shown = page(first, git(checkout.folder, "rev-parse", "HEAD"))
    assert '<td class="t">deleted</td>' in shown
