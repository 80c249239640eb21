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
    path: Path,
    ignore: Iterable[str],
    get_expected_paths: Callable[[], set[str]],
    recorded: FolderSignature | None = None,
) -> FolderSignature | None:
    """Return the present content of a folder; None if there is no such folder.

    ignore: patterns of names that do not count. get_expected_paths: returns the files written by
    steps, which are no news. recorded: an earlier signature, returned if the folder's mtime is as
    it was then; its names count in any case. Reading the folder only if its mtime differs,
    and calling `get_expected_paths` only if a name is new, keep a run with nothing to do fast.
    """
    try:
        mtime_ns = path.stat().st_mtime_ns
        if recorded and mtime_ns == recorded.mtime_ns:
            return recorded
        names = _entry_names(path, ignore)
    except OSError:
        return None
    is_recent = time.time_ns() - mtime_ns < MTIME_RESOLUTION_NS
    new_names = names - recorded.names if recorded else names
    if new_names:
        expected_paths = get_expected_paths()
        names -= {name for name in new_names if f"{path}{os.sep}{name}" in expected_paths}
    return FolderSignature(0 if is_recent else mtime_ns, frozenset(names))


def describe_folder_change(
    recorded: FolderSignature | None, current: FolderSignature | None
) -> str:
    """Return what was added or removed, as the end of a sentence; empty if nothing was."""
    if current is None:
        return "is missing" if recorded else ""
    old_names = recorded.names if recorded else frozenset()
    added, removed = sorted(current.names - old_names), sorted(old_names - current.names)
    changes = []
    if added:
        verb = "is" if len(added) == 1 else "are"
        changes.append(f"has {join_limited(added, limit=1)}, which {verb} new")
    if removed:
        changes.append(f"no longer has {join_limited(removed, limit=1)}")
    return " and ".join(changes)


def _entry_names(path: Path, ignore: Iterable[str]) -> set[str]:
    names = {
        name.replace("\n", "?")
        for name in os.listdir(path)  # noqa: PTH208 - a Path for each costs more than the listing
        if not name.startswith(".") and not name.endswith(IGNORED_NAME_ENDINGS)
    }
    return {name for name in names if not any(map(Path(name).match, ignore))}
