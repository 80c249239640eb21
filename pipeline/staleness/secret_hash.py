"""Keyed hashes of secrets: another value is noticed, and none can be guessed without the key."""

import hashlib
import hmac
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

KEY_BYTES = 32
KEY_ID_CHARS = 8


def hash_secrets(variables: Iterable[str], key_file: Path) -> dict[str, str]:
    """Return variable -> hash of its present value: the id of the key, a colon, and the HMAC."""
    values = {name: os.environ.get(name, "") for name in sorted(variables)}
    if not values:
        return {}
    key = _read_key(key_file) or _create_key(key_file)
    return {name: f"{_key_id(key)}:{_digest(key, f'{name}={values[name]}')}" for name in values}


def describe_secret_change(variable: str, recorded: str, current: str) -> str:
    """Return how a secret has changed, as a sentence; empty if its hash is the same."""
    if recorded == current:
        return ""
    if recorded.partition(":")[0] != current.partition(":")[0]:
        return f"whether {variable} has changed is unknown, as the key of its hash is another"
    return f"the value of {variable} has changed"


def _digest(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(errors="surrogateescape"), hashlib.sha256).hexdigest()


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"id of " + key).hexdigest()[:KEY_ID_CHARS]


def _read_key(path: Path) -> bytes:
    """Return the key; empty if there is none, or a damaged one."""
    try:
        key = path.read_bytes()
    except OSError:
        return b""
    return key if len(key) == KEY_BYTES else b""


def _create_key(path: Path) -> bytes:
    """Create the key, which only its owner may read; return that of whoever is first."""
    key = _process_key()
    temporary_path = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():  # damaged
            path.unlink()
        descriptor = os.open(temporary_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(descriptor)
        try:
            path.hardlink_to(temporary_path)
        finally:
            temporary_path.unlink()
    except OSError:  # another process was faster, or nothing can be written here
        return _read_key(path) or key
    return key


@cache
def _process_key() -> bytes:
    """Return the key of this process, where none can be read or written."""
    return os.urandom(KEY_BYTES)
