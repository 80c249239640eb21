"""What a run or a version was made by and from, and whether that is still available here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from housing import paths
from housing.data import data_versions
from housing.registry import artifacts
from housing.tracking.tags import file_sha256

if TYPE_CHECKING:
    from housing.registry.versions import ModelVersion

NotebookHasher = Callable[[Path], str]  # notebook -> the sha256 of its code cells


class LineageEntry(NamedTuple):
    """One link of the chain behind a prediction."""

    label: str
    text: str
    missing: bool = False  # it was not recorded, or is not available here


def origin_entries(
    stage: str, tags: Mapping[str, str], hash_notebook: NotebookHasher | None
) -> Iterator[LineageEntry]:
    """Yield the report, the notebook's code, the commit and the lock behind a run or a version."""
    report = tags.get("report", "")
    if not report:
        yield LineageEntry(f"{stage} report", "none: the notebook was run by hand", True)
    else:
        is_missing = not (paths.home() / report).exists()
        suffix = ": not here" if is_missing else ""
        yield LineageEntry(f"{stage} report", report + suffix, is_missing)
    code_sha256 = tags.get("notebook_code_sha256", "")
    yield _notebook_entry(tags.get("notebook", ""), code_sha256, hash_notebook)
    yield _commit_entry(tags.get("mlflow.source.git.commit", ""))
    if tags.get("lock_sha256"):
        yield LineageEntry("lock", f"requirements.txt, sha256 {tags['lock_sha256'][:12]}…")


def _notebook_entry(
    notebook: str, code_sha256: str, hash_notebook: NotebookHasher | None
) -> LineageEntry:
    if not code_sha256:
        return LineageEntry("notebook", "the hash of its code was not recorded", True)
    file = paths.PROJECT_ROOT / "notebooks" / notebook
    if hash_notebook is None or not file.is_file():
        status = "not here to compare"
    elif hash_notebook(file) == code_sha256:
        status = "as it is here now"
    else:
        status = "it was changed here since"
    return LineageEntry("notebook", f"{notebook}, code sha256 {code_sha256[:12]}… ({status})")


def _commit_entry(commit: str) -> LineageEntry:
    if not commit:
        return LineageEntry("commit", "none: there was no git", True)
    sha = commit.removesuffix("-dirty")
    if commit.endswith("-dirty"):
        text = f"{sha}, and files differed from it: their content was not recorded"
        return LineageEntry("commit", text, True)
    if not shutil.which("git"):
        return LineageEntry("commit", f"{sha}: there is no git here to look for it", True)
    is_here = data_versions.run_git(paths.PROJECT_ROOT, "cat-file", "-t", sha) == "commit"
    return LineageEntry("commit", sha if is_here else f"{sha}: not in this checkout", not is_here)


def files_entry(version: ModelVersion) -> LineageEntry:
    """Download the version's files and say whether they are those that were registered."""
    if "sha256" not in version.tags:
        return LineageEntry("files", "no hash of them was recorded", True)
    with TemporaryDirectory() as folder:
        try:
            artifacts.download(version, Path(folder))
        except (ValueError, OSError) as error:
            return LineageEntry("files", str(error), True)
    text = f"model and served graph in {version.tags.get('served')}, as registered"
    return LineageEntry("files", text)


def data_entries(tags: Mapping[str, str]) -> Iterator[LineageEntry]:
    """Yield the raw data, the training part that was split from it, and the labelled rows in it."""
    yield _raw_data_entry(tags)
    train_sha256 = tags.get("train_sha256", "")
    if not train_sha256:
        yield LineageEntry("training part", "its hash was not recorded", True)
        return
    is_here = file_sha256(paths.processed_data() / "train.parquet") == train_sha256
    status = "here" if is_here else "not here; 01_prep makes it again"
    yield LineageEntry("training part", f"sha256 {train_sha256[:12]}…: {status}", not is_here)
    labelled_sha256 = tags.get("labelled_sha256", "")
    if labelled_sha256:
        is_here = file_sha256(paths.processed_data() / "origins.parquet") == labelled_sha256
        status = "their predictions are listed here" if is_here else "their list is not here"
        text = f"{tags['labelled_description']}; sha256 {labelled_sha256[:12]}…: {status}"
        yield LineageEntry("labelled rows", text, not is_here)


def _raw_data_entry(tags: Mapping[str, str]) -> LineageEntry:
    digest, source = tags.get("raw_sha256", ""), tags.get("data_source", "")
    if not (source and digest):
        return LineageEntry("data", "which data it was trained on was not recorded", True)
    if source == "sample":
        text = f"A GENERATED SAMPLE, sha256 {digest[:12]}…: its generator is in the code"
        return LineageEntry("data", text)
    if source == "file":
        text = f"a file with sha256 {digest}: given by its path, and not kept"
        return LineageEntry("data", text, True)
    file = paths.raw_data()
    is_here = file_sha256(file) == digest
    version = f", {tags['data_version']}" if tags.get("data_version") else ""
    status = "the same" if is_here else f"another; {_restore_instructions(tags)}"
    text = f"{source}, sha256 {digest[:12]}…{version}: data/raw/{file.name} here is {status}"
    return LineageEntry("data", text, not is_here)


def _restore_instructions(tags: Mapping[str, str]) -> str:
    """Say how to restore the raw data."""
    md5 = tags.get("raw_md5", "")
    commit = data_versions.find_commit(md5) if md5 else ""
    if commit:
        return f"`git checkout {commit[:12]} && dvc checkout` restores it"
    if md5:
        return f"no commit here has a pointer with its md5, {md5}"
    return "`dvc checkout` at the commit above restores it"
