"""Which data files differ between two runs: what DVC's pointers say at the commit of each.

What `dvc diff` tells, from git alone: in a fiftieth of the time, with sizes, and without DVC.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml

from pipeline.runs.git import run_git
from pipeline.runs.records import RunRecord

DVC_PATHSPECS = ("--", ":(top)*.dvc", ":(top)dvc.lock", ":(top)*/dvc.lock")


class DataFileChange(NamedTuple):
    """A data file or folder that is not what it was."""

    path: str  # from the top of the checkout
    change_type: str  # added, modified, deleted
    old_version: str  # "md5 fa9fe4cf24f7, 1,915,795 bytes", or empty
    new_version: str


class DataChanges(NamedTuple):
    """What there is to say."""

    changes: Sequence[DataFileChange] = ()
    notes: Sequence[str] = ()  # sentences
    dvc_command: str = ""  # which tells the same


def compare_data_files(runs_dir: Path, old_run: RunRecord, new_run: RunRecord) -> DataChanges:
    """What differs; nothing where there is no git, or nothing that DVC holds.

    runs: the folder of the executed notebooks, which tell where their checkout is.
    """
    commits = [run.commit.removesuffix("-dirty") for run in (old_run, new_run)]
    folder = (
        (_notebook_source_dir(runs_dir, new_run) or _notebook_source_dir(runs_dir, old_run))
        if all(commits)
        else None
    )
    if not folder or not run_git(folder, "ls-files", *DVC_PATHSPECS):
        return DataChanges()
    lost = [one for one in commits if not run_git(folder, "cat-file", "-t", one)]
    if lost:
        return DataChanges(notes=[f"The commit {lost[0][:12]} is not in this checkout, so what DVC's "
                           "pointers said there is not known."])  # fmt: skip
    names = run_git(folder, "diff", "--name-only", *commits, *DVC_PATHSPECS).splitlines()
    before, after = (
        {path: told for one in names for path, told in _outputs_at_commit(folder, commit, one)}
        for commit in commits
    )
    paths = sorted(one for one in {*before, *after} if before.get(one) != after.get(one))
    changes = [
        DataFileChange(
            one, _change_type(one, before, after), before.get(one, ""), after.get(one, "")
        )
        for one in paths
    ]
    notes = [
        f"Files differed from its commit when run {run.id} was made; so its data may have been "
        "another than the pointers of that commit say."
        for run in (old_run, new_run)
        if run.commit.endswith("-dirty") and (changes or old_run.data != new_run.data)
    ]
    command = f"dvc diff {commits[0][:12]} {commits[1][:12]}" if changes else ""
    return DataChanges(changes, notes, command)


def _notebook_source_dir(runs_dir: Path, run: RunRecord) -> Path | None:
    """The folder of the notebooks that the run has executed, if it is still there."""
    for step in run.steps:
        executed = runs_dir / (step.reused or run.id) / f"{Path(step.report).stem}.ipynb"
        if executed.exists():
            told = json.loads(executed.read_text())["metadata"].get("papermill", {})
            folder = Path(told.get("input_path") or "/nowhere").parent
            return folder if folder.is_dir() else None
    return None


def _outputs_at_commit(repo_dir: Path, commit: str, pointer_path: str) -> Iterator[tuple[str, str]]:
    """(path, what is said of it) of each file or folder that a pointer names at a commit."""
    content = _parse_yaml(run_git(repo_dir, "show", f"{commit}:{pointer_path}"))
    place = PurePosixPath(pointer_path).parent / content.get("wdir", "")
    for one in [content, *(content.get("stages") or {}).values()]:
        for out in one.get("outs") or []:
            digest = out.get("md5") or out.get("etag") or out.get("checksum") or ""
            size = f", {out['size']:,} bytes" if "size" in out else ""
            yield str(place / out["path"]), f"md5 {digest[:12]}{size}"


def _parse_yaml(text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:  # a merge that was committed half done
        return {}
    return found if isinstance(found, dict) else {}


def _change_type(path: str, old_versions: dict[str, str], new_versions: dict[str, str]) -> str:
    if path not in old_versions:
        return "added"
    return "modified" if path in new_versions else "deleted"
