"""Folders that a step has listed: what is in them, and what has come or gone since."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pipeline.runs.atomic_write import UNINTERESTING

# of caches, editors, databases and the runner; whatever begins with a dot is nobody's input either
ASIDE = (*UNINTERESTING, ".ipynb", "~", "-journal", "-wal", "-shm", "__pycache__")
RECENT = 100_000_000  # ns: what changes again so soon may keep its time

Facts = dict[str, Any]  # mtime_ns and names, a line each, of a folder as it was seen


def facts(path: Path, ignore: Iterable[str], made: set[str]) -> Facts | None:
    """What `changed` compares with later; None if there is no such folder.

    ignore: patterns of what does not count. made: paths of files that are no news, as a step made
    them.
    """
    try:
        mtime = path.stat().st_mtime_ns
        names = _names(path, ignore)
    except OSError:
        return None
    recent = time.time_ns() - mtime < RECENT
    kept = sorted(one for one in names if f"{path}{os.sep}{one}" not in made)
    return {"mtime_ns": 0 if recent else mtime, "names": "\n".join(kept)}


def changed(
    path: Path, known: Facts | None, ignore: Iterable[str], made: Callable[[], set[str]]
) -> str:
    """What has come or gone, as a sentence without its start; empty if nothing has.

    The folder is read only where its time differs, and `made` is asked only if a name is new.
    """
    try:
        if known and path.stat().st_mtime_ns == known["mtime_ns"]:
            return ""
        now = _names(path, ignore)
    except OSError:
        return "is missing" if known else ""
    before = set(known["names"].splitlines()) if known else set()
    come, gone = now - before, before - now
    if come:
        ours = made()
        come = {one for one in come if f"{path}{os.sep}{one}" not in ours}
    said = [f"has {_some(come)}, which is new"] if come else []
    return " and ".join([*said, *([f"has no {_some(gone)} any more"] if gone else [])])


def _names(path: Path, ignore: Iterable[str]) -> set[str]:
    found = {
        one.replace("\n", "?")
        for one in os.listdir(path)  # noqa: PTH208 - a Path for each costs more than the listing
        if not one.startswith(".") and not one.endswith(ASIDE)
    }
    return {one for one in found if not any(Path(one).match(it) for it in ignore)}


def _some(names: set[str]) -> str:
    first = min(names)
    return first if len(names) == 1 else f"{first} and {len(names) - 1} more"
