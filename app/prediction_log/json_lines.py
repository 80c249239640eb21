"""A file of JSON lines that several processes append to, and that rotates by its size."""

import errno
import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

FILE_SIZE, FILES = 10_000_000, 5  # bytes a file, and how many old ones stay


class Lines:
    """Appends whole lines. Who calls holds the lock that all writers share."""

    def __init__(self, path: Path, size: int = FILE_SIZE, files: int = FILES) -> None:
        self.path, self.size, self.files = path, size, files
        self._file: int | None = None
        self._inode = self._before = 0

    def append(self, text: bytes) -> None:
        """Raises OSError, and leaves nothing in the file, if it has no room for all of it."""
        self._open()
        self._before = os.fstat(self._file).st_size
        if self._before and self._before + len(text) > self.size:
            self._rotate()
        written = os.write(self._file, text)
        if written < len(text):
            self.take_back()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def check(self) -> None:
        """Raises OSError if there is no room on the disk; readers see nothing of it."""
        self._open()
        if os.fstatvfs(self._file).f_bavail == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def take_back(self) -> None:
        """What was appended last: its rows could not be committed."""
        with suppress(OSError):  # a device, such as /dev/full
            os.ftruncate(self._file, self._before)

    def close(self) -> None:
        """Opens it anew at the next line."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> None:
        """Anew if another process has rotated it, or somebody has moved it away."""
        if self._file is not None:
            try:
                if os.stat(self.path).st_ino == self._inode:  # noqa: PTH116, half of Path's time
                    return
            except FileNotFoundError:
                pass
            self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(
            self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644
        )
        self._inode = os.fstat(self._file).st_ino

    def _rotate(self) -> None:
        old = [self.path.with_name(f"{self.path.name}.{at + 1}") for at in range(self.files)]
        for newer, older in reversed(list(pairwise(old))):
            if newer.exists():
                newer.replace(older)
        self.path.replace(old[0])
        self._open()
        self._before = 0
