"""Tell who opens, lists or looks for a path, by the frames of the code that does so."""

import sysconfig
from types import FrameType
from typing import TypeGuard

from pipeline.staleness.access_kinds import PACKAGE_FOLDERS, RUNNER_PACKAGE, AccessKind

STANDARD_LIBRARY = sysconfig.get_path("stdlib") + "/"
STANDARD_LIBRARY_PREFIXES = (STANDARD_LIBRARY, "<frozen ")
IMPORT_SYSTEM_PREFIXES = (
    f"{STANDARD_LIBRARY}importlib",
    f"{STANDARD_LIBRARY}pkgutil",
    "<frozen importlib",
    "<frozen zip",
)
# modules that read source code in order to show it
SOURCE_READERS = (f"{STANDARD_LIBRARY}linecache", f"{STANDARD_LIBRARY}inspect")
# modules and functions that look for paths for a purpose of their own
INTERNAL_PROBERS = (
    *IMPORT_SYSTEM_PREFIXES,
    *SOURCE_READERS,
    f"{STANDARD_LIBRARY}tempfile",
    f"{RUNNER_PACKAGE}/",
)
INTERNAL_FUNCTIONS = {"realpath", "_joinrealpath", "makedirs", "which", "_access_check"}
SOURCE_READER_FRAMES = 3  # linecache opens a file through tokenize


def is_import_system(frame: FrameType | None) -> TypeGuard[FrameType]:
    """Return whether a frame is of the import system."""
    return frame is not None and frame.f_code.co_filename.startswith("<frozen importlib")


def loads_code(frame: FrameType) -> bool:
    """Return whether a loader opens a file in order to run it, not to hand out its content."""
    return frame.f_back is not None and frame.f_back.f_code.co_name == "get_code"


def shows_source(frame: FrameType | None) -> bool:
    """Return whether a file is opened for the lines of a traceback or for `inspect`."""
    for _ in range(SOURCE_READER_FRAMES):
        if frame is None:
            return False
        if frame.f_code.co_filename.startswith(SOURCE_READERS):
            return True
        frame = frame.f_back
    return False


def listing_kind(frame: FrameType | None) -> AccessKind | None:
    """Return whether a cell or a module of the project lists a folder, or an installed package.

    Returns None if Python does so for an import, or in order to delete the folder. frame: of the
    code that lists.
    """
    while frame:
        file = frame.f_code.co_filename
        if file.startswith(IMPORT_SYSTEM_PREFIXES) or "rmtree" in frame.f_code.co_name:
            return None
        if any(folder in file for folder in PACKAGE_FOLDERS):
            return AccessKind.LISTED_BY_PACKAGE
        if not file.startswith(STANDARD_LIBRARY_PREFIXES):
            return AccessKind.LISTED
        frame = frame.f_back
    return None


def is_probed_by_our_code(frame: FrameType | None) -> bool:
    """Return whether a cell or a module of the project looks for a path; frame: of the looker."""
    while frame:
        file, function = frame.f_code.co_filename, frame.f_code.co_name
        if any(folder in file for folder in PACKAGE_FOLDERS):
            return False
        if file.startswith(INTERNAL_PROBERS):
            return False
        if not file.startswith(STANDARD_LIBRARY_PREFIXES):
            return True
        if function in INTERNAL_FUNCTIONS or "rmtree" in function:
            return False
        frame = frame.f_back
    return False
