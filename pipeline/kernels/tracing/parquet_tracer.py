"""Records the Parquet files that Arrow's C++ opens, by wrapping the Python functions around it."""

import functools
import importlib.machinery
import os
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from pipeline.staleness.access_kinds import AccessKind

# module -> function -> how it opens the path that is its second argument, after self or the frame
OPEN_FUNCTIONS = {
    "pyarrow.parquet.core": {
        "ParquetFile.__init__": AccessKind.READ,
        "ParquetDataset.__init__": AccessKind.READ,
        "ParquetWriter.__init__": AccessKind.WRITTEN,
    },
    "pandas.io.parquet": {"to_parquet": AccessKind.WRITTEN},
}
PATH_ARGUMENT_NAMES = ("path", "source", "path_or_paths", "where")  # the names of that argument
AccessRecorder = Callable[[AccessKind, str], None]  # called with the path


def install(record_access: AccessRecorder, modules: Mapping[str, ModuleType]) -> None:
    """Have `record_access` called for each path, whether the modules are imported yet or not.

    modules: those that code may import without loading them.
    """
    for name in OPEN_FUNCTIONS:
        if name in modules:
            _wrap_module(modules[name], record_access)
    sys.meta_path.insert(0, _WrappingFinder(record_access))


class _WrappingFinder:
    """An import finder that wraps the functions of those modules once they are imported."""

    def __init__(self, record_access: AccessRecorder) -> None:
        self.record_access = record_access

    def find_spec(self, name: str, path: Any = None, _target: Any = None) -> Any:
        """Return the module's spec with a loader that wraps; None for all other modules."""
        if name not in OPEN_FUNCTIONS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec and spec.loader:
            exec_module = spec.loader.exec_module

            def exec_and_wrap(module: ModuleType) -> None:
                exec_module(module)
                _wrap_module(module, self.record_access)

            spec.loader.exec_module = exec_and_wrap  # type: ignore[method-assign]
        return spec


def _wrap_module(module: ModuleType, record_access: AccessRecorder) -> None:
    for name, kind in OPEN_FUNCTIONS[module.__name__].items():
        class_name, _, function_name = name.rpartition(".")
        owner = getattr(module, class_name, None) if class_name else module
        if hasattr(owner, function_name):
            wrapped = _wrap_function(getattr(owner, function_name), kind, record_access)
            setattr(owner, function_name, wrapped)


def _wrap_function(
    function: Callable[..., Any], kind: AccessKind, record_access: AccessRecorder
) -> Callable[..., Any]:
    """Return the function, which also records the path, or the list of paths, it is called with."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        named_paths = [options[name] for name in PATH_ARGUMENT_NAMES if name in options]
        paths = arguments[1] if len(arguments) > 1 else named_paths[0] if named_paths else None
        for path in paths if isinstance(paths, list) else [paths]:
            if isinstance(path, str | os.PathLike):
                record_access(kind, os.fspath(path))
                if kind is AccessKind.READ:
                    _record_partitions(os.fspath(path), record_access)
        return function(*arguments, **options)

    return wrapper


def _record_partitions(path: str, record_access: AccessRecorder) -> None:
    """Record the files below a folder that is read as one table, and each folder in it."""
    for folder, _, names in os.walk(path):
        record_access(AccessKind.LISTED, folder)
        for name in names:
            record_access(AccessKind.READ, os.path.join(folder, name))  # noqa: PTH118
