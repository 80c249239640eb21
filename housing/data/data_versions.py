"""The version of the data, in words: what DVC's pointers record, and which commit brought them.

The raw file has a pointer of its own, the split is in dvc.lock; both are in git.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from housing import paths
from housing.data import labelled_part
from housing.text import omission_text

MD5_ENTRY_PATTERN = re.compile(r"md5: ([0-9a-f]{32})")  # in a pointer and in dvc.lock
SPLIT_FILES = ("train.parquet", "test.parquet", "manifest.json")
GIT_TIMEOUT_SECONDS = 10
MAX_LISTED_REASONS = 5  # in one line
SOURCE_LABELS = {"california": "California housing", "sample": "Generated sample", "file": "A file"}


def md5(content: bytes) -> str:
    """Return the md5 of some bytes in hexadecimal digits, as DVC's pointers have it."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def pointer_file() -> Path:
    """Return the path of the raw file's DVC pointer: in the home folder, else in the checkout."""
    return _dvc_file(f"data/raw/{paths.raw_data().name}.dvc")


def recorded_md5() -> str:
    """Return the md5 that the pointer of the raw file records.

    Raises ValueError if the pointer has none.
    """
    match = MD5_ENTRY_PATTERN.search(pointer_file().read_text())
    if match is None:
        raise ValueError(f"{pointer_file()} has no md5; `dvc add` writes a pointer that has")
    return match[1]


def describe_data(manifest: Mapping[str, Any]) -> str:
    """Describe a split's data in one line: its kind, rows and hash, and DVC's version of it.

    Rows that were left out are named with their reasons, and labelled rows that were added.
    """
    label, raw_rows = SOURCE_LABELS[manifest["source"]], manifest["rows"]["raw"]
    dropped_rows = manifest.get("dropped", {})
    rows = raw_rows - sum(dropped_rows.values())
    description = f"{label}, {rows:,} block groups, sha256 {manifest['sha256']['raw'][:12]}"
    dropped_text = describe_dropped_rows(dropped_rows, raw_rows) if dropped_rows else ""
    record = labelled_part.read_record(manifest)
    labelled_text = record.describe() if record else ""
    return "; ".join(
        filter(None, [description, dropped_text, labelled_text, describe_version(manifest)])
    )


def describe_dropped_rows(dropped_rows: Mapping[str, int], raw_rows: int) -> str:
    """Describe how many rows of the raw data were left out, and why.

    dropped_rows: reason -> rows, as the manifest has them.
    """
    reasons = [f"{reason}: {count:,}" for reason, count in dropped_rows.items()]
    omission = omission_text(len(reasons), MAX_LISTED_REASONS, "")
    listed = "; ".join([*reasons[:MAX_LISTED_REASONS], omission]).removesuffix("; ").strip()
    return f"{sum(dropped_rows.values()):,} of {raw_rows:,} rows were left out ({listed})"


def data_notice(manifest: Mapping[str, Any]) -> str:
    """Return the notice of a sample or of raw data that differs from its pointer; else empty."""
    needs_notice = manifest["source"] == "sample" or manifest.get("modified")
    return manifest["said"] if needs_notice else ""


def describe_version(manifest: Mapping[str, Any]) -> str:
    """Describe the version of a split's raw data in one line; empty if DVC does not hold it."""
    raw_md5 = manifest.get("md5", "")
    if not raw_md5:
        return ""
    if manifest["modified"]:
        return f"modified: md5 {raw_md5[:12]} is not what DVC had recorded"
    commit = find_commit(raw_md5)
    if commit:
        return f"DVC: md5 {raw_md5[:12]} at commit {commit[:12]}"
    return f"DVC: md5 {raw_md5[:12]}" + (", not committed" if _has_history() else "")


def find_commit(data_md5: str) -> str:
    """Return the commit that brought the raw data of an md5, or an empty string.

    A commit of this branch is preferred to one of another branch.
    """
    if not _has_history():
        return ""
    for revisions in ("HEAD", "--all"):
        pointer = pointer_file()
        arguments = ("--format=%H", f"-S{data_md5}", revisions, "--", pointer.name)
        commits = run_git(pointer.parent, "log", *arguments).split()
        if commits:
            return commits[-1]  # the oldest: newer ones may have removed the md5 again
    return ""


def _has_history() -> bool:
    """Return whether the checkout has its history.

    A shallow clone has not: every file seems to have come with its oldest commit.
    """
    return run_git(pointer_file().parent, "rev-parse", "--is-shallow-repository") == "false"


def describe_split_status(manifest: Mapping[str, Any]) -> str:
    """Describe in a sentence whether the split in data/ is the one that dvc.lock records."""
    lock_file, folder = _dvc_file("dvc.lock"), paths.processed_data()
    if not manifest.get("md5"):
        return "A split of such data is not recorded by DVC."
    if labelled_part.read_record(manifest):
        return (
            "DVC records the split of the data alone: labelled rows are in the service's log, and "
            "`origins.parquet` names the prediction behind each."
        )
    if os.environ.get("DVC_STAGE"):
        return "This run is part of `dvc repro`, which records it in `dvc.lock`."
    if not lock_file.exists():
        return "No split is recorded yet: `dvc repro` records one."
    recorded = set(MD5_ENTRY_PATTERN.findall(lock_file.read_text()))
    if recorded.issuperset(md5((folder / name).read_bytes()) for name in SPLIT_FILES):
        return "It is the version that `dvc.lock` records."
    return (
        "It is not the version that `dvc.lock` records, as other data, another seed, share or "
        "library make another split; `make data-push` records what the defaults give."
    )


def _dvc_file(relative_path: str) -> Path:
    """Return the path of one of DVC's files: in the home folder, else in the checkout."""
    in_home = paths.home() / relative_path
    return in_home if in_home.exists() else paths.PROJECT_ROOT / relative_path


def run_git(folder: Path, *arguments: str) -> str:
    """Return git's output in a folder; empty without git, a repository or a timely answer."""
    import subprocess  # a run with nothing to do does not need it

    try:
        completed = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return completed.stdout.strip()
