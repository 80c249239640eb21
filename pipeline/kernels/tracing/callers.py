"""Tell who opens, lists or looks for a path, by the frames of the code that does so."""

import sysconfig
from types import FrameType
from typing import TypeGuard

from pipeline.staleness.access_kinds import PACKAGE_FOLDERS, RUNNER_PACKAGE, AccessKind

STANDARD_LIBRARY = sysconfig.get_path("stdlib") + "/"
STANDARD_LIBRARY_PREFIXES = (STANDARD_LIBRARY, "<frozen ")
IMPORT_SYSTEM_PREFIXES = (
    f"{STANDARD_LIBRARY}importlib",
    "<frozen importlib",
    "<frozen zip",
)
MODULE_LISTER = f"{STANDARD_LIBRARY}pkgutil"
NO_LISTERS = (*IMPORT_SYSTEM_PREFIXES, f"{RUNNER_PACKAGE}/")
# modules that read source code in order to show it
SOURCE_READERS = (f"{STANDARD_LIBRARY}linecache", f"{STANDARD_LIBRARY}inspect")
# modules and functions that look for paths for a purpose of their own
INTERNAL_PROBERS = (
    *IMPORT_SYSTEM_PREFIXES,
    *SOURCE_READERS,
    MODULE_LISTER,
    f"{STANDARD_LIBRARY}tempfile",
    f"{RUNNER_PACKAGE}/",
)
KERNEL_PACKAGE = "/IPython/"  # takes what it shows for a name if there is such a file
INTERNAL_FUNCTIONS = {"realpath", "_joinrealpath", "makedirs", "which", "_access_check"}
SOURCE_READER_FRAMES = 3  # linecache opens a file through tokenize
# functions of the standard library that hand out the size or the times of a path
STATE_FUNCTIONS = {"stat", "lstat", "getsize", "getmtime", "getctime", "getatime"}


def is_import_system(frame: FrameType | None) -> TypeGuard[FrameType]:
    """Return whether a frame is of the import system."""
    return frame is not None and frame.f_code.co_filename.startswith("<frozen importlib")


def loads_code(frame: FrameType) -> bool:
    """Return whether a loader opens a file in order to run it, not to hand out its content."""
    return frame.f_back is not None and frame.f_back.f_code.co_name == "get_code"


def shows_source(frame: FrameType | None) -> bool:
    """Return whether a file is opened for the lines of a traceback or for `inspect`.

    Not if our code itself asks `inspect` for them, which makes its comments count.
    """
    n_frames = 0
    while frame and n_frames < SOURCE_READER_FRAMES:
        if frame.f_code.co_filename.startswith(SOURCE_READERS):
            return not _inspects_source(frame)
        frame, n_frames = frame.f_back, n_frames + 1
    return False


def _inspects_source(frame: FrameType) -> bool:
    """Return whether our code asks `inspect` for source code; frame: of a source reader."""
    reader: FrameType | None = frame
    is_inspected = False
    while reader and reader.f_code.co_filename.startswith(SOURCE_READERS):
        is_inspected |= reader.f_code.co_filename.startswith(SOURCE_READERS[1])
        reader = reader.f_back
    return is_inspected and reader is not None and _is_our_code(reader)


def _is_our_code(frame: FrameType) -> bool:
    """Return whether a frame is of a cell or of a module of the project."""
    file = frame.f_code.co_filename
    is_package = any(folder in file for folder in PACKAGE_FOLDERS)
    return not is_package and not file.startswith(STANDARD_LIBRARY_PREFIXES)


def listing_kind(frame: FrameType | None) -> AccessKind | None:
    """Return whether a cell or a module of the project lists a folder, or an installed package.

    Returns None if it is for an import, for the tracer, or in order to delete the folder. frame:
    of the code that lists.
    """
    while frame:
        file = frame.f_code.co_filename
        if file.startswith(NO_LISTERS) or "rmtree" in frame.f_code.co_name:
            return None
        if _lists_all_modules(frame):
            return None
        if any(folder in file for folder in PACKAGE_FOLDERS):
            return AccessKind.LISTED_BY_PACKAGE
        if not file.startswith(STANDARD_LIBRARY_PREFIXES):
            return AccessKind.LISTED
        frame = frame.f_back
    return None


def _lists_all_modules(frame: FrameType) -> bool:
    """Return whether a frame is of pkgutil.iter_modules() for the whole path, not for a package."""
    code = frame.f_code
    is_iteration = code.co_name == "iter_modules" and code.co_filename.startswith(MODULE_LISTER)
    return is_iteration and frame.f_locals.get("path") is None


def probe_kind(frame: FrameType | None) -> AccessKind | None:
    """Return whether a cell or a module of the project looks for a path, or an installed package.

    Returns None if Python does so for a purpose of its own. frame: of the looker.
    """
    while frame:
        file, function = frame.f_code.co_filename, frame.f_code.co_name
        if file.startswith(INTERNAL_PROBERS) or KERNEL_PACKAGE in file:
            return None
        if any(folder in file for folder in PACKAGE_FOLDERS):
            return AccessKind.PROBED_BY_PACKAGE
        if not file.startswith(STANDARD_LIBRARY_PREFIXES):
            return AccessKind.PROBED
        if function in INTERNAL_FUNCTIONS or "rmtree" in function:
            return None
        frame = frame.f_back
    return None


def asks_for_state(frame: FrameType | None) -> bool:
    """Return whether our code gets the size or times of a path, not only whether it is there."""
    while frame and not _is_our_code(frame):
        if frame.f_code.co_name not in STATE_FUNCTIONS:
            return False
        frame = frame.f_back
    return frame is not None
