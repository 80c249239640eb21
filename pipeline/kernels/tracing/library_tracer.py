"""Records the files that libraries open in C or C++, by wrapping the functions around them."""

import functools
import importlib.machinery
import os
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from pipeline.staleness.access_kinds import AccessKind


class Opening(NamedTuple):
    """How a function opens a path."""

    kind: AccessKind
    position: int  # of the argument that is the path, or a list of paths
    name: str  # of that argument


READ, WRITTEN = AccessKind.READ, AccessKind.WRITTEN
OPEN_FUNCTIONS = {
    "pyarrow": {
        "memory_map": Opening(READ, 0, "path"),
        "input_stream": Opening(READ, 0, "source"),
    },
    "pyarrow.parquet.core": {
        "ParquetFile.__init__": Opening(READ, 1, "source"),
        "ParquetDataset.__init__": Opening(READ, 1, "path_or_paths"),
        "ParquetWriter.__init__": Opening(WRITTEN, 1, "where"),
        "read_metadata": Opening(READ, 0, "where"),
        "read_schema": Opening(READ, 0, "where"),
    },
    "pyarrow.csv": {
        "read_csv": Opening(READ, 0, "input_file"),
        "open_csv": Opening(READ, 0, "input_file"),
        "write_csv": Opening(WRITTEN, 1, "output_file"),
    },
    "pyarrow.json": {
        "read_json": Opening(READ, 0, "input_file"),
        "open_json": Opening(READ, 0, "input_file"),
    },
    "pyarrow.feather": {
        "read_table": Opening(READ, 0, "source"),
        "write_feather": Opening(WRITTEN, 1, "dest"),
    },
    "pyarrow.orc": {
        "ORCFile.__init__": Opening(READ, 1, "source"),
        "ORCWriter.__init__": Opening(WRITTEN, 1, "where"),
    },
    "pyarrow.dataset": {"dataset": Opening(READ, 0, "source")},
    "pandas.io.parquet": {"to_parquet": Opening(WRITTEN, 1, "path")},
    "lightgbm.basic": {
        "Dataset.__init__": Opening(READ, 1, "data"),
        "Booster.__init__": Opening(READ, 3, "model_file"),
        "Booster.save_model": Opening(WRITTEN, 1, "filename"),
    },
    "onnxruntime.capi.onnxruntime_inference_collection": {
        "InferenceSession.__init__": Opening(READ, 1, "path_or_bytes"),
    },
    "xgboost.core": {
        "DMatrix.__init__": Opening(READ, 1, "data"),
        "Booster.load_model": Opening(READ, 1, "fname"),
        "Booster.save_model": Opening(WRITTEN, 1, "fname"),
    },
}
RecordAccess = Callable[[AccessKind, str], None]  # called with the path


def install(record_access: RecordAccess, modules: Mapping[str, ModuleType]) -> None:
    """Have `record_access` called for each path, whether the modules are imported yet or not.

    modules: those that code may import without loading them.
    """
    for name in OPEN_FUNCTIONS:
        if name in modules:
            _wrap_module(modules[name], record_access)
    sys.meta_path.insert(0, _WrappingFinder(record_access))


class _WrappingFinder:
    """An import finder that wraps the functions of those modules once they are imported."""

    def __init__(self, record_access: RecordAccess) -> None:
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


def _wrap_module(module: ModuleType, record_access: RecordAccess) -> None:
    for name, opening in OPEN_FUNCTIONS[module.__name__].items():
        class_name, _, function_name = name.rpartition(".")
        owner = getattr(module, class_name, None) if class_name else module
        if hasattr(owner, function_name):
            wrapped = _wrap_function(getattr(owner, function_name), opening, record_access)
            setattr(owner, function_name, wrapped)


def _wrap_function(
    function: Callable[..., Any], opening: Opening, record_access: RecordAccess
) -> Callable[..., Any]:
    """Return the function, which also records the path, or the list of paths, it is called with."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        argument = options.get(opening.name)
        if len(arguments) > opening.position:
            argument = arguments[opening.position]
        for path in argument if isinstance(argument, list) else [argument]:
            if isinstance(path, str | os.PathLike):
                record_access(opening.kind, os.fspath(path))
                if opening.kind is READ:
                    _record_partitions(os.fspath(path), record_access)
        return function(*arguments, **options)

    return wrapper


def _record_partitions(path: str, record_access: RecordAccess) -> None:
    """Record the files below a folder that is read as one table, and each folder in it."""
    for folder, _, names in os.walk(path):
        record_access(AccessKind.LISTED, folder)
        for name in names:
            record_access(AccessKind.READ, os.path.join(folder, name))  # noqa: PTH118
