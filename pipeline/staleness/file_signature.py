"""Compare files with what they were: by size and time where that is enough, else by content."""

from collections.abc import Mapping
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

    @property
    def stat(self) -> str:
        """Size and time, as the log of accesses has them."""
        return f"{self.size} {self.mtime_ns}"


# equals no file: the content that a step has read is not known
UNKNOWN_CONTENT = FileSignature(sha256="", size=-1, mtime_ns=0)


def file_signature(path: Path, recorded: FileSignature | None = None) -> FileSignature | None:
    """Return the present signature of a file; None if there is no file that can be read.

    recorded: an earlier signature, which is returned if size and time are as they were then. Only
    else the content is read, as git does.
    """
    try:
        stat = path.stat()
        if recorded and (stat.st_size, stat.st_mtime_ns) == (recorded.size, recorded.mtime_ns):
            return recorded
        return FileSignature(file_sha256(path), stat.st_size, stat.st_mtime_ns)
    except OSError:
        return None


def signature_when_read(path: Path, recorded_stat: str) -> FileSignature | None:
    """Return the file's signature when a step opened it; None if it is gone.

    recorded_stat: "SIZE MTIME_NS" at that moment. If the file has changed since, its content then
    is unknown.
    """
    signature = file_signature(path)
    return UNKNOWN_CONTENT if signature and signature.stat != recorded_stat else signature


def describe_file_change(recorded: FileSignature | None, current: FileSignature | None) -> str:
    """Return how a file differs, as the end of a sentence; empty if its content is the same."""
    if current is None or recorded is None:
        return "" if current is recorded else "is missing" if current is None else "is new"
    return "" if current.sha256 == recorded.sha256 else "is altered"
