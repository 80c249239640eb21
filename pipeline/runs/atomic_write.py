"""Writing files atomically: a reader sees the old content or the new."""

import os
from contextlib import suppress
from pathlib import Path


def atomic_write(path: Path, content: str | bytes, durable: bool = True) -> None:
    """Write a file by renaming a temporary one; make its folder if need be.

    durable: whether the content must survive a power failure right after. Raises OSError that names
    the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary_path = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary_path.open("wb") as file:
            file.write(_encode(content) if isinstance(content, str) else content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary_path.replace(path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # users know no temporary one
        with suppress(OSError):
            temporary_path.unlink(missing_ok=True)  # a full disk needs the room
        raise
    if durable:
        _sync_folder(path.parent)


def _encode(text: str) -> bytes:
    """Return a text as UTF-8; half characters, as of an undecodable file name, as escapes."""
    return text.encode(errors="backslashreplace")


def _sync_folder(folder: Path) -> None:
    """Write a folder's entries to the disk: a rename survives a power failure only with them."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
