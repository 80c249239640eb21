"""How much each API key has asked, shared by all workers."""

from __future__ import annotations

import mmap
import os
import threading
import time
from pathlib import Path

import numpy as np

MAX_TRACKED_KEYS = 4_096  # keys that ask within a minute
SECONDS_PER_MINUTE = 60.0
ROUNDING_TOLERANCE_SECONDS = 1e-6  # seconds: less than that is how the numbers are rounded
RECORD_DTYPE = np.dtype([("key", "S64"), ("due", "f8")])


class RateLimiter:
    """When each key may ask again, in a file that all workers map: the generic cell rate algorithm
    (ITU-T I.371), which needs one number a key and lets a minute's worth through in a burst.

    A number of the past says nothing, so that its place is another key's when that needs one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._records: np.ndarray | None = None
        self._index_by_key: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def acquire(self, key_hash: str, per_minute: int) -> float:
        """0 if it may ask now, which is counted; else the seconds to wait. key: as it is kept."""
        step, now = SECONDS_PER_MINUTE / per_minute, time.time()
        with self._lock:
            self._map_file()
            os.lockf(self._fd, os.F_LOCK, 0)
            try:
                place = self._record_index(key_hash.encode(), now)
                if place is None:
                    return step
                due = max(self._records["due"][place], now)
                wait = min(due - now, SECONDS_PER_MINUTE) - (
                    SECONDS_PER_MINUTE - step
                )  # a clock may be set back
                if wait > ROUNDING_TOLERANCE_SECONDS:
                    return float(wait)
                self._records["due"][place] = due + step
                return 0.0
            finally:
                os.lockf(self._fd, os.F_ULOCK, 0)

    def _record_index(self, key_hash: bytes, current_time: float) -> int | None:
        """The key's record, which may be a new one; None if all are of others that ask."""
        keys, due = self._records["key"], self._records["due"]
        place = self._index_by_key.get(key_hash)
        if place is not None and keys[place] == key_hash:
            return place
        found = np.flatnonzero(keys == key_hash)
        if not len(found):
            found = np.flatnonzero(
                (due <= current_time) | (due > current_time + 2 * SECONDS_PER_MINUTE)
            )
            if not len(found):
                return None
            self._records[found[0]] = key_hash, 0.0
        self._index_by_key[key_hash] = int(found[0])
        return self._index_by_key[key_hash]

    def _map_file(self) -> None:
        if self._records is None:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.ftruncate(self._fd, MAX_TRACKED_KEYS * RECORD_DTYPE.itemsize)
            self._records = np.frombuffer(
                mmap.mmap(self._fd, MAX_TRACKED_KEYS * RECORD_DTYPE.itemsize), RECORD_DTYPE
            )
