"""One run at a time in a project: a lock that the operating system releases when a run dies."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def hold(path: Path, holder: str, on_wait: Callable[[str], None]) -> Iterator[int]:
    """Hold the lock; yield its file descriptor, which another process may inherit to hold it too.

    path: the lock file, which is created if need be. holder: a run's id, or the command that
    holds the lock. on_wait: called with a description of the present holder if the lock is taken;
    then waits until it is free.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait(path.read_text(encoding="utf-8") or "a run that is just starting")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        description = f"run {holder}, process {os.getpid()}, since {time.strftime('%H:%M:%S')}"
        with contextlib.suppress(OSError):  # a full disk: only who waits would read it
            os.pwrite(descriptor, description.encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)
