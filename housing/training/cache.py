"""A cache of what tasks have computed, in var/searches/ by joblib: a stopped search resumes.

One entry for each task, written by the process that started the tasks, so that workers need no
access to it. Entries are pickles of this machine's own results: no registered model is one.
"""

import hashlib
import inspect
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from joblib import Memory
from joblib.memory import MemorizedFunc

from housing import geography, paths
from housing.inference import neighbors
from housing.models import blend, boosted_trees, families, features, mlp
from housing.training.executors import TaskRunner

MAX_CACHE_MB = 500
# code and packages that decide what a model is: a change of one of them makes other cache keys
MODEL_MODULES = (blend, boosted_trees, features, families, neighbors, mlp, geography)
CACHE_KEY_PACKAGES = ("scikit-learn", "lightgbm", "pykdtree", "numpy", "joblib")


def folder() -> Path:
    """Return the folder of the cache, and of the rows that tasks read."""
    return paths.var() / "searches"


def code_fingerprint() -> str:
    """Return a hash of the code and the package versions that decide what a model is."""
    sources = [inspect.getsource(module) for module in MODEL_MODULES]
    versions = [version(package) for package in CACHE_KEY_PACKAGES]
    return hashlib.sha256(repr((sources, versions)).encode()).hexdigest()[:16]


def run_cached(
    run_tasks: TaskRunner, function: Callable[..., Any], tasks: Sequence[tuple]
) -> list[Any]:
    """Return the result of each task; run those without one, and cache each as it arrives.

    function, tasks: as `executors.TaskRunner` takes them; no result is None. The key of a result is
    the function's name, its arguments (of a path its name), and `code_fingerprint`.
    """
    memory = Memory(folder(), verbose=0)
    cached_result = memory.cache(_require_result, ignore=["result"])
    fingerprint = code_fingerprint()
    keys = [(function.__name__, fingerprint, *map(_portable_argument, task)) for task in tasks]
    results = [_load(cached_result, key) for key in keys]
    missing = [number for number, result in enumerate(results) if result is None]
    if missing:
        arrivals = run_tasks(function, [tasks[number] for number in missing])
        for number, result in zip(missing, arrivals, strict=True):
            results[number] = cached_result(keys[number], result)
        memory.reduce_size(bytes_limit=int(MAX_CACHE_MB * 1e6))  # the least recently read go
    return results


class _UncachedError(LookupError):
    """Raised if there is no cached result, so that joblib stores none."""


def _require_result(key: tuple, result: Any) -> Any:
    """Return the result. joblib calls this only where it has none for the key."""
    if result is None:
        raise _UncachedError
    return result


def _load(cached_result: MemorizedFunc, key: tuple) -> Any:
    """Return the cached result; None if there is none, or its file cannot be read."""
    try:
        reference = cached_result.call_and_shelve(key, None)
    except _UncachedError:
        return None
    try:
        return reference.get()
    except Exception as error:  # a damaged pickle may raise anything
        reference.clear()
        reason = str(error) or type(error).__name__
        warnings.warn(
            f"a result of {key[0]} in {folder()} cannot be read ({reason}): it is computed again",
            stacklevel=2,
        )
        return None


def _portable_argument(argument: Any) -> Any:
    return argument.name if isinstance(argument, Path) else argument
