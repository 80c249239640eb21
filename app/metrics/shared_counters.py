"""Numbers that all workers count in together, exact across workers, crashes and restarts.

One memory-mapped file: a directory of names, and for each worker a slot with a number a name. Only
its worker writes a slot, so that no count is ever lost to another; a reader adds the slots up. A
worker that starts takes the first slot that no living process holds and counts on from what is
there, so that nothing is left of the dead and nothing they counted is lost: what a process killed
had written is in the page cache.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
from pathlib import Path

import numpy as np

MAGIC = b"housing cells 1\n"
SLOTS, CELLS = 64, 16_384  # workers, and numbers of each; what nobody uses takes no room on disk
NAMES_AT, NAMES_SIZE = 4_096, 2 << 20  # bytes: where the directory starts, and its room
HEADER = np.dtype([("magic", "S16"), ("used", "<i8"), ("pids", "<i8", SLOTS)])


class Full(Exception):
    """Raised if there is no slot or no cell left."""


class Cells:
    """The file, mapped. Its numbers are float64; one that was never written is 0."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # never closed: to close any descriptor of a file gives up all locks on it
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._lock(0)
        try:
            size = NAMES_AT + NAMES_SIZE + SLOTS * CELLS * 8
            if os.fstat(self._file).st_size != size or os.pread(self._file, 16, 0) != MAGIC:
                os.ftruncate(self._file, 0)
                os.ftruncate(self._file, size)
                os.pwrite(self._file, MAGIC, 0)
        finally:
            self._unlock(0)
        self._map = mmap.mmap(self._file, size)
        self._header = np.frombuffer(self._map, HEADER, 1)[0]
        self._all = np.frombuffer(self._map, np.float64, offset=NAMES_AT + NAMES_SIZE)
        self._all = self._all.reshape(SLOTS, CELLS)
        self._names: list[tuple[str, ...]] = []
        self._places: dict[tuple[str, ...], int] = {}
        self._read_until = 0
        self.slot = self._claim()
        self.mine = self._all[self.slot]

    def places(self, names: list[tuple[str, ...]]) -> int:
        """The cell of the first of the names; the others follow it. New names get new cells.

        Raises Full if there is no room for them.
        """
        if names[0] not in self._places:
            self._lock(0)
            try:
                self._read()
                if names[0] not in self._places:
                    self._append(names)
            finally:
                self._unlock(0)
        return self._places[names[0]]

    def totals(self) -> list[tuple[tuple[str, ...], np.ndarray]]:
        """Each name with its number in all slots, (SLOTS,)."""
        self._read()
        numbers = self._all[:, : len(self._names)].T.copy()
        return list(zip(self._names, numbers, strict=True))

    def living(self) -> dict[int, int]:
        """The process that writes each slot that is taken."""
        pids = enumerate(self._header["pids"].tolist())
        return {slot: pid for slot, pid in pids if pid and _lives(pid)}

    def _claim(self) -> int:
        """Locks are per process: the first slot whose byte nobody else has locked is ours."""
        for slot in range(SLOTS):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1 + slot)
            except OSError:
                continue
            self._header["pids"][slot] = os.getpid()
            return slot
        raise Full(f"{SLOTS} processes count already, expected fewer workers")

    def _append(self, names: list[tuple[str, ...]]) -> None:
        text = "".join(json.dumps(one) + "\n" for one in names).encode()
        end = self._read_until + len(text)
        if len(self._names) + len(names) > CELLS or end > NAMES_SIZE:
            raise Full(f"{len(self._names):,} names are counted already; no room for {names[0]}")
        self._map[NAMES_AT + self._read_until : NAMES_AT + end] = text
        self._header["used"] = end  # last: who reads without the lock finds whole names only
        self._read()

    def _read(self) -> None:
        used = int(self._header["used"])
        if used > self._read_until:
            text = self._map[NAMES_AT + self._read_until : NAMES_AT + used]
            for line in text.decode().splitlines():
                self._places[tuple(json.loads(line))] = len(self._names)
                self._names.append(tuple(json.loads(line)))
            self._read_until = used

    def _lock(self, byte: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, byte)

    def _unlock(self, byte: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
