"""What a run or a version was made by and from, and whether that is still here."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from housing import paths
from housing.data import dvc
from housing.registry import artifacts

if TYPE_CHECKING:
    from housing.registry.versions import ModelVersion

NotebookHasher = Callable[[Path], str]  # notebook -> the sha256 of its code cells


class LineageEntry(NamedTuple):
    """One thing in the chain behind an answer."""

    label: str
    text: str
    missing: bool = False  # it is named, and not here; or nothing names it


def origin_entries(
    stage: str, tags: Mapping[str, str], hash_notebook: NotebookHasher | None
) -> Iterator[LineageEntry]:
    """The report, the notebook's code, the commit and the lock behind a run or a version."""
    report = tags.get("report", "")
    if not report:
        yield LineageEntry(f"{stage} report", "none: the notebook was run by hand", True)
    else:
        gone = not (paths.home() / report).exists()
        yield LineageEntry(f"{stage} report", report + (": not here" if gone else ""), gone)
    code = tags.get("notebook_code_sha256", "")
    yield LineageEntry("notebook", *_notebook_status(tags.get("notebook", ""), code, hash_notebook))
    yield LineageEntry("commit", *_commit_status(tags.get("mlflow.source.git.commit", "")))
    if tags.get("lock_sha256"):
        yield LineageEntry("lock", f"requirements.txt, sha256 {tags['lock_sha256'][:12]}…")


def _notebook_status(
    notebook: str, code_sha256: str, hash_notebook: NotebookHasher | None
) -> tuple[str, bool]:
    if not code_sha256:
        return "the hash of its code was not recorded", True
    file = paths.PROJECT_ROOT / "notebooks" / notebook
    if hash_notebook is None or not file.exists():
        now = "not here to compare"
    else:
        now = (
            "as it is here now"
            if hash_notebook(file) == code_sha256
            else "it was changed here since"
        )
    return f"{notebook}, code sha256 {code_sha256[:12]}… ({now})", False


def _commit_status(commit: str) -> tuple[str, bool]:
    if not commit:
        return "none: there was no git", True
    number, dirty = commit.removesuffix("-dirty"), commit.endswith("-dirty")
    if dirty:
        return f"{number}, and files differed from it: what they were is not known", True
    command = ["git", "cat-file", "-e", f"{number}^{{commit}}"]
    try:
        known = subprocess.run(command, cwd=paths.PROJECT_ROOT, capture_output=True).returncode == 0
    except FileNotFoundError:
        return f"{number}: there is no git here to look for it", True
    return (number, False) if known else (f"{number}: not in this checkout", True)


def files_entry(version: ModelVersion) -> LineageEntry:
    if "sha256" not in version.tags:
        return LineageEntry("files", "no hash of them was recorded", True)
    with TemporaryDirectory() as folder:
        try:
            artifacts.download(version, Path(folder))
        except (ValueError, OSError) as wrong:
            return LineageEntry("files", str(wrong), True)
    return LineageEntry(
        "files", f"model and served graph in {version.tags.get('served')}, as registered"
    )


def data_entries(tags: Mapping[str, str]) -> Iterator[LineageEntry]:
    """The raw data, and the training part that was made of it."""
    digest, source, here = tags.get("raw_sha256", ""), tags.get("data_source", ""), paths.raw_data()
    if source == "sample":
        yield LineageEntry(
            "data", f"A GENERATED SAMPLE, sha256 {digest[:12]}…: its recipe is in the code"
        )
    elif source == "file":
        yield LineageEntry(
            "data", f"a file with sha256 {digest}: given by its path, and not kept", True
        )
    else:
        same = _file_sha256(here) == digest
        told = f", {tags['data_version']}" if tags.get("data_version") else ""
        text = f"{source}, sha256 {digest[:12]}…{told}: data/raw/{here.name} here is "
        yield LineageEntry(
            "data", text + ("that" if same else f"another; {_restore_instructions(tags)}"), not same
        )
    train = tags.get("train_sha256", "")
    same = _file_sha256(paths.processed_data() / "train.parquet") == train
    text = f"sha256 {train[:12]}…: " + ("here" if same else "not here; 01_prep makes it again")
    yield LineageEntry("training part", text, not same)


def _restore_instructions(tags: Mapping[str, str]) -> str:
    """How the raw data comes back."""
    found = tags.get("raw_md5", "")
    number = dvc.data_commit(found) if found else ""
    if number:
        return f"`git checkout {number[:12]} && dvc checkout` brings it"
    if found:
        return f"no commit here has a pointer with its md5, {found}"
    return "`dvc checkout` at the commit above brings it"


def _file_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
