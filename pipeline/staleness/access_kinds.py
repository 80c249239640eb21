"""The kinds of access to files and folders that a kernel's log of accesses tells apart."""

from enum import StrEnum
from pathlib import Path

# files that tools leave beside their results: caches of Python's, and locks
BYPRODUCT_SUFFIXES = (".pyc", ".pyd", ".lock")
PACKAGE_FOLDERS = ("site-packages", "dist-packages")  # of installed packages
RUNNER_PACKAGE = Path(__file__).resolve().parents[1]

# the log has the line "STARTED_MARK TIME_NS", then "KIND SIZE MTIME_NS CTIME_NS INODE PATH" each
STARTED_MARK = "started"
MISSING_STAT = "0 0 0 0"  # the numbers of a path that did not exist


class AccessKind(StrEnum):
    """How code accesses a file or a folder."""

    READ = "read"
    WRITTEN = "written"
    APPENDED = "appended"
    MODULE = "module"  # source code that Python's import system loads
    LISTED = "listed"  # a folder, by a cell or by a module of the project
    LISTED_BY_PACKAGE = "listed-by-package"  # a folder, by an installed package
    CREATED = "created"  # a new folder
    PROBED = "probed"  # a path whose existence matters: missing when opened, or asked for
    PROBED_BY_PACKAGE = "probed-by-package"  # ... by an installed package
    PASSED = "passed"  # a file that the command line of another program names, or that is looked at


def missing_modules_path(access_log: Path) -> Path:
    """Return the file of the modules that a kernel did not find, beside its log of accesses."""
    return access_log.with_suffix(".missing")


def loaded_modules_path(access_log: Path) -> Path:
    """Return the file of the modules that a kernel had loaded at its end: its own, then others."""
    return access_log.with_suffix(".loaded")
