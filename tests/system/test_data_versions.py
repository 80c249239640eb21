"""A new version of the data goes to another clone and back, by the README's commands."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml

from housing.data import data_versions
from housing.paths import PROJECT_ROOT

pytestmark = pytest.mark.slow
README = (PROJECT_ROOT / "README.md").read_text()
[DATA_BLOCK] = [
    block for block in re.findall(r"```sh\n(.+?)```", README, re.DOTALL) if "data-push" in block
]
INIT, PUSH, COMMIT, PULL, GO_BACK = (
    line.split("  #")[0].strip() for line in DATA_BLOCK.splitlines()
)
RAW_FILE = "data/raw/california_housing.csv"
RAW_MD5 = "fa9fe4cf24f70b69ac65fb33062ddf34"
SPLIT_FILES = ("manifest.json", "test.parquet", "train.parquet")


class Clone:
    """A clone of a checkout, with this environment as its .venv, in which commands are typed."""

    def __init__(self, source, folder):
        self.folder = folder
        subprocess.run(["git", "clone", "--quiet", source, folder], check=True)
        python = folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        command = f"PYTHONPATH={shlex.quote(str(folder))} exec {shlex.quote(sys.executable)}"
        python.write_text(f'#!/bin/sh\n{command} "$@"\n')
        python.chmod(0o755)
        for marker in (".uv.done", ".venv/dev.done", ".venv/run.done"):  # nothing to install
            (folder / marker).touch()

    def type(self, line, code=0):
        """Run a shell command and return its output and errors; code: the expected exit code."""
        unset = ("HOUSING_HOME", "VIRTUAL_ENV", "MAKEFLAGS", "MAKEOVERRIDES", "ARGS")
        environment = {name: value for name, value in os.environ.items() if name not in unset}
        environment["DVC_SITE_CACHE_DIR"] = str(
            self.folder.parent / "site"
        )  # else in /var/tmp, for good
        for role in ("AUTHOR", "COMMITTER"):
            environment |= {f"GIT_{role}_NAME": "ann", f"GIT_{role}_EMAIL": "ann@example.com"}
        completed = subprocess.run(
            line, shell=True, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True,
        )  # fmt: skip
        assert completed.returncode == code, (
            f"{line}: {completed.stdout[-3000:]}{completed.stderr[-3000:]}"
        )
        return completed.stdout + completed.stderr

    def run_pipeline(self, arguments):
        return self.type(f".venv/bin/python run_pipeline.py {arguments}")

    def md5(self, name):
        return data_versions.md5((self.folder / name).read_bytes())

    def locked_md5s(self):
        """Return path -> md5 of each file that dvc.lock records."""
        [stage] = yaml.safe_load((self.folder / "dvc.lock").read_text())["stages"].values()
        return {entry["path"]: entry["md5"] for entry in [*stage["deps"], *stage["outs"]]}

    def prep_report(self):
        return (self.folder / "reports" / "latest" / "01_prep.html").read_text()


@pytest.fixture(scope="module")
def first_clone(tmp_path_factory, real_data):
    """Return a clone whose remote, ../data-remote, has the real data and no split."""
    folder = tmp_path_factory.mktemp("versions") / "a folder"
    folder.mkdir()
    cache = folder / "data-remote" / "files" / "md5" / RAW_MD5[:2]
    cache.mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / RAW_FILE, cache / RAW_MD5[2:])
    clone = Clone(PROJECT_ROOT, folder / "first")
    for _ in range(2):  # a second time changes nothing
        assert f"{folder / 'data-remote'}" in clone.type(INIT)
    assert "analytics = false" in (clone.folder / ".dvc" / "config").read_text()
    clone.type(COMMIT)
    return clone


@pytest.fixture(scope="module")
def outputs(first_clone):
    """Drop 640 rows in the first clone, record and push them; return name -> output.

    "report" holds the report after the push, "commit" the commit's hash.
    """
    outputs = {"pull": first_clone.type(PULL)}
    assert first_clone.md5(RAW_FILE) == RAW_MD5
    raw = first_clone.folder / RAW_FILE
    raw.write_bytes(b"".join(raw.read_bytes().splitlines(keepends=True)[:-640]))
    outputs["push"], outputs["report"] = first_clone.type(PUSH), first_clone.prep_report()
    outputs["again"] = first_clone.type(PUSH)
    first_clone.type(COMMIT)
    outputs["commit"] = first_clone.type("git rev-parse HEAD").strip()
    return outputs


@pytest.fixture(scope="module")
def second_clone(first_clone, outputs):
    """Return a clone of the first clone, made after the push."""
    return Clone(first_clone.folder, first_clone.folder.parent / "second")


def test_a_file_that_the_remote_lacks_is_named(outputs):
    assert "The raw data is here, the split above is not" in outputs["pull"]
    assert "data/processed/train.parquet" in outputs["pull"]


def test_a_push_records_the_file_and_its_split_and_names_what_to_commit(first_clone, outputs):
    assert f"git add {RAW_FILE}.dvc dvc.lock && git commit" in outputs["push"]
    assert "This run is part of <code>dvc repro</code>" in outputs["report"]
    assert "CHANGED DATA" not in outputs["report"]  # it is recorded before it is used
    assert f"DVC: md5 {first_clone.md5(RAW_FILE)[:12]}, not committed" in outputs["report"]
    assert first_clone.locked_md5s()[RAW_FILE] == first_clone.md5(RAW_FILE) != RAW_MD5
    manifest = json.loads((first_clone.folder / "data" / "processed" / "manifest.json").read_text())
    assert (manifest["rows"]["raw"], manifest["modified"]) == (20_000, False)


def test_a_second_push_has_nothing_to_do(outputs):
    assert "nothing to do: prep up to date" in outputs["again"]
    assert "Everything is up to date" in outputs["again"]


def test_another_clone_has_the_same_bytes_and_makes_the_same_split(
    first_clone, second_clone, outputs
):
    second_clone.type(PULL)
    for path in (RAW_FILE, *(f"data/processed/{name}" for name in SPLIT_FILES)):
        assert second_clone.md5(path) == second_clone.locked_md5s()[path] == first_clone.md5(path)
    second_clone.run_pipeline("--only prep")
    assert second_clone.type("git status --short --untracked-files=no") == ""
    assert {
        path: second_clone.md5(path) for path in second_clone.locked_md5s()
    } == second_clone.locked_md5s()
    commit, md5 = outputs["commit"][:12], second_clone.locked_md5s()[RAW_FILE][:12]
    assert f"DVC: md5 {md5} at commit {commit}" in second_clone.prep_report()
    assert "CHANGED DATA" not in second_clone.prep_report()
    assert "It is the version that" in second_clone.prep_report()


def test_back_at_the_first_version_the_runner_knows_what_is_stale(second_clone, outputs):
    """Needs the test above."""
    second_clone.type(GO_BACK)
    assert second_clone.md5(RAW_FILE) == RAW_MD5
    [line] = [
        line
        for line in second_clone.run_pipeline("explain").splitlines()
        if line.startswith("prep")
    ]
    assert re.match(r"prep +run +input data/raw/california_housing.csv is altered", line), line


def test_dvc_checkout_switches_the_data_back_and_forth(first_clone, outputs):
    """The first version's split is not in the cache: dvc names it and restores the raw data."""
    dvc = ".venv/bin/python -m dvc"
    first_clone.type("git checkout --quiet HEAD~1")
    assert "data/processed/train.parquet" in first_clone.type(f"{dvc} checkout", code=255)
    assert first_clone.md5(RAW_FILE) == RAW_MD5
    assert "input data/raw/california_housing.csv is altered" in first_clone.run_pipeline("explain")
    first_clone.type(f"git checkout --quiet - && {dvc} checkout")
    assert {
        path: first_clone.md5(path) for path in first_clone.locked_md5s()
    } == first_clone.locked_md5s()
    assert re.search(r"prep +skip +nothing has changed", first_clone.run_pipeline("explain"))
