"""Parquet files are opened by Arrow's own C++: the Python around it says which."""

import functools
import importlib.machinery
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

# module -> function -> how it opens the path that is its second argument, after self or the frame
OPEN_FUNCTIONS = {
    "pyarrow.parquet.core": {
        "ParquetFile.__init__": "r",
        "ParquetDataset.__init__": "r",
        "ParquetWriter.__init__": "w",
    },
    "pandas.io.parquet": {"to_parquet": "w"},
}
PATH_ARGUMENT_NAMES = ("path", "source", "path_or_paths", "where")  # what that argument is called
AccessRecorder = Callable[[str, str], None]


def install(record_access: AccessRecorder) -> None:
    """Has the paths noted, whether the modules are imported already or will be."""
    for name in OPEN_FUNCTIONS:
        if name in sys.modules:
            _wrap_module(sys.modules[name], record_access)
    sys.meta_path.insert(0, _WrappingFinder(record_access))


class _WrappingFinder:
    """Finds those modules, and wraps their functions once they have run."""

    def __init__(self, record_access: AccessRecorder) -> None:
        self.record_access = record_access

    def find_spec(self, name: str, path: Any = None, _target: Any = None) -> Any:
        if name not in OPEN_FUNCTIONS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec and spec.loader:
            run = spec.loader.exec_module

            def run_and_wrap(module: ModuleType) -> None:
                run(module)
                _wrap_module(module, self.record_access)

            spec.loader.exec_module = run_and_wrap
        return spec


def _wrap_module(module: ModuleType, record_access: AccessRecorder) -> None:
    for name, kind in OPEN_FUNCTIONS[module.__name__].items():
        owner, _, function = name.rpartition(".")
        holder = getattr(module, owner, None) if owner else module
        if hasattr(holder, function):
            setattr(
                holder, function, _wrap_function(getattr(holder, function), kind, record_access)
            )


def _wrap_function(
    function: Callable[..., Any], kind: str, record_access: AccessRecorder
) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        named = [options[one] for one in PATH_ARGUMENT_NAMES if one in options]
        where = arguments[1] if len(arguments) > 1 else named[0] if named else None
        for one in where if isinstance(where, list) else [where]:
            if isinstance(one, str | os.PathLike):
                record_access(kind, os.fspath(one))
        return function(*arguments, **options)

    return wrapper
