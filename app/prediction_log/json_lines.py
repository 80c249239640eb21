"""A file of JSON lines that several processes append to, and that rotates by its size."""

import errno
import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

MAX_FILE_BYTES = 10_000_000  # of one file before it is rotated
MAX_ROTATED_FILES = 5  # older files that are kept


class RotatingFile:
    """Appends whole lines. The caller holds the lock that all writers share."""

    def __init__(self, path: Path, max_file_bytes: int) -> None:
        self.path, self.max_file_bytes = path, max_file_bytes
        self._descriptor: int | None = None
        self._inode = self._size_before_append = 0

    def append(self, data: bytes) -> None:
        """Append all of the data. Raises OSError, with nothing appended, if there is no room."""
        descriptor = self._ensure_open()
        self._size_before_append = os.fstat(descriptor).st_size
        if self._size_before_append and self._size_before_append + len(data) > self.max_file_bytes:
            descriptor = self._rotate()
        bytes_written = os.write(descriptor, data)
        if bytes_written < len(data):
            self.undo_append()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def check_free_space(self) -> None:
        """Raise OSError if the disk is full; readers of the file notice nothing."""
        if os.fstatvfs(self._ensure_open()).f_bavail == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def undo_append(self) -> None:
        """Remove what was appended last, as its rows could not be committed."""
        if self._descriptor is not None:
            with suppress(OSError):  # a device, such as /dev/full
                os.ftruncate(self._descriptor, self._size_before_append)

    def close(self) -> None:
        """Close the file; it is opened again at the next line."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _ensure_open(self) -> int:
        """Return the descriptor; reopen the file if it was rotated or moved away meanwhile."""
        if self._descriptor is not None:
            with suppress(FileNotFoundError):
                if os.stat(self.path).st_ino == self._inode:  # noqa: PTH116, half of Path's time
                    return self._descriptor
            self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(
            self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644
        )
        self._inode = os.fstat(self._descriptor).st_ino
        return self._descriptor

    def _rotate(self) -> int:
        """Move each file to the next number, and return the descriptor of a new, empty one."""
        numbers = range(1, MAX_ROTATED_FILES + 1)
        rotated_files = [self.path.with_name(f"{self.path.name}.{number}") for number in numbers]
        for newer, older in reversed([*pairwise([self.path, *rotated_files])]):
            if newer.exists():
                newer.replace(older)
        self._size_before_append = 0
        return self._ensure_open()
