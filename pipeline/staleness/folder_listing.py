"""Compare the content of the folders a step listed with what it was then."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.runs.formatting import join_limited
from pipeline.staleness.access_kinds import IGNORED_SUFFIXES

# of caches, editors, databases and the runner; names that begin with a dot are ignored too
IGNORED_NAME_ENDINGS = (*IGNORED_SUFFIXES, ".ipynb", "~", "-journal", "-wal", "-shm", "__pycache__")
MTIME_RESOLUTION_NS = 100_000_000  # a folder changed again within 100 ms may keep its mtime


class FolderSignature(NamedTuple):
    """A folder's content at some moment."""

    mtime_ns: int  # 0 if it does not tell whether the folder has changed since
    names: frozenset[str]

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "FolderSignature":
        """Return the signature that JSON describes; unknown entries are dropped."""
        return cls(content["mtime_ns"], frozenset(content["names"].splitlines()))

    def to_dict(self) -> dict[str, Any]:
        """Return the signature as `from_dict` takes it, with one name per line."""
        return {"mtime_ns": self.mtime_ns, "names": "\n".join(sorted(self.names))}


def folder_signature(
    path: Path, ignore: Iterable[str], expected_paths: set[str]
) -> FolderSignature | None:
    """Return what `folder_change` compares with later; None if there is no such folder.

    ignore: patterns of names that do not count. expected_paths: files written by steps, which are
    no news.
    """
    try:
        mtime_ns = path.stat().st_mtime_ns
        names = _entry_names(path, ignore)
    except OSError:
        return None
    is_recent = time.time_ns() - mtime_ns < MTIME_RESOLUTION_NS
    counted_names = {name for name in names if f"{path}{os.sep}{name}" not in expected_paths}
    return FolderSignature(0 if is_recent else mtime_ns, frozenset(counted_names))


def folder_change(
    path: Path,
    old_signature: FolderSignature | None,
    ignore: Iterable[str],
    get_expected_paths: Callable[[], set[str]],
) -> str:
    """Return what was added or removed, as the end of a sentence; empty if nothing changed.

    The folder is read only if its mtime differs, and `get_expected_paths` is called only if a name
    is new: both keep a run with nothing to do fast.
    """
    try:
        if old_signature and path.stat().st_mtime_ns == old_signature.mtime_ns:
            return ""
        names = _entry_names(path, ignore)
    except OSError:
        return "is missing" if old_signature else ""
    old_names = old_signature.names if old_signature else frozenset()
    added, removed = names - old_names, old_names - names
    if added:
        expected_paths = get_expected_paths()
        added = {name for name in added if f"{path}{os.sep}{name}" not in expected_paths}
    changes = []
    if added:
        verb = "is" if len(added) == 1 else "are"
        changes.append(f"has {join_limited(sorted(added), limit=1)}, which {verb} new")
    if removed:
        changes.append(f"no longer has {join_limited(sorted(removed), limit=1)}")
    return " and ".join(changes)


def _entry_names(path: Path, ignore: Iterable[str]) -> set[str]:
    names = {
        name.replace("\n", "?")
        for name in os.listdir(path)  # noqa: PTH208 - a Path for each costs more than the listing
        if not name.startswith(".") and not name.endswith(IGNORED_NAME_ENDINGS)
    }
    return {name for name in names if not any(map(Path(name).match, ignore))}
