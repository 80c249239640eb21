"""Which modules a kernel finds on sys.path that were not there when packages were preloaded."""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class SearchPath:
    """sys.path, compared with what it was. preload_path: when packages were preloaded."""

    def __init__(self, preload_path: list[str]) -> None:
        self.preload_path = set(preload_path)

    def added_spec(self, name: str) -> ModuleSpec | None:
        """Return a top-level module in a folder that was not on the path."""
        for entry in sys.path:
            if isinstance(entry, str) and entry not in self.preload_path:
                spec = PathFinder.find_spec(name, [entry])
                if spec:
                    return spec
        return None

    def shadowing_spec(self, name: str, module: ModuleType | None) -> ModuleSpec | None:
        """Return the module that a new process would import in place of a preloaded one."""
        if name in sys.builtin_module_names or not self.added_spec(name):
            return None
        spec = PathFinder.find_spec(name, [entry for entry in sys.path if isinstance(entry, str)])
        original = getattr(module, "__spec__", None)
        if spec is None or original is None or spec.origin == original.origin:
            return None
        return spec

    def lacks(self, name: str) -> bool:
        """Return whether a top-level module is no longer found, as its folder left the path."""
        folders = {entry for entry in sys.path if isinstance(entry, str)}
        if self.preload_path <= folders or name in sys.builtin_module_names:
            return False
        was_found = PathFinder.find_spec(name, sorted(self.preload_path)) is not None
        return was_found and PathFinder.find_spec(name, sorted(folders)) is None
