"""A file of JSON lines that several processes append to, and that rotates by its size."""

import errno
import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

MAX_FILE_BYTES, MAX_ROTATED_FILES = 10_000_000, 5  # bytes a file, and how many old ones stay


class RotatingFile:
    """Appends whole lines. Who calls holds the lock that all writers share."""

    def __init__(
        self,
        path: Path,
        max_file_bytes: int = MAX_FILE_BYTES,
        max_rotated_files: int = MAX_ROTATED_FILES,
    ) -> None:
        self.path, self.max_file_bytes, self.max_rotated_files = (
            path,
            max_file_bytes,
            max_rotated_files,
        )
        self._descriptor: int | None = None
        self._inode = self._size_before_append = 0

    def append(self, data: bytes) -> None:
        """Raises OSError, and leaves nothing in the file, if it has no room for all of it."""
        self._ensure_open()
        self._size_before_append = os.fstat(self._descriptor).st_size
        if self._size_before_append and self._size_before_append + len(data) > self.max_file_bytes:
            self._rotate()
        written = os.write(self._descriptor, data)
        if written < len(data):
            self.undo_append()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def check_free_space(self) -> None:
        """Raises OSError if there is no room on the disk; readers see nothing of it."""
        self._ensure_open()
        if os.fstatvfs(self._descriptor).f_bavail == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def undo_append(self) -> None:
        """What was appended last: its rows could not be committed."""
        with suppress(OSError):  # a device, such as /dev/full
            os.ftruncate(self._descriptor, self._size_before_append)

    def close(self) -> None:
        """Opens it anew at the next line."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _ensure_open(self) -> None:
        """Anew if another process has rotated it, or somebody has moved it away."""
        if self._descriptor is not None:
            try:
                if os.stat(self.path).st_ino == self._inode:  # noqa: PTH116, half of Path's time
                    return
            except FileNotFoundError:
                pass
            self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(
            self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644
        )
        self._inode = os.fstat(self._descriptor).st_ino

    def _rotate(self) -> None:
        old = [
            self.path.with_name(f"{self.path.name}.{at + 1}")
            for at in range(self.max_rotated_files)
        ]
        for newer, older in reversed(list(pairwise(old))):
            if newer.exists():
                newer.replace(older)
        self.path.replace(old[0])
        self._ensure_open()
        self._size_before_append = 0
