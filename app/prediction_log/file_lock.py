"""Keeps processes apart: a lock that dies with its holder, waited for in short steps."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Alone:
    """An advisory lock on a file that is made for it. Threads of one process share it."""

    def __init__(self, path: Path, patience: float) -> None:
        """patience: seconds after which waiting ends with TimeoutError."""
        self.path, self.patience = path, patience
        self._file: int | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        end = time.monotonic() + self.patience
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise TimeoutError(f"another process holds {self.path.name}") from None
                time.sleep(0.0002)  # a group of rows takes about as long
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
