"""A cache of trained models and their predictions in var/searches/, kept between runs.

Models as skops files, predictions as NumPy arrays, never pickles. The least recently used files are
deleted first.
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

from housing import geography, paths
from housing.inference import neighbors
from housing.models import blend, families, features, mlp, persistence

MAX_CACHE_MB = 500
# code and packages that decide what a model is: a change of one of them makes other cache keys
MODEL_MODULES = (blend, features, families, neighbors, mlp, geography)
CACHE_KEY_PACKAGES = ("scikit-learn", "lightgbm", "pykdtree", "numpy", "skops")
READ_ERRORS = (OSError, ValueError, KeyError, BadZipFile, UntrustedTypesFoundException)


def code_fingerprint() -> str:
    """Return the source code that decides what a model is."""
    return "".join(inspect.getsource(module) for module in MODEL_MODULES)


def cache_key(*inputs: Any) -> str:
    """Return 16 hexadecimal digits for these inputs, this code and the installed packages."""
    versions = [version(package) for package in CACHE_KEY_PACKAGES]
    description = repr((inputs, code_fingerprint(), versions))
    return hashlib.sha256(description.encode()).hexdigest()[:16]


def load_model(key: str) -> RegressorMixin | None:
    """Load the model that was saved under a key; return None if none can be read."""
    return _load_file(
        f"{key}.skops", lambda content: io.loads(content, trusted=persistence.TRUSTED_TYPES)
    )


def save_model(key: str, model: RegressorMixin) -> None:
    """Save a trained model under a key."""
    _save_file(f"{key}.skops", io.dumps(model))


def load_predictions(key: str) -> np.ndarray | None:
    """Load the predictions that were saved under a key; return None if none can be read."""
    return _load_file(f"{key}.npy", lambda content: np.load(BytesIO(content), allow_pickle=False))


def save_predictions(key: str, predictions: np.ndarray) -> None:
    """Save predictions under a key."""
    buffer = BytesIO()
    np.save(buffer, predictions, allow_pickle=False)
    _save_file(f"{key}.npy", buffer.getvalue())


def _cache_folder() -> Path:
    return paths.var() / "searches"


def _load_file(file_name: str, parse: Callable[[bytes], Any]) -> Any:
    path = _cache_folder() / file_name
    try:
        content = parse(path.read_bytes())
        os.utime(path)  # marks it as used: files that were not are deleted before it
    except READ_ERRORS:
        return None
    return content


def _save_file(file_name: str, content: bytes) -> None:
    paths.atomic_write(_cache_folder() / file_name, content)
    _delete_least_used(keep=file_name)


def _delete_least_used(keep: str) -> None:
    """Delete files until the cache is within its size limit, the least recently used first.

    keep: the name of a file to keep, however large.
    """
    folder = _cache_folder()
    entries = []
    for path in (*folder.glob("*.skops"), *folder.glob("*.npy")):
        with contextlib.suppress(FileNotFoundError):  # another process deleted it
            stat = path.stat()
            entries.append((stat.st_mtime_ns, stat.st_size, path))
    total_bytes = 0
    for _, n_bytes, path in sorted(entries, reverse=True):
        total_bytes += n_bytes
        if total_bytes > MAX_CACHE_MB * 1e6 and path.name != keep:
            path.unlink(missing_ok=True)
