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
    from housing.registry.versions import Version

CodeOf = Callable[[Path], str]  # notebook -> the sha256 of its code cells


class Link(NamedTuple):
    """One thing in the chain behind an answer."""

    what: str
    text: str
    missing: bool = False  # it is named, and not here; or nothing names it


def made_by(what: str, tags: Mapping[str, str], code_of: CodeOf | None) -> Iterator[Link]:
    """The report, the notebook's code, the commit and the lock behind a run or a version."""
    report = tags.get("report", "")
    if not report:
        yield Link(f"{what} report", "none: the notebook was run by hand", True)
    else:
        gone = not (paths.home() / report).exists()
        yield Link(f"{what} report", report + (": not here" if gone else ""), gone)
    code = tags.get("notebook_code_sha256", "")
    yield Link("notebook", *_code(tags.get("notebook", ""), code, code_of))
    yield Link("commit", *_commit(tags.get("mlflow.source.git.commit", "")))
    if tags.get("lock_sha256"):
        yield Link("lock", f"requirements.txt, sha256 {tags['lock_sha256'][:12]}…")


def _code(notebook: str, digest: str, code_of: CodeOf | None) -> tuple[str, bool]:
    if not digest:
        return "the hash of its code was not recorded", True
    file = paths.CHECKOUT / "notebooks" / notebook
    if code_of is None or not file.exists():
        now = "not here to compare"
    else:
        now = "as it is here now" if code_of(file) == digest else "it was changed here since"
    return f"{notebook}, code sha256 {digest[:12]}… ({now})", False


def _commit(commit: str) -> tuple[str, bool]:
    if not commit:
        return "none: there was no git", True
    number, dirty = commit.removesuffix("-dirty"), commit.endswith("-dirty")
    if dirty:
        return f"{number}, and files differed from it: what they were is not known", True
    command = ["git", "cat-file", "-e", f"{number}^{{commit}}"]
    try:
        known = subprocess.run(command, cwd=paths.CHECKOUT, capture_output=True).returncode == 0
    except FileNotFoundError:
        return f"{number}: there is no git here to look for it", True
    return (number, False) if known else (f"{number}: not in this checkout", True)


def files_of(found: Version) -> Link:
    if "sha256" not in found.tags:
        return Link("files", "no hash of them was recorded", True)
    with TemporaryDirectory() as folder:
        try:
            artifacts.download(found, Path(folder))
        except (ValueError, OSError) as wrong:
            return Link("files", str(wrong), True)
    return Link("files", f"model and served graph in {found.tags.get('served')}, as registered")


def data(tags: Mapping[str, str]) -> Iterator[Link]:
    """The raw data, and the training part that was made of it."""
    digest, source, here = tags.get("raw_sha256", ""), tags.get("data_source", ""), paths.raw_data()
    if source == "sample":
        yield Link("data", f"A GENERATED SAMPLE, sha256 {digest[:12]}…: its recipe is in the code")
    elif source == "file":
        yield Link("data", f"a file with sha256 {digest}: given by its path, and not kept", True)
    else:
        same = _sha256(here) == digest
        told = f", {tags['data_version']}" if tags.get("data_version") else ""
        text = f"{source}, sha256 {digest[:12]}…{told}: data/raw/{here.name} here is "
        yield Link("data", text + ("that" if same else f"another; {_way(tags)}"), not same)
    train = tags.get("train_sha256", "")
    same = _sha256(paths.processed_data() / "train.parquet") == train
    text = f"sha256 {train[:12]}…: " + ("here" if same else "not here; 01_prep makes it again")
    yield Link("training part", text, not same)


def _way(tags: Mapping[str, str]) -> str:
    """How the raw data comes back."""
    found = tags.get("raw_md5", "")
    number = dvc.commit(found) if found else ""
    if number:
        return f"`git checkout {number[:12]} && dvc checkout` brings it"
    if found:
        return f"no commit here has a pointer with its md5, {found}"
    return "`dvc checkout` at the commit above brings it"


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""
