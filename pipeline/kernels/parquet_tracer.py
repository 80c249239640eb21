"""Parquet files are opened by Arrow's own C++: the Python around it says which."""

import functools
import importlib.machinery
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

# module -> function -> how it opens the path that is its second argument, after self or the frame
OPENERS = {
    "pyarrow.parquet.core": {
        "ParquetFile.__init__": "r",
        "ParquetDataset.__init__": "r",
        "ParquetWriter.__init__": "w",
    },
    "pandas.io.parquet": {"to_parquet": "w"},
}
NAMES = ("path", "source", "path_or_paths", "where")  # what that argument is called
Note = Callable[[str, str], None]


def watch(note: Note) -> None:
    """Has the paths noted, whether the modules are imported already or will be."""
    for name in OPENERS:
        if name in sys.modules:
            _wrap(sys.modules[name], note)
    sys.meta_path.insert(0, _Finder(note))


class _Finder:
    """Finds those modules, and wraps their functions once they have run."""

    def __init__(self, note: Note) -> None:
        self.note = note

    def find_spec(self, name: str, path: Any = None, _target: Any = None) -> Any:
        if name not in OPENERS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec and spec.loader:
            run = spec.loader.exec_module

            def run_and_wrap(module: ModuleType) -> None:
                run(module)
                _wrap(module, self.note)

            spec.loader.exec_module = run_and_wrap
        return spec


def _wrap(module: ModuleType, note: Note) -> None:
    for name, kind in OPENERS[module.__name__].items():
        owner, _, function = name.rpartition(".")
        holder = getattr(module, owner, None) if owner else module
        if hasattr(holder, function):
            setattr(holder, function, _noting(getattr(holder, function), kind, note))


def _noting(function: Callable[..., Any], kind: str, note: Note) -> Callable[..., Any]:
    @functools.wraps(function)
    def noting(*arguments: Any, **options: Any) -> Any:
        named = [options[one] for one in NAMES if one in options]
        where = arguments[1] if len(arguments) > 1 else named[0] if named else None
        for one in where if isinstance(where, list) else [where]:
            if isinstance(one, str | os.PathLike):
                note(kind, os.fspath(one))
        return function(*arguments, **options)

    return noting
