"""Find which distributions installed the modules that code imports, and what these need."""

import contextlib
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
TOP_LEVEL_PATTERN = re.compile(r"\n([^/,\n.]+)(?:/|\.py,|\.cpython-|\.abi3)")  # in a RECORD
NAME_PATTERN = re.compile(r"[A-Za-z0-9._-]+")  # at the start of a requirement


def providing_distributions(module_names: Iterable[str]) -> list[str]:
    """Return the names of the distributions that installed the modules or their packages."""
    providers = _providers(_path_version())
    top_level_names = {name.partition(".")[0] for name in module_names}
    return sorted({name for module in top_level_names for name in providers.get(module, ())})


@cache  # one entry per version of the path, as packages may be installed while the runner works
def _providers(_path_version: tuple[int, ...]) -> dict[str, list[str]]:
    """Return top-level module -> the names of the distributions that have installed it.

    `importlib.metadata.packages_distributions` would take 0.5 s.
    """
    providers: dict[str, list[str]] = {}
    for distribution in metadata.distributions():
        record = "\n" + (distribution.read_text("RECORD") or "")
        for name in set(TOP_LEVEL_PATTERN.findall(record)):
            providers.setdefault(name, []).append(distribution.name)
    return providers


def find_requirements(names: Iterable[str]) -> set[str]:
    """Return the normalized names of all that distributions need in turn, optional ones included.

    Those that are not installed are left out.
    """
    pending_names = list(names)
    normalized_names: set[str] = set()
    while pending_names:
        for name in _requirements(pending_names.pop(), _path_version()) - normalized_names:
            normalized_names.add(name)
            pending_names.append(name)
    return normalized_names


@cache
def _requirements(name: str, _path_version: tuple[int, ...]) -> frozenset[str]:
    """Return the normalized names of the distributions that one names; empty if not installed."""
    try:
        requirements = metadata.distribution(name).requires or []
    except (metadata.PackageNotFoundError, ValueError):
        return frozenset()
    matches = map(NAME_PATTERN.match, requirements)
    return frozenset(normalize_name(match[0]) for match in matches if match)


def normalize_name(distribution: str) -> str:
    """Return the name as the folder of its metadata has it, by which two spellings are equal."""
    return re.sub(r"[-_.]+", "_", distribution).lower()


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


def was_found(module: str, notebook_folder: Path, time_ns: int) -> bool:
    """Return whether a module that can be imported now was there at a time."""
    location = ModuleSearch(notebook_folder).locate(module)
    return bool(
        location
        and location.file
        and location.file.exists()
        and location.file.lstat().st_ctime_ns < time_ns
    )


def _module_version(name: str, notebook_folder: Path) -> str:
    search = ModuleSearch(notebook_folder)
    location = search.locate(name)
    if location is None or location.file is None:
        return ABSENT
    versions: list[str] = []
    if search.is_installed(location.file):
        versions = [metadata.version(name) for name in providing_distributions([name])]
    return ", ".join(versions) or str(location.file)


def listed_versions() -> dict[str, set[str]]:
    """Return normalized name -> versions of what is installed, as the names of folders tell.

    It reads no file, unlike `package_version`, and may miss some.
    """
    versions: dict[str, set[str]] = {}
    for path in reversed(sys.path):  # the first one takes precedence
        versions.update(_listed_versions(path or ".", _mtime_ns(path or ".")))
    return versions


def installed_since(time_ns: int) -> set[str]:
    """Return the normalized names of what was installed or upgraded at that time or later."""
    names: set[str] = set()
    for path in sys.path:
        if _mtime_ns(path or ".") >= time_ns:
            with contextlib.suppress(OSError), os.scandir(path or ".") as entries:
                names |= {
                    normalize_name(entry.name.partition("-")[0])
                    for entry in entries
                    if entry.name.endswith(METADATA_SUFFIXES)
                    and entry.stat(follow_symlinks=False).st_ctime_ns >= time_ns
                }
    return names


def _mtime_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - a hundred times in each plan
    except OSError:
        return 0


def _path_version() -> tuple[int, ...]:
    return tuple(_mtime_ns(path or ".") for path in sys.path)


@cache  # one entry per version of a folder
def _listed_versions(path: str, _mtime_ns: int) -> dict[str, set[str]]:
    try:
        folder_names = os.listdir(path)  # noqa: PTH208
    except OSError:
        return {}
    versions: dict[str, set[str]] = {}
    for folder_name in folder_names:
        stem, suffix = os.path.splitext(folder_name)  # noqa: PTH122
        if suffix in METADATA_SUFFIXES:
            name, _, version = stem.partition("-")
            is_readable = suffix == ".dist-info"
            versions.setdefault(normalize_name(name), set()).update([version] * is_readable)
    return versions
