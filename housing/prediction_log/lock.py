"""A lock on a file that keeps processes apart and is released if its holder dies.

For what is locked thousands of times a second; elsewhere the package filelock does, which opens its
file each time: 0.13 ms for each batch of requests instead of 0.002.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from housing.prediction_log.reader import open_log
from housing.prediction_log.table import lock_path

POLL_INTERVAL_SECONDS = 0.0002  # a batch of rows takes about as long to write
LOG_LOCK_TIMEOUT_SECONDS = 5.0  # of a command, to wait for the service's workers
LOG_LOCK_POLL_SECONDS = 0.001  # longer than the service's own interval, which so goes first


class FileLock:
    """An advisory lock (flock) on a file that is created for it; use it as a context manager.

    It keeps processes apart, not the threads of one process: those need a lock of their own.
    """

    def __init__(
        self,
        path: Path,
        timeout_seconds: float,
        poll_interval_seconds: float = POLL_INTERVAL_SECONDS,
        owner: os.stat_result | None = None,
    ) -> None:
        """owner: the user and group that the file gets; others could not open a file of root's."""
        self.path, self.timeout_seconds = path, timeout_seconds
        self._poll_interval_seconds, self._owner = poll_interval_seconds, owner
        self._descriptor: int | None = None

    def acquire(self, timeout_seconds: float | None = None) -> None:
        """Wait for the lock. Raises TimeoutError if another process holds it for too long."""
        descriptor = self._open()
        seconds = self.timeout_seconds if timeout_seconds is None else timeout_seconds
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another process holds {self.path.name}") from None
                time.sleep(self._poll_interval_seconds)

    def release(self) -> None:
        """Let another process have the lock; the file stays open for the next `acquire`."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release the lock, if it is held, and close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exception_details: object) -> None:
        self.release()

    def _open(self) -> int:
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if self._owner:
                with suppress(PermissionError):
                    os.fchown(self._descriptor, self._owner.st_uid, self._owner.st_gid)
        return self._descriptor


@contextmanager
def log_lock(log: Path) -> Iterator[None]:
    """Hold the lock beside the log, under which the service's workers write.

    Raises RuntimeError if they hold it for too long.
    """
    # the file gets the log's owner: root's would keep the service out
    lock = FileLock(lock_path(log), LOG_LOCK_TIMEOUT_SECONDS, LOG_LOCK_POLL_SECONDS, log.stat())
    try:
        try:
            lock.acquire()
        except TimeoutError:
            raise RuntimeError(
                f"{lock.path} has been held for {LOG_LOCK_TIMEOUT_SECONDS:.0f} s by the service: "
                "run the same command again to continue"
            ) from None
        yield
    finally:
        lock.close()


@contextmanager
def exclusive_connection(log: Path) -> Iterator[sqlite3.Connection]:
    """Open a log to write, while the service's workers wait. Raises RuntimeError."""
    with log_lock(log), open_log(log, "rw") as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # it would be done under the lock
        yield connection
