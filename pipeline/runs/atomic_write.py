"""Files written whole; files compared by size and time where that is enough, else by content."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# what the interpreter and its libraries read for themselves
IGNORED_SUFFIXES = (".py", ".pyc", ".so", ".pyd", ".lock")
FileSignature = dict[str, Any]  # sha256, size and mtime_ns of a file as it was seen


def atomic_write(path: Path, content: str | bytes, durable: bool = True) -> None:
    """Writes aside, then renames: a reader finds the old content or the new, never a part.

    durable: on disk even if the power fails right after.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)  # a full disk needs the room
        raise
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """The rename itself survives a power failure only with its folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """Of the file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def signature(path: Path) -> FileSignature | None:
    """What `changed` compares with later; None if there is no such file."""
    try:
        stat = path.stat()
        return {"sha256": file_sha256(path), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    except OSError:
        return None


def file_change(path: Path, old_signature: FileSignature | None) -> str:
    """ "missing", "new" or "altered" if the file is not as it was; empty if it is.

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
    return "" if signature(path)["sha256"] == old_signature["sha256"] else "altered"


def slug(label: str) -> str:
    """A file name for a step's label: train[seed=1] is train-seed=1; no two labels share one."""
    clean = re.sub(r"[^\w.=+-]+", "-", label).strip("-")
    if len(clean) > 100 or re.search(r"[^\w.=+,\[\]-]", label):
        return f"{clean[:90]}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"
    return clean


def json_digest(content: Mapping[str, Any]) -> str:
    """A short hash of anything that JSON can say."""
    import json

    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
