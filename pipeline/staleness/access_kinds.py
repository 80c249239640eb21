"""The kinds of access to files and folders that a kernel's log of accesses tells apart."""

from enum import StrEnum
from pathlib import Path

# files that the interpreter and its libraries read for themselves
IGNORED_SUFFIXES = (".py", ".pyc", ".so", ".pyd", ".lock")
PACKAGE_FOLDERS = ("site-packages", "dist-packages")  # of installed packages
RUNNER_PACKAGE = Path(__file__).resolve().parents[1]


class AccessKind(StrEnum):
    """How code accesses a file or a folder."""

    READ = "read"
    WRITTEN = "written"
    APPENDED = "appended"
    MODULE = "module"  # a module of the project that is imported
    LISTED = "listed"  # a folder, by a cell or by a module of the project
    LISTED_BY_PACKAGE = "listed-by-package"  # a folder, by an installed package


def missing_modules_path(access_log: Path) -> Path:
    """Return the file of the modules that a kernel did not find, beside its log of accesses."""
    return access_log.with_suffix(".missing")
