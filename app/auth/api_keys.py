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

from app.auth.rate_limit import RateLimiter
from app.problem_details import RequestError, request_error

PUBLIC_PATHS = ("/health", "/ready", "/ping")  # for who watches whether it lives: they say no more
SHA256_HEX_PATTERN = re.compile(r"[0-9a-f]{64}")
MAX_REQUESTS_PER_MINUTE = 1_000_000_000
KEY_FILE_CHECK_SECONDS = 1.0  # seconds between two looks at the file
MISSING_KEY_MESSAGE = ("this service asks for an API key: send it as the header X-API-Key, "
          "or as Authorization: Bearer KEY")  # fmt: skip

logger = logging.getLogger(__name__)


class ApiKey(NamedTuple):
    """What the file holds of a key."""

    name: str
    sha256: str
    per_minute: int  # requests; 0 for any number


def hash_key(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(keys_file: Path) -> list[ApiKey]:
    """The keys of a file; none if there is no file. Raises ValueError for one that is damaged: a
    service whose keys cannot be read must not take that for none."""
    try:
        told = json.loads(keys_file.read_bytes())
        if not isinstance(told, list):
            raise ValueError("it is no list")
        return [_parse_key(one["name"], one["sha256"], one["per_minute"]) for one in told]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as bad:
        raise ValueError(f"{keys_file} holds no keys that can be read: {bad}") from bad


def is_valid_name(name: object) -> bool:
    """Whether a key may be called that: it is one line in the log."""
    return isinstance(name, str) and name.isprintable() and 1 <= len(name) <= 100


def _parse_key(name: object, sha256: object, per_minute: object) -> ApiKey:
    if not is_valid_name(name):
        raise ValueError("a name is not 1 to 100 characters on one line")
    if not isinstance(sha256, str) or not SHA256_HEX_PATTERN.fullmatch(sha256):
        raise ValueError(f"sha256 of {name} is not 64 hex digits")
    if type(per_minute) is not int or not 0 <= per_minute <= MAX_REQUESTS_PER_MINUTE:
        raise ValueError(
            f"per_minute of {name} is not a number from 0 to {MAX_REQUESTS_PER_MINUTE:,}"
        )
    return ApiKey(name, sha256, per_minute)


class ApiKeyAuth:
    """One worker's view of the keys; how much each has asked is shared by all workers."""

    def __init__(self, keys_file: Path) -> None:
        self.keys_file, self.required = keys_file, keys_file.exists()
        self._keys: list[ApiKey] = []
        self._file_signature: tuple[int, int] | None = None
        self._next_check_at = 0.0
        self._rate_limiter = RateLimiter(keys_file.with_suffix(".limits"))

    def authenticate(self, headers: Mapping[str, str]) -> str | None:
        """The name of the key; None where none is needed. Raises Refused: 401, or 429."""
        self._reload_if_changed()
        if not self.required:
            return None
        given = _key_from_headers(headers)
        if not given:
            raise request_error(401, MISSING_KEY_MESSAGE)
        hashed, found = hash_key(given), None
        for one in self._keys:  # all of them, so that the time tells nothing
            if hmac.compare_digest(hashed, one.sha256):
                found = one
        if found is None:
            raise request_error(401, "the API key is unknown, or was revoked")
        if found.per_minute:
            wait = self._rate_limiter.acquire(found.sha256, found.per_minute)
            if wait:
                raise RateLimitExceededError(found, wait)
        return found.name

    def _reload_if_changed(self) -> None:
        now = time.monotonic()
        if now < self._next_check_at:
            return
        self._next_check_at = now + KEY_FILE_CHECK_SECONDS
        try:
            found = self.keys_file.stat()
        except FileNotFoundError:
            self._keys, self._file_signature = (
                [],
                None,
            )  # once there were keys, no file means that none holds
            return
        except OSError as hidden:
            self._keys, self._file_signature, self.required = [], None, True
            logger.error("%s cannot be looked at: %s", self.keys_file, hidden.strerror)
            return
        if (found.st_mtime_ns, found.st_ino) != self._file_signature:
            self.required = True
            try:
                self._keys = read_keys(self.keys_file)
                self._file_signature = found.st_mtime_ns, found.st_ino
            except ValueError as bad:  # then none holds, until it is mended
                self._keys, self._file_signature = [], None
                logger.error("%s", bad)


class RateLimitExceededError(RequestError):
    """Raised if a key asks more often than it may."""

    def __init__(self, api_key: ApiKey, retry_after_seconds: float) -> None:
        sentence = f"the key {api_key.name} may ask {api_key.per_minute:,} times a minute"
        errors = request_error(429, f"{sentence}; try again in {retry_after_seconds:.1f} s").errors
        super().__init__(429, errors, retry_after_seconds)


def _key_from_headers(headers: Mapping[str, str]) -> str:
    """The key that a request brings; a browser that was asked sends it as a password."""
    key = headers.get("x-api-key")
    if key:
        return key
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        return _basic_auth_password(value)
    return ""


def _basic_auth_password(encoded_credentials: str) -> str:
    import base64
    import binascii

    try:
        return base64.b64decode(encoded_credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def init_app(app: Flask) -> None:
    """Lets nobody in without a key where there are keys. The door asks for the lanes itself."""
    guard = app.extensions["guard"] = ApiKeyAuth(Path(app.config["KEYS"]))

    def authenticate_request() -> None:
        g.caller = None
        if request.path not in PUBLIC_PATHS:
            g.caller = guard.authenticate(
                {name.lower(): value for name, value in request.headers.items()}
            )

    app.before_request(authenticate_request)
