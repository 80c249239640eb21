"""Keeps processes apart: a lock that dies with its holder, waited for in short steps."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileLock:
    """An advisory lock on a file that is made for it. Threads of one process share it."""

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        """patience: seconds after which waiting ends with TimeoutError."""
        self.path, self.timeout_seconds = path, timeout_seconds
        self._descriptor: int | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        end = time.monotonic() + self.timeout_seconds
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise TimeoutError(f"another process holds {self.path.name}") from None
                time.sleep(0.0002)  # a group of rows takes about as long
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
