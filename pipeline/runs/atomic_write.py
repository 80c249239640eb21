"""Writing files atomically; comparing files by size and time where that is enough, else by content.

Also the names and hashes that the runner's files are made of.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# files that the interpreter and its libraries read for themselves
IGNORED_SUFFIXES = (".py", ".pyc", ".so", ".pyd", ".lock")
MAX_SLUG_CHARS = 100
FileSignature = dict[str, Any]  # sha256, size and mtime_ns of a file at some moment


def atomic_write(path: Path, content: str | bytes, durable: bool = True) -> None:
    """Write a file by renaming a temporary one: a reader sees the old content or the new.

    durable: whether the content must survive a power failure right after. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary_path = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary_path.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary_path.replace(path)
    except OSError:
        temporary_path.unlink(missing_ok=True)  # a full disk needs the room
        raise
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Write a folder's entries to the disk: a rename survives a power failure only with them."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def signature(path: Path) -> FileSignature | None:
    """Return what `file_change` compares with later; None if there is no such file."""
    try:
        stat = path.stat()
        return {"sha256": file_sha256(path), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    except OSError:
        return None


def file_change(path: Path, old_signature: FileSignature | None) -> str:
    """Return "missing", "new" or "altered" if a file differs from its signature, else "".

    The content is read only where size or time differ, as git does.
    """
    try:
        stat = path.stat()
    except OSError:
        return "missing" if old_signature else ""
    if old_signature is None:
        return "new"
    if (stat.st_size, stat.st_mtime_ns) == (old_signature["size"], old_signature["mtime_ns"]):
        return ""
    new_signature = signature(path)
    is_same = new_signature is not None and new_signature["sha256"] == old_signature["sha256"]
    return "" if is_same else "altered"


def slug(label: str) -> str:
    """Return a file name for a step's label, such as train-seed=1 for train[seed=1].

    No two labels share one: a label that is long or has unusual characters gets a hash.
    """
    cleaned = re.sub(r"[^\w.=+-]+", "-", label).strip("-")
    if len(cleaned) > MAX_SLUG_CHARS or re.search(r"[^\w.=+,\[\]-]", label):
        return f"{cleaned[:90]}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"
    return cleaned


def json_digest(content: Mapping[str, Any]) -> str:
    """Return a short hash of JSON content; values that JSON does not know count as their text."""
    import json

    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
