"""Find the data files that differ between two runs, from DVC's pointers at each run's commit.

The same as `dvc diff`, but from git alone: it takes a fiftieth of the time, shows sizes, and needs
no DVC.
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
    """A data file or folder that was added, modified or deleted."""

    path: str  # from the top of the checkout
    change_type: str  # added, modified, deleted
    old_version: str  # "md5 fa9fe4cf24f7, 1,915,795 bytes", or empty
    new_version: str


class DataChanges(NamedTuple):
    """The differences between the data of two runs."""

    changes: Sequence[DataFileChange] = ()
    notes: Sequence[str] = ()  # sentences
    dvc_command: str = ""  # prints the same


def compare_data_files(runs_dir: Path, old_run: RunRecord, new_run: RunRecord) -> DataChanges:
    """Return the differences; empty without git, or if DVC tracks no data.

    runs_dir: the folder of the executed notebooks, whose metadata name their checkout.
    """
    commits = [run.commit.removesuffix("-dirty") for run in (old_run, new_run)]
    repo_dir = _find_repo_dir(runs_dir, old_run, new_run) if all(commits) else None
    if not repo_dir or not run_git(repo_dir, "ls-files", *DVC_PATHSPECS):
        return DataChanges()
    for commit in commits:
        if not run_git(repo_dir, "cat-file", "-t", commit):
            note = (
                f"The commit {commit[:12]} is not in this checkout, so its DVC pointers cannot "
                "be read."
            )
            return DataChanges(notes=[note])
    command = ("diff", "--name-only", *commits, *DVC_PATHSPECS)
    pointer_paths = run_git(repo_dir, *command).splitlines()
    old_versions, new_versions = (
        _versions_at_commit(repo_dir, commit, pointer_paths) for commit in commits
    )
    changes = [
        DataFileChange(
            path,
            _change_type(path, old_versions, new_versions),
            old_versions.get(path, ""),
            new_versions.get(path, ""),
        )
        for path in sorted({*old_versions, *new_versions})
        if old_versions.get(path) != new_versions.get(path)
    ]
    dvc_command = f"dvc diff {commits[0][:12]} {commits[1][:12]}" if changes else ""
    return DataChanges(changes, _uncommitted_notes(old_run, new_run, changes), dvc_command)


def _find_repo_dir(runs_dir: Path, old_run: RunRecord, new_run: RunRecord) -> Path | None:
    return _notebook_source_dir(runs_dir, new_run) or _notebook_source_dir(runs_dir, old_run)


def _notebook_source_dir(runs_dir: Path, run: RunRecord) -> Path | None:
    """Return the folder of the notebooks that the run executed; None if it no longer exists."""
    for step in run.steps:
        notebook_path = runs_dir / (step.reused or run.id) / f"{Path(step.report).stem}.ipynb"
        if notebook_path.exists():
            metadata = json.loads(notebook_path.read_text())["metadata"].get("papermill", {})
            source_dir = Path(metadata.get("input_path") or "/nowhere").parent
            return source_dir if source_dir.is_dir() else None
    return None


def _versions_at_commit(repo_dir: Path, commit: str, pointer_paths: list[str]) -> dict[str, str]:
    """Return path -> version of the data files that the pointers name at a commit."""
    return {
        path: version
        for pointer_path in pointer_paths
        for path, version in _outputs_at_commit(repo_dir, commit, pointer_path)
    }


def _outputs_at_commit(repo_dir: Path, commit: str, pointer_path: str) -> Iterator[tuple[str, str]]:
    """Yield (path, version) of each file or folder that a pointer names at a commit."""
    pointer = _parse_yaml(run_git(repo_dir, "show", f"{commit}:{pointer_path}"))
    working_dir = PurePosixPath(pointer_path).parent / pointer.get("wdir", "")
    for stage in [pointer, *(pointer.get("stages") or {}).values()]:
        for output in stage.get("outs") or []:
            digest = output.get("md5") or output.get("etag") or output.get("checksum") or ""
            size = f", {output['size']:,} bytes" if "size" in output else ""
            yield str(working_dir / output["path"]), f"md5 {digest[:12]}{size}"


def _parse_yaml(text: str) -> dict[str, Any]:
    """Return the YAML mapping; empty if it is none, as after a conflict was committed."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return content if isinstance(content, dict) else {}


def _change_type(path: str, old_versions: dict[str, str], new_versions: dict[str, str]) -> str:
    if path not in old_versions:
        return "added"
    return "modified" if path in new_versions else "deleted"


def _uncommitted_notes(
    old_run: RunRecord, new_run: RunRecord, changes: list[DataFileChange]
) -> list[str]:
    """Return a note for each run of a modified checkout, if the data of the runs differ."""
    if not changes and old_run.data == new_run.data:
        return []
    return [
        f"There were uncommitted changes when run {run.id} was made, so its data may differ from "
        "what the DVC pointers of its commit say."
        for run in (old_run, new_run)
        if run.commit.endswith("-dirty")
    ]
