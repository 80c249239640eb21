"""How much each API key has asked, shared by all workers."""

from __future__ import annotations

import mmap
import os
import threading
import time
from pathlib import Path

import numpy as np

ROOM = 4_096  # keys that ask within a minute
MINUTE = 60.0
BLINK = 1e-6  # seconds: less than that is how the numbers are rounded
RECORD = np.dtype([("key", "S64"), ("due", "f8")])


class Spent:
    """When each key may ask again, in a file that all workers map: the generic cell rate algorithm
    (ITU-T I.371), which needs one number a key and lets a minute's worth through in a burst.

    A number of the past says nothing, so that its place is another key's when that needs one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1
        self._known: np.ndarray | None = None
        self._places: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def take(self, key: str, per_minute: int) -> float:
        """0 if it may ask now, which is counted; else the seconds to wait. key: as it is kept."""
        step, now = MINUTE / per_minute, time.time()
        with self._lock:
            self._open()
            os.lockf(self._file, os.F_LOCK, 0)
            try:
                place = self._place(key.encode(), now)
                if place is None:
                    return step
                due = max(self._known["due"][place], now)
                wait = min(due - now, MINUTE) - (MINUTE - step)  # a clock may be set back
                if wait > BLINK:
                    return float(wait)
                self._known["due"][place] = due + step
                return 0.0
            finally:
                os.lockf(self._file, os.F_ULOCK, 0)

    def _place(self, key: bytes, now: float) -> int | None:
        """The key's record, which may be a new one; None if all are of others that ask."""
        keys, due = self._known["key"], self._known["due"]
        place = self._places.get(key)
        if place is not None and keys[place] == key:
            return place
        found = np.flatnonzero(keys == key)
        if not len(found):
            found = np.flatnonzero((due <= now) | (due > now + 2 * MINUTE))
            if not len(found):
                return None
            self._known[found[0]] = key, 0.0
        self._places[key] = int(found[0])
        return self._places[key]

    def _open(self) -> None:
        if self._known is None:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.ftruncate(self._file, ROOM * RECORD.itemsize)
            self._known = np.frombuffer(mmap.mmap(self._file, ROOM * RECORD.itemsize), RECORD)
