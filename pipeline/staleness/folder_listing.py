"""Folders that a step has listed: what is in them, and what has come or gone since."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pipeline.runs.atomic_write import IGNORED_SUFFIXES

# of caches, editors, databases and the runner; whatever begins with a dot is nobody's input either
IGNORED_NAME_ENDINGS = (*IGNORED_SUFFIXES, ".ipynb", "~", "-journal", "-wal", "-shm", "__pycache__")
MTIME_RESOLUTION_NS = 100_000_000  # ns: what changes again so soon may keep its time

FolderSignature = dict[str, Any]  # mtime_ns and names, a line each, of a folder as it was seen


def folder_signature(
    path: Path, ignore: Iterable[str], expected_paths: set[str]
) -> FolderSignature | None:
    """What `changed` compares with later; None if there is no such folder.

    ignore: patterns of what does not count. made: paths of files that are no news, as a step made
    them.
    """
    try:
        mtime = path.stat().st_mtime_ns
        names = _entry_names(path, ignore)
    except OSError:
        return None
    recent = time.time_ns() - mtime < MTIME_RESOLUTION_NS
    kept = sorted(one for one in names if f"{path}{os.sep}{one}" not in expected_paths)
    return {"mtime_ns": 0 if recent else mtime, "names": "\n".join(kept)}


def folder_change(
    path: Path,
    old_signature: FolderSignature | None,
    ignore: Iterable[str],
    get_expected_paths: Callable[[], set[str]],
) -> str:
    """What has come or gone, as a sentence without its start; empty if nothing has.

    The folder is read only where its time differs, and `made` is asked only if a name is new.
    """
    try:
        if old_signature and path.stat().st_mtime_ns == old_signature["mtime_ns"]:
            return ""
        now = _entry_names(path, ignore)
    except OSError:
        return "is missing" if old_signature else ""
    before = set(old_signature["names"].splitlines()) if old_signature else set()
    come, gone = now - before, before - now
    if come:
        ours = get_expected_paths()
        come = {one for one in come if f"{path}{os.sep}{one}" not in ours}
    said = [f"has {_summarize_names(come)}, which is new"] if come else []
    return " and ".join([*said, *([f"has no {_summarize_names(gone)} any more"] if gone else [])])


def _entry_names(path: Path, ignore: Iterable[str]) -> set[str]:
    found = {
        one.replace("\n", "?")
        for one in os.listdir(path)  # noqa: PTH208 - a Path for each costs more than the listing
        if not one.startswith(".") and not one.endswith(IGNORED_NAME_ENDINGS)
    }
    return {one for one in found if not any(Path(one).match(it) for it in ignore)}


def _summarize_names(names: set[str]) -> str:
    first = min(names)
    return first if len(names) == 1 else f"{first} and {len(names) - 1} more"
