"""One run at a time in a project: a lock that the operating system releases when a run dies."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple


class HolderInfo(NamedTuple):
    """What the lock file says of the process that holds the lock."""

    pid: int
    run: str  # its id, or the command that holds the lock
    since: str  # HH:MM:SS, local time


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
            on_wait(_describe_holder(path))
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        info = HolderInfo(os.getpid(), holder, time.strftime("%H:%M:%S"))
        os.pwrite(descriptor, json.dumps(info._asdict()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _describe_holder(path: Path) -> str:
    try:
        info = HolderInfo(**json.loads(path.read_text()))
        return f"run {info.run}, process {info.pid}, since {info.since}"
    except (OSError, ValueError, TypeError):
        return "a run that is just starting"
