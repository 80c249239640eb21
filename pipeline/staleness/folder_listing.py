"""Compare the content of the folders a step listed with what it was then."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.runs.formatting import join_limited
from pipeline.staleness.access_kinds import BYPRODUCT_SUFFIXES
from pipeline.staleness.file_signature import is_recent_change

# of caches, editors, databases and the runner; names that begin with a dot are ignored too
IGNORED_NAME_ENDINGS = (
    *BYPRODUCT_SUFFIXES,
    ".ipynb",
    "~",
    "-journal",
    "-wal",
    "-shm",
    "__pycache__",
)
FORMERLY_IGNORED_SUFFIXES = (".py", ".so")  # in signatures without ctime, of an earlier version


class FolderSignature(NamedTuple):
    """A folder's content at some moment."""

    mtime_ns: int  # 0 if it does not tell whether the folder has changed since
    names: frozenset[str]
    ctime_ns: int = 0  # of the last change, which no program can set; 0 if not recorded

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "FolderSignature":
        """Return the signature that JSON describes; unknown entries are dropped."""
        names = frozenset(content["names"].splitlines())
        return cls(content["mtime_ns"], names, content.get("ctime_ns", 0))

    def to_dict(self) -> dict[str, Any]:
        """Return the signature as `from_dict` takes it, with one name per line."""
        names = "\n".join(sorted(self.names))
        return {"mtime_ns": self.mtime_ns, "names": names, "ctime_ns": self.ctime_ns}


def folder_signature(
    path: Path,
    ignore: Iterable[str],
    get_expected_paths: Callable[[], set[str]],
    recorded: FolderSignature | None = None,
) -> FolderSignature | None:
    """Return the present content of a folder; None if there is no such folder.

    ignore: patterns of names that do not count. get_expected_paths: returns the files written by
    steps, which are no news. recorded: an earlier signature, returned if the folder's times are as
    they were then; its names count in any case. Reading the folder only if its times differ, and
    calling `get_expected_paths` only if a name is new, keep a run with nothing to do fast.
    """
    try:
        stat = path.stat()
        if recorded and _is_unchanged(recorded, stat):
            return recorded
        names = _entry_names(path, ignore)
    except OSError:
        return None
    mtime_ns = 0 if is_recent_change(stat.st_ctime_ns) else stat.st_mtime_ns
    if recorded and not recorded.ctime_ns:
        names = {name for name in names if not name.endswith(FORMERLY_IGNORED_SUFFIXES)}
    new_names = names - recorded.names if recorded else names
    if new_names:
        expected_paths = get_expected_paths()
        names -= {name for name in new_names if f"{path}{os.sep}{name}" in expected_paths}
    return FolderSignature(mtime_ns, frozenset(names), stat.st_ctime_ns)


def _is_unchanged(recorded: FolderSignature, stat: os.stat_result) -> bool:
    return stat.st_mtime_ns == recorded.mtime_ns and recorded.ctime_ns in (0, stat.st_ctime_ns)


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
