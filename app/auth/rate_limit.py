"""Limit the requests of each API key, across all workers."""

from __future__ import annotations

import mmap
import os
import threading
import time
from pathlib import Path

import numpy as np

MAX_TRACKED_KEYS = 4_096  # keys that send requests within a minute
SECONDS_PER_MINUTE = 60.0
ROUNDING_TOLERANCE_SECONDS = 1e-6  # shorter waits come from the rounding of the numbers
RECORD_DTYPE = np.dtype([("key", "S64"), ("due", "f8")])


class RateLimiter:
    """Limit each API key by the generic cell rate algorithm (ITU-T I.371).

    It needs one number per key, the time by which its requests so far are paid off (`due`), and
    allows a minute's worth of requests in a burst. All workers map the same file of records. A due
    time in the past says nothing more, so that its record may be given to another key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._records: np.ndarray | None = None
        self._index_by_key: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def acquire(self, key_hash: str, per_minute: int) -> float:
        """Count one request of an API key.

        key_hash: as `hash_key` returns it. per_minute: the key's limit. Returns 0.0, or the seconds
        to wait if the key is over its limit; the request is not counted then.
        """
        request_seconds, current_time = SECONDS_PER_MINUTE / per_minute, time.time()
        with self._lock:
            records = self._mapped_records()
            os.lockf(self._fd, os.F_LOCK, 0)
            try:
                index = self._record_index(records, key_hash.encode(), current_time)
                if index is None:
                    return request_seconds
                due = max(records["due"][index], current_time)
                # at most a minute, also if the clock was set back
                backlog_seconds = min(due - current_time, SECONDS_PER_MINUTE)
                wait_seconds = backlog_seconds - (SECONDS_PER_MINUTE - request_seconds)
                if wait_seconds > ROUNDING_TOLERANCE_SECONDS:
                    return float(wait_seconds)
                records["due"][index] = due + request_seconds
                return 0.0
            finally:
                os.lockf(self._fd, os.F_ULOCK, 0)

    def _record_index(
        self, records: np.ndarray, key_hash: bytes, current_time: float
    ) -> int | None:
        """Return the index of the key's record, maybe a new one; None if other keys use all."""
        keys, due = records["key"], records["due"]
        index = self._index_by_key.get(key_hash)
        if index is not None and keys[index] == key_hash:
            return index
        candidates = np.flatnonzero(keys == key_hash)
        if not len(candidates):
            is_free = (due <= current_time) | (due > current_time + 2 * SECONDS_PER_MINUTE)
            candidates = np.flatnonzero(is_free)
            if not len(candidates):
                return None
            records[candidates[0]] = key_hash, 0.0
        self._index_by_key[key_hash] = int(candidates[0])
        return self._index_by_key[key_hash]

    def _mapped_records(self) -> np.ndarray:
        if self._records is None:
            size = MAX_TRACKED_KEYS * RECORD_DTYPE.itemsize
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.ftruncate(self._fd, size)
            self._records = np.frombuffer(mmap.mmap(self._fd, size), RECORD_DTYPE)
        return self._records
