"""Explain errors of the operating system that come from where a command is run."""

import errno
import os
from pathlib import Path

# of the folder in which something was to be written, or that was to be read
FOLDER_ERRORS = {
    errno.EROFS: "the file system is read-only; make it writable, or use another home",
    errno.EACCES: "permission denied; change its owner or its mode, or use another home",
    errno.EPERM: "not permitted; change its owner or its attributes, or use another home",
    errno.ENOSPC: "the disk is full; free some space, or use another home",
    errno.EDQUOT: "the disk quota is used up; free some space, or use another home",
    errno.EIO: "its disk has an input/output error; use another home",
}
# of the path itself
PATH_ERRORS = {
    errno.EISDIR: "expected a file, but it is a folder; move it away",
    errno.ENOTDIR: "expected a folder, but it is a file; move it away",
    errno.EEXIST: "expected a folder, but it is a file, or a link to nothing; move it away",
    errno.ELOOP: "it is a link that leads to itself; delete it",
    errno.ENAMETOOLONG: "the name is too long; use a shorter one, or another home",
}
FILE_LIMIT_ERRORS = {
    errno.EMFILE: "too many open files; raise the limit first, as by: ulimit -n 1024",
    errno.ENFILE: "the machine has too many open files; end some programs first",
}


def describe_error(error: Exception) -> str:
    """Return what went wrong and the way out, where that is known; else the error's own text."""
    explanation = explain_os_error(error) if isinstance(error, OSError) else ""
    return explanation or str(error) or type(error).__name__


def explain_os_error(error: OSError) -> str:
    """Return a sentence that names the path and the way out; empty for any other error."""
    number = error.errno or 0
    if number in FILE_LIMIT_ERRORS:
        return FILE_LIMIT_ERRORS[number]
    if error.filename is None or isinstance(error.filename, int):
        return ""
    path = Path(os.fsdecode(error.filename2 or error.filename))
    if number in FOLDER_ERRORS:
        blocked_path = _blocked_path(path)
        kind = "file" if blocked_path == path and not path.is_dir() else "folder"
        return f"cannot use the {kind} {blocked_path}: {FOLDER_ERRORS[number]}"
    if number in PATH_ERRORS and not (number == errno.EEXIST and path.is_dir()):
        files = (ancestor for ancestor in reversed(path.parents) if ancestor.is_file())
        blocked_path = next(files, path) if number == errno.ENOTDIR else path
        return f"cannot use {blocked_path}: {PATH_ERRORS[number]}"
    return ""


def _blocked_path(path: Path) -> Path:
    """Return the outermost folder that may not be entered, the path if it may not be read.

    Else the path's folder, in which nothing may be written.
    """
    for folder in reversed(path.parents):
        if not os.access(folder, os.X_OK):
            return folder
    return path if path.exists() and not os.access(path, os.R_OK) else path.parent
