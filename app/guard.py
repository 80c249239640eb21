"""Who may ask: API keys, and how often each of them. Both are off until there is a file of keys.

A key is 32 random bytes, so that one round of SHA-256 hides it as well as a slow hash would; the
file holds hashes only. `python -m app.keys` writes it; it is read anew when it changes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import mmap
import os
import struct
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from flask import Flask, g, request

from app.problems import Refused, refused

OPEN = ("/health", "/ready", "/ping")  # for who watches whether it lives: they say no more
LOOK_EVERY = 1.0  # seconds between two looks at the file
NO_KEY = ("this service asks for an API key: send it as the header X-API-Key, "
          "or as Authorization: Bearer KEY")  # fmt: skip

logger = logging.getLogger(__name__)


class Key(NamedTuple):
    """What the file holds of a key."""

    name: str
    sha256: str
    per_minute: int  # requests; 0 for any number


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def read(file: Path) -> list[Key]:
    """The keys of a file; none if there is no file. Raises ValueError for one that is damaged: a
    service whose keys cannot be read must not take that for none."""
    try:
        told = json.loads(file.read_text())
        return [Key(str(one["name"]), str(one["sha256"]), int(one["per_minute"])) for one in told]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as bad:
        raise ValueError(f"{file} holds no keys that can be read: {bad}") from bad


class Guard:
    """One worker's view of the keys; how much each has asked is shared by all workers."""

    def __init__(self, file: Path) -> None:
        self.file, self.required = file, file.exists()
        self._keys: list[Key] = []
        self._seen: tuple[int, int] | None = None
        self._next_look = 0.0
        self._spent = _Spent(file.with_suffix(".spent"))

    def admit(self, headers: Mapping[str, str]) -> str | None:
        """The name of the key; None where none is needed. Raises Refused: 401, or 429."""
        self._look()
        if not self.required:
            return None
        given = _given(headers)
        if not given:
            raise refused(401, NO_KEY)
        hashed, found = digest(given), None
        for one in self._keys:  # all of them, so that the time tells nothing
            if hmac.compare_digest(hashed, one.sha256):
                found = one
        if found is None:
            raise refused(401, "the API key is unknown, or was revoked")
        if found.per_minute:
            wait = self._spent.take(found)
            if wait:
                raise Limited(found, wait)
        return found.name

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_EVERY
        try:
            found = self.file.stat()
        except FileNotFoundError:
            self._keys, self._seen = [], None  # once there were keys, no file means that none holds
            return
        if (found.st_mtime_ns, found.st_ino) != self._seen:
            self.required = True
            try:
                self._keys = read(self.file)
                self._seen = found.st_mtime_ns, found.st_ino
            except ValueError as bad:  # then none holds, until it is mended
                self._keys = []
                logger.error("%s", bad)


class Limited(Refused):
    """Raised if a key asks more often than it may."""

    def __init__(self, key: Key, wait: float) -> None:
        sentence = f"the key {key.name} may ask {key.per_minute:,} times a minute"
        errors = refused(429, f"{sentence}; try again in {wait:.1f} s").errors
        super().__init__(429, errors, wait)


class _Spent:
    """When each key may ask again, in a file that all workers map: the generic cell rate algorithm
    (ITU-T I.371), which needs one number a key and lets a minute's worth through in a burst."""

    ROOM = 4_096  # keys

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map: mmap.mmap | None = None
        self._file = -1
        self._lock = threading.Lock()

    def take(self, key: Key) -> float:
        """0 if it may ask now, which is counted; else the seconds to wait."""
        place = int(key.sha256[:8], 16) % self.ROOM * 8
        step, now = 60 / key.per_minute, time.time()
        with self._lock:
            self._open()
            os.lockf(self._file, os.F_LOCK, 0)
            try:
                due = max(struct.unpack_from("d", self._map, place)[0], now)
                if due - now > 60 - step:
                    return due - now - (60 - step)
                struct.pack_into("d", self._map, place, due + step)
                return 0.0
            finally:
                os.lockf(self._file, os.F_ULOCK, 0)

    def _open(self) -> None:
        if self._map is None:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.ftruncate(self._file, self.ROOM * 8)
            self._map = mmap.mmap(self._file, self.ROOM * 8)


def _given(headers: Mapping[str, str]) -> str:
    """The key that a request brings; a browser that was asked sends it as a password."""
    key = headers.get("x-api-key")
    if key:
        return key
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        return _password(value)
    return ""


def _password(value: str) -> str:
    import base64
    import binascii

    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def init_app(app: Flask) -> None:
    """Lets nobody in without a key where there are keys. The door asks for the lanes itself."""
    guard = app.extensions["guard"] = Guard(Path(app.config["KEYS"]))

    def check() -> None:
        g.caller = None
        if request.path not in OPEN:
            g.caller = guard.admit({name.lower(): value for name, value in request.headers.items()})

    app.before_request(check)
