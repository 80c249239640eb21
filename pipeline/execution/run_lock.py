"""One run at a time in a home: a lock that the operating system takes back from the dead."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def acquire(path: Path, holder: str, on_wait: Callable[[str], None]) -> Iterator[int]:
    """Holds the lock; gives its file descriptor, for a process that is to hold it too.

    on_wait: told who holds it, if somebody else does. Then waits for the end of that run.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait(_describe_holder(path))
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        about = {"pid": os.getpid(), "run": holder, "since": time.strftime("%H:%M:%S")}
        os.pwrite(descriptor, json.dumps(about).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _describe_holder(path: Path) -> str:
    try:
        about = json.loads(path.read_text())
        return f"run {about['run']}, process {about['pid']}, since {about['since']}"
    except (OSError, ValueError):
        return "a run that is just starting"
