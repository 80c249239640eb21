"""Which data files differ between two runs: what DVC's pointers say at the commit of each.

What `dvc diff` tells, from git alone: in a fiftieth of the time, with sizes, and without DVC.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml

from pipeline.runs.git import git
from pipeline.runs.records import RunRecord

POINTERS = ("--", ":(top)*.dvc", ":(top)dvc.lock", ":(top)*/dvc.lock")


class Change(NamedTuple):
    """A data file or folder that is not what it was."""

    path: str  # from the top of the checkout
    kind: str  # added, modified, deleted
    before: str  # "md5 fa9fe4cf24f7, 1,915,795 bytes", or empty
    after: str


class Data(NamedTuple):
    """What there is to say."""

    changes: Sequence[Change] = ()
    notes: Sequence[str] = ()  # sentences
    command: str = ""  # which tells the same


def between(runs: Path, old: RunRecord, new: RunRecord) -> Data:
    """What differs; nothing where there is no git, or nothing that DVC holds.

    runs: the folder of the executed notebooks, which tell where their checkout is.
    """
    commits = [run.commit.removesuffix("-dirty") for run in (old, new)]
    folder = (_checkout(runs, new) or _checkout(runs, old)) if all(commits) else None
    if not folder or not git(folder, "ls-files", *POINTERS):
        return Data()
    lost = [one for one in commits if not git(folder, "cat-file", "-t", one)]
    if lost:
        return Data(notes=[f"The commit {lost[0][:12]} is not in this checkout, so what DVC's "
                           "pointers said there is not known."])  # fmt: skip
    names = git(folder, "diff", "--name-only", *commits, *POINTERS).splitlines()
    before, after = (
        {path: told for one in names for path, told in _outs(folder, commit, one)}
        for commit in commits
    )
    paths = sorted(one for one in {*before, *after} if before.get(one) != after.get(one))
    changes = [
        Change(one, _kind(one, before, after), before.get(one, ""), after.get(one, ""))
        for one in paths
    ]
    notes = [
        f"Files differed from its commit when run {run.id} was made; so its data may have been "
        "another than the pointers of that commit say."
        for run in (old, new)
        if run.commit.endswith("-dirty") and (changes or old.data != new.data)
    ]
    command = f"dvc diff {commits[0][:12]} {commits[1][:12]}" if changes else ""
    return Data(changes, notes, command)


def _checkout(runs: Path, run: RunRecord) -> Path | None:
    """The folder of the notebooks that the run has executed, if it is still there."""
    for step in run.steps:
        executed = runs / (step.reused or run.id) / f"{Path(step.report).stem}.ipynb"
        if executed.exists():
            told = json.loads(executed.read_text())["metadata"].get("papermill", {})
            folder = Path(told.get("input_path") or "/nowhere").parent
            return folder if folder.is_dir() else None
    return None


def _outs(folder: Path, commit: str, pointer: str) -> Iterator[tuple[str, str]]:
    """(path, what is said of it) of each file or folder that a pointer names at a commit."""
    content = _load(git(folder, "show", f"{commit}:{pointer}"))
    place = PurePosixPath(pointer).parent / content.get("wdir", "")
    for one in [content, *(content.get("stages") or {}).values()]:
        for out in one.get("outs") or []:
            digest = out.get("md5") or out.get("etag") or out.get("checksum") or ""
            size = f", {out['size']:,} bytes" if "size" in out else ""
            yield str(place / out["path"]), f"md5 {digest[:12]}{size}"


def _load(text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:  # a merge that was committed half done
        return {}
    return found if isinstance(found, dict) else {}


def _kind(path: str, before: dict[str, str], after: dict[str, str]) -> str:
    if path not in before:
        return "added"
    return "modified" if path in after else "deleted"
