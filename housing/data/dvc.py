"""The version of the data: what DVC's pointers say, and which commit brought them.

The raw file has a pointer of its own, the split stands in dvc.lock; both are in git.
"""

import hashlib
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from housing import paths


def md5(content: bytes) -> str:
    """As DVC's pointers have it."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def pointer_file() -> Path:
    """The DVC pointer of the raw file: the home's, else the checkout's."""
    return _dvc_file(f"data/raw/{paths.raw_data().name}.dvc")


def recorded_md5() -> str:
    """The md5 that the pointer of the raw file names."""
    return re.search(r"md5: ([0-9a-f]{32})", pointer_file().read_text())[1]


def data_notice(manifest: Mapping[str, Any]) -> str:
    """What no reader may miss: a sample, or raw data that is not its pointer's; else empty."""
    is_loud = manifest["source"] == "sample" or manifest.get("modified")
    return manifest["said"] if is_loud else ""


def data_version(manifest: Mapping[str, Any]) -> str:
    """The version of the raw data behind a split, in a line; empty if DVC does not hold it."""
    found = manifest.get("md5", "")
    if not found:
        return ""
    if manifest["modified"]:
        return f"modified: md5 {found[:12]} is not what DVC had recorded"
    number = data_commit(found)
    where = f" at commit {number[:12]}" if number else ", not committed" if _has_history() else ""
    return f"DVC: md5 {found[:12]}{where}"


def data_commit(data_md5: str) -> str:
    """The commit that brought the raw data of that md5: of this branch, else of any; or empty."""
    if not _has_history():
        return ""
    for where in ("HEAD", "--all"):
        numbers = _run_git(
            "log", "--format=%H", f"-S{data_md5}", where, "--", pointer_file().name
        ).split()
        if numbers:
            return numbers[-1]  # the newest ones may have taken it away
    return ""


def has_git() -> bool:
    """Whether the pointer lies in a git checkout."""
    return bool(_run_git("rev-parse", "--git-dir"))


def _has_history() -> bool:
    """A shallow clone has none: all seems to have come with its oldest commit."""
    return _run_git("rev-parse", "--is-shallow-repository") == "false"


def split_status(manifest: Mapping[str, Any]) -> str:
    """How the split in data/ stands to the one that dvc.lock records, in a sentence."""
    lock, folder = _dvc_file("dvc.lock"), paths.processed_data()
    if not manifest.get("md5"):
        return "A split of such data is not recorded by DVC."
    if os.environ.get("DVC_STAGE"):
        return "This run is part of `dvc repro`, which records it in `dvc.lock`."
    if not lock.exists():
        return "No split is recorded yet: `dvc repro` does."
    recorded = set(re.findall(r"md5: ([0-9a-f]{32})", lock.read_text()))
    files = [folder / one for one in ("train.parquet", "test.parquet", "manifest.json")]
    if recorded.issuperset(md5(one.read_bytes()) for one in files):
        return "It is the version that `dvc.lock` records."
    return (
        "It is not the version that `dvc.lock` records, as other data, another seed, share or "
        "library make another split; `make data-push` records what the defaults give."
    )


def _dvc_file(relative_path: str) -> Path:
    """A file of DVC's: the home's, else the checkout's."""
    beside = paths.home() / relative_path
    return beside if beside.exists() else paths.PROJECT_ROOT / relative_path


def _run_git(*arguments: str) -> str:
    """What git says of the pointer's checkout; empty if there is no git, or none here."""
    command = ["git", "-C", str(pointer_file().parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
