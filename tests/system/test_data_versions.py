"""A new version of the data, from one clone to another and back, by the README's commands."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml

from housing.data import dvc as data_versions
from housing.paths import PROJECT_ROOT

pytestmark = pytest.mark.slow
README = (PROJECT_ROOT / "README.md").read_text()
[BLOCK] = [one for one in re.findall(r"```sh\n(.+?)```", README, re.DOTALL) if "data-push" in one]
INIT, PUSH, COMMIT, PULL, BACK = (line.split("  #")[0].strip() for line in BLOCK.splitlines())
RAW = "data/raw/california_housing.csv"
REAL = "fa9fe4cf24f70b69ac65fb33062ddf34"
NAMES = ("manifest.json", "test.parquet", "train.parquet")


class Clone:
    """A clone of a checkout, with this environment as its .venv, and what is typed in it."""

    def __init__(self, source, folder):
        self.folder = folder
        subprocess.run(["git", "clone", "--quiet", source, folder], check=True)
        python = folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        here = f"PYTHONPATH={shlex.quote(str(folder))} exec {shlex.quote(sys.executable)}"
        python.write_text(f'#!/bin/sh\n{here} "$@"\n')
        python.chmod(0o755)
        for one in (".uv.done", ".venv/dev.done", ".venv/run.done"):  # nothing to be installed
            (folder / one).touch()

    def types(self, line, code=0):
        unset = ("HOUSING_HOME", "VIRTUAL_ENV", "MAKEFLAGS", "MAKEOVERRIDES", "ARGS")
        told = {name: value for name, value in os.environ.items() if name not in unset}
        told["DVC_SITE_CACHE_DIR"] = str(self.folder.parent / "site")  # else in /var/tmp, for good
        for one in ("AUTHOR", "COMMITTER"):
            told |= {f"GIT_{one}_NAME": "ann", f"GIT_{one}_EMAIL": "ann@example.com"}
        done = subprocess.run(
            line, shell=True, cwd=self.folder, env=told, stdin=subprocess.DEVNULL,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == code, f"{line}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def runs(self, arguments):
        return self.types(f".venv/bin/python run_pipeline.py {arguments}")

    def md5(self, name):
        return data_versions.md5((self.folder / name).read_bytes())

    def recorded(self):
        """path -> md5, by dvc.lock."""
        [stage] = yaml.safe_load((self.folder / "dvc.lock").read_text())["stages"].values()
        return {one["path"]: one["md5"] for one in [*stage["deps"], *stage["outs"]]}

    def report(self):
        return (self.folder / "reports" / "latest" / "01_prep.html").read_text()


@pytest.fixture(scope="module")
def first(tmp_path_factory, real_data):
    """A clone whose own remote, ../data-remote, has the real data and no split."""
    place = tmp_path_factory.mktemp("versions") / "a place"
    place.mkdir()
    kept = place / "data-remote" / "files" / "md5" / REAL[:2]
    kept.mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / RAW, kept / REAL[2:])
    made = Clone(PROJECT_ROOT, place / "first")
    for _ in range(2):  # again is as good
        assert f"{place / 'data-remote'}" in made.types(INIT)
    assert "analytics = false" in (made.folder / ".dvc" / "config").read_text()
    made.types(COMMIT)
    return made


@pytest.fixture(scope="module")
def changed(first):
    """There, 640 rows are dropped, recorded and sent; gives what was said."""
    said = {"pull": first.types(PULL)}
    assert first.md5(RAW) == REAL
    raw = first.folder / RAW
    raw.write_bytes(b"".join(raw.read_bytes().splitlines(keepends=True)[:-640]))
    said["push"], said["report"] = first.types(PUSH), first.report()
    said["again"] = first.types(PUSH)
    first.types(COMMIT)
    said["commit"] = first.types("git rev-parse HEAD").strip()
    return said


@pytest.fixture(scope="module")
def second(first, changed):
    """A clone of that clone."""
    return Clone(first.folder, first.folder.parent / "second")


def test_what_the_remote_lacks_is_said(changed):
    assert "The raw data is here, the split above is not" in changed["pull"]
    assert "data/processed/train.parquet" in changed["pull"]


def test_a_push_records_the_file_and_its_split_and_says_what_git_should_have(first, changed):
    assert f"git add {RAW}.dvc dvc.lock && git commit" in changed["push"]
    assert "This run is part of <code>dvc repro</code>" in changed["report"]
    assert "CHANGED DATA" not in changed["report"]  # it is recorded before it is used
    assert f"DVC: md5 {first.md5(RAW)[:12]}, not committed" in changed["report"]
    assert first.recorded()[RAW] == first.md5(RAW) != REAL
    manifest = json.loads((first.folder / "data" / "processed" / "manifest.json").read_text())
    assert (manifest["rows"]["raw"], manifest["modified"]) == (20_000, False)


def test_a_second_push_has_nothing_to_do(changed):
    assert "nothing to do: prep up to date" in changed["again"]
    assert "Everything is up to date" in changed["again"]


def test_another_clone_has_the_same_bytes_and_makes_the_same(first, second, changed):
    second.types(PULL)
    for one in (RAW, *(f"data/processed/{name}" for name in NAMES)):
        assert second.md5(one) == second.recorded()[one] == first.md5(one)
    second.runs("--only prep")
    assert second.types("git status --short --untracked-files=no") == ""
    assert {one: second.md5(one) for one in second.recorded()} == second.recorded()
    number, md5 = changed["commit"][:12], second.recorded()[RAW][:12]
    assert f"DVC: md5 {md5} at commit {number}" in second.report()
    assert "CHANGED DATA" not in second.report()
    assert "It is the version that" in second.report()


def test_back_at_the_first_version_the_runner_knows_what_is_stale(second, changed):
    """After the test above."""
    second.types(BACK)
    assert second.md5(RAW) == REAL
    [line] = [one for one in second.runs("--explain").splitlines() if one.startswith("prep")]
    assert re.match(r"prep +run +input data/raw/california_housing.csv is altered", line), line


def test_dvc_checkout_switches_the_data_forth_and_back(first, changed):
    """The split of the first version is nowhere, so that dvc says so and brings the rest."""
    dvc = ".venv/bin/python -m dvc"
    first.types("git checkout --quiet HEAD~1")
    assert "data/processed/train.parquet" in first.types(f"{dvc} checkout", code=255)
    assert first.md5(RAW) == REAL
    assert "input data/raw/california_housing.csv is altered" in first.runs("--explain")
    first.types(f"git checkout --quiet - && {dvc} checkout")
    assert {one: first.md5(one) for one in first.recorded()} == first.recorded()
    assert re.search(r"prep +skip +nothing has changed", first.runs("--explain"))
