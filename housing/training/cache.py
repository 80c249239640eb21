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

ROOM_MB = 500
MAKERS = ("scikit-learn", "lightgbm", "pykdtree", "numpy", "skops")  # other ones, other models
UNREADABLE = (OSError, ValueError, KeyError, BadZipFile, UntrustedTypesFoundException)


def made_by() -> str:
    """The code that makes the models."""
    return "".join(inspect.getsource(one) for one in (blend, features, families, neighbors, mlp))


def name(*of: Any) -> str:
    """Tells apart what is made of that, by this code and these packages."""
    told = repr((of, made_by(), [version(one) for one in MAKERS]))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def model(name: str) -> RegressorMixin | None:
    """The model that was kept under the name; None if there is none that can be read."""
    return _read(f"{name}.skops", lambda it: io.loads(it, trusted=families.TRUSTED_TYPES))


def keep_model(name: str, made: RegressorMixin) -> None:
    """For the next run that asks."""
    _write(f"{name}.skops", io.dumps(made))


def guesses(name: str) -> np.ndarray | None:
    """The array that was kept under the name; None if there is none that can be read."""
    return _read(f"{name}.npy", lambda it: np.load(BytesIO(it), allow_pickle=False))


def keep_guesses(name: str, made: np.ndarray) -> None:
    """For the next run that asks."""
    content = BytesIO()
    np.save(content, made, allow_pickle=False)
    _write(f"{name}.npy", content.getvalue())


def _folder() -> Path:
    return paths.var() / "searches"


def _read(file: str, parse: Callable[[bytes], Any]) -> Any:
    path = _folder() / file
    try:
        found = parse(path.read_bytes())
        os.utime(path)  # used: others make room before it
    except UNREADABLE:
        return None
    return found


def _write(file: str, content: bytes) -> None:
    paths.write_whole(_folder() / file, content)
    seen = []
    for one in (*_folder().glob("*.skops"), *_folder().glob("*.npy")):
        with contextlib.suppress(FileNotFoundError):  # another process made room
            stat = one.stat()
            seen.append((stat.st_mtime_ns, stat.st_size, one))
    size = 0
    for _, bytes_, one in sorted(seen, reverse=True):
        size += bytes_
        if size > ROOM_MB * 1e6 and one.name != file:
            one.unlink(missing_ok=True)
