"""What a search has made at some cost, kept in var/searches/ so that no later run makes it again.

Models as skops, guesses as NumPy arrays, never pickles. The least used ones make room for others.
"""

import contextlib
import hashlib
import inspect
import os
from collections.abc import Callable
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from sklearn.base import RegressorMixin
from skops import io
from skops.io.exceptions import UntrustedTypesFoundException

from housing import paths
from housing.inference import neighbors
from housing.models import blend, families, features, mlp

MAX_CACHE_MB = 500
CACHE_KEY_PACKAGES = (
    "scikit-learn",
    "lightgbm",
    "pykdtree",
    "numpy",
    "skops",
)  # other ones, other models
READ_ERRORS = (OSError, ValueError, KeyError, BadZipFile, UntrustedTypesFoundException)


def code_fingerprint() -> str:
    """The code that makes the models."""
    return "".join(inspect.getsource(one) for one in (blend, features, families, neighbors, mlp))


def cache_key(*inputs: Any) -> str:
    """Tells apart what is made of that, by this code and these packages."""
    told = repr((inputs, code_fingerprint(), [version(one) for one in CACHE_KEY_PACKAGES]))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def load_model(key: str) -> RegressorMixin | None:
    """The model that was kept under the name; None if there is none that can be read."""
    return _load_file(f"{key}.skops", lambda it: io.loads(it, trusted=families.TRUSTED_TYPES))


def save_model(key: str, model: RegressorMixin) -> None:
    """For the next run that asks."""
    _save_file(f"{key}.skops", io.dumps(model))


def load_predictions(key: str) -> np.ndarray | None:
    """The array that was kept under the name; None if there is none that can be read."""
    return _load_file(f"{key}.npy", lambda it: np.load(BytesIO(it), allow_pickle=False))


def save_predictions(key: str, predictions: np.ndarray) -> None:
    """For the next run that asks."""
    content = BytesIO()
    np.save(content, predictions, allow_pickle=False)
    _save_file(f"{key}.npy", content.getvalue())


def _cache_folder() -> Path:
    return paths.var() / "searches"


def _load_file(file_name: str, parse: Callable[[bytes], Any]) -> Any:
    path = _cache_folder() / file_name
    try:
        found = parse(path.read_bytes())
        os.utime(path)  # used: others make room before it
    except READ_ERRORS:
        return None
    return found


def _save_file(file_name: str, content: bytes) -> None:
    paths.atomic_write(_cache_folder() / file_name, content)
    seen = []
    for one in (*_cache_folder().glob("*.skops"), *_cache_folder().glob("*.npy")):
        with contextlib.suppress(FileNotFoundError):  # another process made room
            stat = one.stat()
            seen.append((stat.st_mtime_ns, stat.st_size, one))
    size = 0
    for _, bytes_, one in sorted(seen, reverse=True):
        size += bytes_
        if size > MAX_CACHE_MB * 1e6 and one.name != file_name:
            one.unlink(missing_ok=True)
