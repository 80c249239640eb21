"""Numbers that all workers count in one file, exact across workers, crashes and restarts.

The memory-mapped file holds a directory of names, and for each worker a slot with one number per
name. Only its own worker writes a slot, so that no count is overwritten; a reader adds up all
slots. A worker that starts claims the first slot that no living process holds and counts on from
its numbers: dead workers occupy no slot, and their counts are kept, as what a killed process has
written is in the page cache.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

FILE_MAGIC = b"housing cells 1\n"
MAX_WORKERS, MAX_VALUES_PER_WORKER = 64, 16_384  # the file is sparse: unused values take no disk
NAMES_OFFSET_BYTES, MAX_NAMES_BYTES = 4_096, 2 << 20  # where the directory starts, and its size
HEADER_DTYPE = np.dtype([("magic", "S16"), ("used", "<i8"), ("pids", "<i8", MAX_WORKERS)])

NamedValues = list[tuple[tuple[str, ...], np.ndarray]]  # a name, and its number in every slot


class CountersFullError(Exception):
    """Raised if no slot is free for a worker, or no cell for a name."""


class SharedCounters:
    """The mapped file. Its numbers are float64; one that was never written is 0."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # never closed: closing any descriptor of a file releases all of the process's locks on it
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._thread_lock = threading.Lock()
        size = NAMES_OFFSET_BYTES + MAX_NAMES_BYTES + MAX_WORKERS * MAX_VALUES_PER_WORKER * 8
        with self._exclusive():
            if os.fstat(self._fd).st_size != size or os.pread(self._fd, 16, 0) != FILE_MAGIC:
                os.ftruncate(self._fd, 0)
                os.ftruncate(self._fd, size)
                os.pwrite(self._fd, FILE_MAGIC, 0)
        self._mmap = mmap.mmap(self._fd, size)
        self._header = np.frombuffer(self._mmap, HEADER_DTYPE, 1)[0]
        self._values = np.frombuffer(
            self._mmap, np.float64, offset=NAMES_OFFSET_BYTES + MAX_NAMES_BYTES
        )
        self._values = self._values.reshape(MAX_WORKERS, MAX_VALUES_PER_WORKER)
        self._names: list[tuple[str, ...]] = []
        self._offsets: dict[tuple[str, ...], int] = {}
        self._names_read_bytes = 0
        self.slot = self._claim_slot()
        self.own_values = self._values[self.slot]

    def first_offset(self, names: list[tuple[str, ...]]) -> int:
        """Return the offset of the first name's cell in a slot; the other names' cells follow it.

        New names get new cells. Raises CountersFullError if there is no room for them.
        """
        with self._exclusive():
            self._read_names()
            if names[0] not in self._offsets:
                self._append_names(names)
        return self._offsets[names[0]]

    def values_by_name(self) -> NamedValues:
        """Return each name with its number in all slots, (MAX_WORKERS,)."""
        with self._thread_lock:
            self._read_names()
            numbers = self._values[:, : len(self._names)].T.copy()
            return list(zip(self._names, numbers, strict=True))

    def live_pids(self) -> dict[int, int]:
        """Return slot -> process id of the workers that are alive."""
        pids = enumerate(self._header["pids"].tolist())
        return {slot: pid for slot, pid in pids if pid and _is_alive(pid)}

    def _claim_slot(self) -> int:
        """Lock the first free slot's byte for this process, and return the slot.

        Such a lock ends with its process. Raises CountersFullError if no slot is free.
        """
        for slot in range(MAX_WORKERS):
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1 + slot)
            except OSError:
                continue
            self._header["pids"][slot] = os.getpid()
            return slot
        raise CountersFullError(
            f"{MAX_WORKERS} processes hold a slot already, expected fewer workers"
        )

    def _append_names(self, names: list[tuple[str, ...]]) -> None:
        text = "".join(json.dumps(name) + "\n" for name in names).encode()
        end = self._names_read_bytes + len(text)
        if len(self._names) + len(names) > MAX_VALUES_PER_WORKER or end > MAX_NAMES_BYTES:
            raise CountersFullError(
                f"{len(self._names):,} names are in use already; there is no room for {names[0]}"
            )
        self._mmap[NAMES_OFFSET_BYTES + self._names_read_bytes : NAMES_OFFSET_BYTES + end] = text
        self._header["used"] = end  # last, so that a reader without the lock sees complete names
        self._read_names()

    def _read_names(self) -> None:
        used = int(self._header["used"])
        if used > self._names_read_bytes:
            start = NAMES_OFFSET_BYTES + self._names_read_bytes
            text = self._mmap[start : NAMES_OFFSET_BYTES + used]
            for line in text.decode().splitlines():
                name = tuple(json.loads(line))
                self._offsets[name] = len(self._names)
                self._names.append(name)
            self._names_read_bytes = used

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Keep other threads and processes from adding names, which two would add twice."""
        with self._thread_lock:
            fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, 0)
            try:
                yield
            finally:
                fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, 0)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)  # another user's
    return True
