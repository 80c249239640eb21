"""Authenticate requests by API key. Without a file of keys, every client may send requests.

A key is 32 random bytes, so that one round of SHA-256 hides it as well as a slow hash would; the
file holds hashes only. `python -m app.cli.keys` writes it; the service rereads it when it changes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.auth.rate_limit import RateLimiter
from app.problem_details import RequestError, request_error

PUBLIC_PATHS = ("/health", "/ready", "/ping")  # for monitoring; they reveal little
SHA256_HEX_PATTERN = re.compile(r"[0-9a-f]{64}")
MAX_REQUESTS_PER_MINUTE = 1_000_000_000
KEY_FILE_CHECK_SECONDS = 1.0  # seconds between two checks whether the file has changed
MISSING_KEY_MESSAGE = (
    "this service needs an API key: send it as the header X-API-Key, "
    "or as Authorization: Bearer KEY"
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ApiKey:
    """What the file holds of a key. Raises ValueError for a value that it may not have."""

    name: str
    sha256: str
    per_minute: int  # requests; 0 for any number

    def __post_init__(self) -> None:
        name, limit = self.name, self.per_minute
        # a name must fit on one line of the log
        if not isinstance(name, str) or not name.isprintable() or not 1 <= len(name) <= 100:
            raise ValueError(f"the name is {name!r}, expected 1 to 100 characters on one line")
        if not isinstance(self.sha256, str) or not SHA256_HEX_PATTERN.fullmatch(self.sha256):
            raise ValueError(f"sha256 of {name} is not 64 hex digits")
        if type(limit) is not int or not 0 <= limit <= MAX_REQUESTS_PER_MINUTE:
            expected = f"a number from 0 to {MAX_REQUESTS_PER_MINUTE:,}"
            raise ValueError(
                f"the requests per minute of {name} are {limit!r}, expected {expected}"
            )


def hash_key(key: str) -> str:
    """Return the SHA-256 of a key as hex digits, which is all that is stored of it."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(keys_file: Path) -> list[ApiKey]:
    """Return the keys of a file; none if there is no file.

    Raises ValueError for a damaged file: a service whose keys cannot be read must not run as if it
    needed none.
    """
    try:
        records = json.loads(keys_file.read_bytes())
        if not isinstance(records, list):
            raise ValueError("it is not a list")
        return [
            ApiKey(record["name"], record["sha256"], record["per_minute"]) for record in records
        ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{keys_file} cannot be read as a file of API keys: {error}") from error


class ApiKeyAuth:
    """Check the API keys of requests in one worker. The rate limits are shared by all workers.

    A file that is removed or damaged while the service runs leaves no valid key: every request is
    refused then.
    """

    def __init__(self, keys_file: Path) -> None:
        self.keys_file, self.required = keys_file, keys_file.exists()
        self._keys: list[ApiKey] = []
        self._file_signature: tuple[int, int] | None = None  # modification time, inode
        self._next_check_at = 0.0
        self._rate_limiter = RateLimiter(keys_file.with_suffix(".limits"))

    def authenticate(self, headers: Mapping[str, str]) -> str | None:
        """Return the name of a request's API key; None where no key is needed.

        headers: with lower-case names. Raises RequestError with status 401 for a missing or
        unknown key, RateLimitExceededError (429) for one that is over its limit.
        """
        self._reload_if_changed()
        if not self.required:
            return None
        key = _key_from_headers(headers)
        if not key:
            raise request_error(401, MISSING_KEY_MESSAGE)
        api_key = self._find_key(hash_key(key))
        if api_key is None:
            raise request_error(401, "the API key is unknown, or was revoked")
        if api_key.per_minute:
            wait_seconds = self._rate_limiter.acquire(api_key.sha256, api_key.per_minute)
            if wait_seconds:
                raise RateLimitExceededError(api_key, wait_seconds)
        return api_key.name

    def _find_key(self, sha256: str) -> ApiKey | None:
        match = None
        for api_key in self._keys:  # all of them, so that the time taken reveals nothing
            if hmac.compare_digest(sha256, api_key.sha256):
                match = api_key
        return match

    def _reload_if_changed(self) -> None:
        current_time = time.monotonic()
        if current_time < self._next_check_at:
            return
        self._next_check_at = current_time + KEY_FILE_CHECK_SECONDS
        try:
            stat = self.keys_file.stat()
            signature = stat.st_mtime_ns, stat.st_ino
            if signature != self._file_signature:
                self.required = True
                self._keys = read_keys(self.keys_file)
                self._file_signature = signature
        except FileNotFoundError:  # if keys were required before, none is valid any more
            self._keys, self._file_signature = [], None
        except (OSError, ValueError) as error:  # no key is valid until the file is repaired
            self._keys, self._file_signature, self.required = [], None, True
            logger.error("the API keys cannot be read: %s", error)


class RateLimitExceededError(RequestError):
    """Raised if an API key sends more requests than its limit allows."""

    def __init__(self, api_key: ApiKey, retry_after_seconds: float) -> None:
        message = (
            f"the key {api_key.name} may send {api_key.per_minute:,} requests a minute; "
            f"try again in {retry_after_seconds:.1f} s"
        )
        super().__init__(429, request_error(429, message).errors, retry_after_seconds)


def _key_from_headers(headers: Mapping[str, str]) -> str:
    """Return the key that a request sends, or ""; a browser sends it as a password."""
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
    try:
        return base64.b64decode(encoded_credentials, validate=True).decode().partition(":")[2]
    except ValueError:  # of base64's, too
        return ""
