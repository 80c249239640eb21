"""Who may ask: API keys, and how often each of them. Both are off until there is a file of keys.

A key is 32 random bytes, so that one round of SHA-256 hides it as well as a slow hash would; the
file holds hashes only. `python -m app.cli.keys` writes it; it is read anew when it changes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from flask import Flask, g, request

from app.auth.rate_limit import Spent
from app.problem_details import Refused, refused

OPEN = ("/health", "/ready", "/ping")  # for who watches whether it lives: they say no more
HASH = re.compile(r"[0-9a-f]{64}")
MOST_A_MINUTE = 1_000_000_000
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
        told = json.loads(file.read_bytes())
        if not isinstance(told, list):
            raise ValueError("it is no list")
        return [_key(one["name"], one["sha256"], one["per_minute"]) for one in told]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as bad:
        raise ValueError(f"{file} holds no keys that can be read: {bad}") from bad


def is_name(name: object) -> bool:
    """Whether a key may be called that: it is one line in the log."""
    return isinstance(name, str) and name.isprintable() and 1 <= len(name) <= 100


def _key(name: object, hashed: object, per_minute: object) -> Key:
    if not is_name(name):
        raise ValueError("a name is not 1 to 100 characters on one line")
    if not isinstance(hashed, str) or not HASH.fullmatch(hashed):
        raise ValueError(f"sha256 of {name} is not 64 hex digits")
    if type(per_minute) is not int or not 0 <= per_minute <= MOST_A_MINUTE:
        raise ValueError(f"per_minute of {name} is not a number from 0 to {MOST_A_MINUTE:,}")
    return Key(name, hashed, per_minute)


class Guard:
    """One worker's view of the keys; how much each has asked is shared by all workers."""

    def __init__(self, file: Path) -> None:
        self.file, self.required = file, file.exists()
        self._keys: list[Key] = []
        self._seen: tuple[int, int] | None = None
        self._next_look = 0.0
        self._spent = Spent(file.with_suffix(".limits"))

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
            wait = self._spent.take(found.sha256, found.per_minute)
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
        except OSError as hidden:
            self._keys, self._seen, self.required = [], None, True
            logger.error("%s cannot be looked at: %s", self.file, hidden.strerror)
            return
        if (found.st_mtime_ns, found.st_ino) != self._seen:
            self.required = True
            try:
                self._keys = read(self.file)
                self._seen = found.st_mtime_ns, found.st_ino
            except ValueError as bad:  # then none holds, until it is mended
                self._keys, self._seen = [], None
                logger.error("%s", bad)


class Limited(Refused):
    """Raised if a key asks more often than it may."""

    def __init__(self, key: Key, wait: float) -> None:
        sentence = f"the key {key.name} may ask {key.per_minute:,} times a minute"
        errors = refused(429, f"{sentence}; try again in {wait:.1f} s").errors
        super().__init__(429, errors, wait)


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
