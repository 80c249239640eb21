"""Compare files with what they were: by size, times and inode, or else by content."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.runs.digests import file_sha256

# a file that changes again within this time of a change may keep its times
TIME_RESOLUTION_NS = 100_000_000
COARSE_TIME_RESOLUTION_NS = 2_000_000_000  # of file systems that store whole seconds
NS_PER_SECOND = 1_000_000_000


class FileSignature(NamedTuple):
    """A file's content, times and inode at some moment."""

    sha256: str
    size: int  # bytes
    mtime_ns: int
    # of the last change of content or attributes, which no program can set; 0 if not recorded
    ctime_ns: int = 0
    inode: int = 0
    is_racy: bool = False  # was signed so soon after a change that its times may not tell the next

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "FileSignature":
        """Return the signature that JSON describes; unknown entries are dropped."""
        return cls(
            content["sha256"],
            content["size"],
            content["mtime_ns"],
            content.get("ctime_ns", 0),
            content.get("inode", 0),
            content.get("is_racy", False),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the signature as `from_dict` takes it."""
        content = self._asdict()
        if not self.is_racy:
            del content["is_racy"]
        return content

    @property
    def stat(self) -> str:
        """Size, times and inode, as the log of accesses has them."""
        return f"{self.size} {self.mtime_ns} {self.ctime_ns} {self.inode}"


# equals no file: the content that a step has read is not known
UNKNOWN_CONTENT = FileSignature(sha256="", size=-1, mtime_ns=0)


def format_stat(stat: os.stat_result) -> str:
    """Return a file's size, times and inode as `FileSignature.stat` has them."""
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def file_signature(path: Path, recorded: FileSignature | None = None) -> FileSignature | None:
    """Return the present signature of a file; None if there is no file that can be read.

    recorded: an earlier signature; its content holds if size, times and inode are as they were
    then. Only else the content is read, as git does.
    """
    try:
        stat = path.stat()
        if recorded and _is_unchanged(recorded, stat):
            return recorded._replace(ctime_ns=stat.st_ctime_ns, inode=stat.st_ino)
        sha256 = file_sha256(path)
    except OSError:
        return None
    return FileSignature(
        sha256,
        stat.st_size,
        stat.st_mtime_ns,
        stat.st_ctime_ns,
        stat.st_ino,
        is_recent_change(stat.st_ctime_ns),
    )


def _is_unchanged(recorded: FileSignature, stat: os.stat_result) -> bool:
    """Return whether a file is surely as recorded. An earlier version recorded size and mtime."""
    if recorded.ctime_ns:
        return recorded.stat == format_stat(stat) and not recorded.is_racy
    return (recorded.size, recorded.mtime_ns) == (stat.st_size, stat.st_mtime_ns)


def is_recent_change(ctime_ns: int) -> bool:
    """Return whether another change now might leave the time of the last change as it is."""
    is_coarse = ctime_ns % NS_PER_SECOND == 0
    resolution_ns = COARSE_TIME_RESOLUTION_NS if is_coarse else TIME_RESOLUTION_NS
    return abs(time.time_ns() - ctime_ns) < resolution_ns


def signature_when_read(path: Path, recorded_stat: str) -> FileSignature | None:
    """Return the file's signature when a step opened it; None if it is gone.

    recorded_stat: its `FileSignature.stat` at that moment. If the file has changed since, its
    content then is unknown.
    """
    signature = file_signature(path)
    return UNKNOWN_CONTENT if signature and signature.stat != recorded_stat else signature


def describe_file_change(recorded: FileSignature | None, current: FileSignature | None) -> str:
    """Return how a file differs, as the end of a sentence; empty if its content is the same."""
    if current is None or recorded is None:
        return "" if current is recorded else "is missing" if current is None else "is new"
    if recorded.sha256 == UNKNOWN_CONTENT.sha256:
        return "was altered while the step ran"
    return "" if current.sha256 == recorded.sha256 else "is altered"
