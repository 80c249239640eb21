"""Find which distributions installed the modules that code imports, and their versions."""

import os
import platform
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

from pipeline.staleness.static_analysis.module_search import ModuleSearch

ABSENT = "none"  # the version of what is not installed
METADATA_SUFFIXES = (".dist-info", ".egg-info", ".egg-link")


def providing_distributions(module_names: Iterable[str]) -> list[str]:
    """Return the names of the distributions that installed the modules or their packages."""
    top_level_names = {name.partition(".")[0] for name in module_names}
    record_entries = [
        entry
        for name in top_level_names
        for entry in (f"\n{name}/", f"\n{name}.py,", f"\n{name}.cpython-")
    ]
    return sorted(
        distribution.name
        for distribution, record in _installed_distributions(_path_version())
        if any(entry in record for entry in record_entries)
    )


@cache  # one entry per version of the path, as packages may be installed while the runner works
def _installed_distributions(
    _path_version: tuple[int, ...],
) -> list[tuple[metadata.Distribution, str]]:
    """Return each distribution with its list of files as one text.

    `importlib.metadata.packages_distributions` would take 0.5 s.
    """
    return [
        (distribution, "\n" + (distribution.read_text("RECORD") or ""))
        for distribution in metadata.distributions()
    ]


def package_version(name: str, notebook_folder: Path) -> str:
    """Return the version of python, of a distribution, or of a module of that name.

    ABSENT if it is not installed; of a module that is not, the path at which it is found.
    """
    if name == "python":
        return platform.python_version()
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return _module_version(name, notebook_folder)


def _module_version(name: str, notebook_folder: Path) -> str:
    search = ModuleSearch(notebook_folder)
    location = search.locate(name)
    if location is None or location.file is None:
        return ABSENT
    versions: list[str] = []
    if search.is_installed(location.file):
        versions = [metadata.version(name) for name in providing_distributions([name])]
    return ", ".join(versions) or str(location.file)


def is_listed(distribution: str, version: str) -> bool:
    """Return whether the version is installed, as the name of a folder of the path tells.

    It reads no file, unlike `package_version`, and may miss a version.
    """
    folder_name = f"{re.sub(r'[-_.]+', '_', distribution)}-{version}.dist-info".lower()
    for path in sys.path:
        folder_names = _metadata_folders(path or ".", _mtime_ns(path or "."))
        if folder_name in folder_names:
            return True
        if any(name.startswith(folder_name.partition("-")[0] + "-") for name in folder_names):
            return False  # another version, which takes precedence
    return False


def _mtime_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - a hundred times in each plan
    except OSError:
        return 0


def _path_version() -> tuple[int, ...]:
    return tuple(_mtime_ns(path or ".") for path in sys.path)


@cache  # one entry per version of a folder
def _metadata_folders(path: str, _mtime_ns: int) -> frozenset[str]:
    try:
        names = os.listdir(path)  # noqa: PTH208
    except OSError:
        return frozenset()
    return frozenset(name.lower() for name in names if name.endswith(METADATA_SUFFIXES))
