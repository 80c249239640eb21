"""Find the files of modules by their names, as a kernel finds them, without importing any."""

import os
import sys
from collections.abc import Iterable, Iterator
from importlib import util
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path
from typing import NamedTuple

from pipeline.staleness.access_kinds import PACKAGE_FOLDERS, RUNNER_PACKAGE

SUFFIXES = (".py", ".pyc", ".so", ".pyd")
MODULE_SUFFIXES = (*EXTENSION_SUFFIXES, ".py", ".pyc")  # in the order in which Python looks


class ModuleLocation(NamedTuple):
    """Where a module is."""

    file: Path | None  # none of a namespace: a package without __init__.py
    folders: tuple[Path, ...] = ()  # of a package, that hold its modules


class ModuleFile(NamedTuple):
    """A file that importing a module runs."""

    path: Path
    package: str  # from which its relative imports start


class ModuleSearch:
    """A search from one notebook at one moment."""

    def __init__(self, notebook_folder: Path) -> None:
        self.notebook_folder = notebook_folder
        self._entries: dict[Path, frozenset[str]] = {}  # folder -> the names in it

    def find_ours(self, name: str) -> ModuleLocation | None:
        """Return where a top-level module of ours is; None if the name is installed or unknown.

        Ours are the modules that Python finds beside the notebook or on its path, but not among the
        installed packages.
        """
        if name in sys.builtin_module_names:
            return None
        location = self._look_in(name, [self.notebook_folder])
        if location and location.file:
            return location
        if name in sys.stdlib_module_names:
            return None
        location = self.locate(name)
        if location is None:
            return None
        if location.file is None:
            our_folders = [folder for folder in location.folders if not self.is_installed(folder)]
            return ModuleLocation(None, tuple(our_folders)) if our_folders else None
        if location.file.suffix not in SUFFIXES or self.is_installed(location.file):
            return None
        file = location.file.resolve()  # one module, by whichever link it was reached
        return ModuleLocation(file, (file.parent,) if location.folders else ())

    def iter_files(self, name: str, location: ModuleLocation) -> Iterator[ModuleFile]:
        """Yield each file that importing a module of ours runs. location: of its top package."""
        names = name.split(".")
        found_location: ModuleLocation | None = location
        for index in range(len(names)):
            if index:
                found_location = self._look_in(names[index], location.folders)
            if found_location is None:
                return
            location = found_location
            if location.file:
                n_package_names = index + 1 if location.folders else index
                yield ModuleFile(location.file, ".".join(names[:n_package_names]))

    def locate(self, name: str) -> ModuleLocation | None:
        """Return where a module is, ours or not; None if it cannot be imported from the notebook.

        Of a module in a package with __init__.py that of the package, which is not searched.
        """
        top_level_name, *other_names = name.split(".")
        spec = PathFinder.find_spec(top_level_name, [str(self.notebook_folder), *sys.path])
        if spec is None:
            try:
                spec = util.find_spec(top_level_name)  # by that of an editable install
            except (ImportError, ValueError):
                return None
        if spec is None:
            return None
        folders = tuple(map(Path, spec.submodule_search_locations or ()))
        location: ModuleLocation | None = ModuleLocation(
            Path(spec.origin) if spec.origin else None, folders
        )
        for other_name in other_names:
            if location is None or location.file:
                break
            location = self._look_in(other_name, location.folders)
        return location

    def is_installed(self, path: Path) -> bool:
        """Return whether a file belongs to an installed package, which may be a link to a cache."""
        return any(
            set(PACKAGE_FOLDERS).intersection(self._own_parts(file))
            for file in (path, path.resolve())
        )

    def is_runner(self) -> bool:
        """Return whether the name of the runner's package means the runner, from a notebook."""
        location = self.find_ours(RUNNER_PACKAGE.name)
        return location is None or RUNNER_PACKAGE in location.folders

    def _look_in(self, name: str, folders: Iterable[Path]) -> ModuleLocation | None:
        """Return the module of that name in the first folder that has it, as Python does."""
        namespace_folders = []
        for folder in folders:
            path = folder / name
            is_folder = name in self.entries(folder) and path.is_dir()
            candidates = [(path, "__init__", (path,))] if is_folder else []
            for parent, stem, package_folders in (*candidates, (folder, name, ())):
                for suffix in MODULE_SUFFIXES:
                    if stem + suffix in self.entries(parent):
                        return ModuleLocation(parent / (stem + suffix), package_folders)
            if is_folder:
                namespace_folders.append(path)
        return ModuleLocation(None, tuple(namespace_folders)) if namespace_folders else None

    def _own_parts(self, path: Path) -> tuple[str, ...]:
        """Return the names in a path below the last folder that the notebook is in too."""
        return path.relative_to(os.path.commonpath([path, self.notebook_folder])).parts

    def entries(self, folder: Path) -> frozenset[str]:
        """Return the names in a folder, which is read once."""
        if folder not in self._entries:
            try:
                self._entries[folder] = frozenset(os.listdir(folder))  # noqa: PTH208
            except OSError:
                self._entries[folder] = frozenset()
        return self._entries[folder]
