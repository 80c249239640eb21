"""Hashes of files and of JSON content, and the file names made of labels."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_SLUG_CHARS = 100

FileVersion = tuple[int, int, int]  # inode, size, mtime: the key of what was read from a file


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_version(path: Path) -> FileVersion:
    """Return what differs once a file has been edited or replaced. Raises OSError without one."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def json_digest(content: Mapping[str, Any]) -> str:
    """Return a short hash of JSON content; values that JSON does not know count as their text."""
    return text_digest(json.dumps(content, sort_keys=True, default=str))


def text_digest(text: str) -> str:
    """Return a short hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def slug(label: str) -> str:
    """Return a file name for a step's label, such as train-seed=1 for train[seed=1].

    No two labels share one: a label that is long or has unusual characters gets a hash.
    """
    cleaned = re.sub(r"[^\w.=+-]+", "-", label).strip("-")
    if len(cleaned) > MAX_SLUG_CHARS or re.search(r"[^\w.=+,\[\]-]", label):
        return f"{cleaned[:90]}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"
    return cleaned
