"""Comparing files with what they were: by size and time where that is enough, else by content."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.runs.digests import file_sha256


class FileSignature(NamedTuple):
    """A file's content and times at some moment."""

    sha256: str
    size: int  # bytes
    mtime_ns: int

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "FileSignature":
        """Return the signature that JSON describes; unknown entries are dropped."""
        return cls(content["sha256"], content["size"], content["mtime_ns"])

    def to_dict(self) -> dict[str, Any]:
        """Return the signature as `from_dict` takes it."""
        return self._asdict()


# equals no file: the content that a step has read is not known
UNKNOWN_CONTENT = FileSignature(sha256="", size=-1, mtime_ns=0)


class FileChange(StrEnum):
    """How a file differs from its signature."""

    MISSING = "missing"
    NEW = "new"
    ALTERED = "altered"


def file_signature(path: Path) -> FileSignature | None:
    """Return what `file_change` compares with later; None if there is no such file."""
    try:
        stat = path.stat()
        return FileSignature(file_sha256(path), stat.st_size, stat.st_mtime_ns)
    except OSError:
        return None


def signature_when_read(path: Path, recorded_stat: str) -> FileSignature | None:
    """Return the file's signature when a step opened it; None if it is gone.

    recorded_stat: "SIZE MTIME_NS" at that moment. If the file has changed since, its content then
    is unknown.
    """
    signature = file_signature(path)
    if signature and recorded_stat != f"{signature.size} {signature.mtime_ns}":
        return UNKNOWN_CONTENT
    return signature


def file_change(path: Path, old_signature: FileSignature | None) -> FileChange | None:
    """Return how a file differs from its signature; None if it does not.

    The content is read only where size or time differ, as git does.
    """
    try:
        stat = path.stat()
    except OSError:
        return FileChange.MISSING if old_signature else None
    if old_signature is None:
        return FileChange.NEW
    if (stat.st_size, stat.st_mtime_ns) == (old_signature.size, old_signature.mtime_ns):
        return None
    new_signature = file_signature(path)
    is_same = new_signature is not None and new_signature.sha256 == old_signature.sha256
    return None if is_same else FileChange.ALTERED
