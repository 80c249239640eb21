"""Explain errors of the operating system that come from where a command is run."""

import errno
import os
from pathlib import Path

FOLDER_ERRORS = {
    errno.EROFS: "the file system is read-only; make it writable, or use another home",
    errno.EACCES: "permission denied; change its owner or its mode, or use another home",
    errno.EPERM: "not permitted; change its owner or its attributes, or use another home",
    errno.ENOSPC: "the disk is full; free some space, or use another home",
    errno.EDQUOT: "the disk quota is used up; free some space, or use another home",
}
FILE_LIMIT_ERRORS = {
    errno.EMFILE: "too many open files; raise the limit first, as by: ulimit -n 1024",
    errno.ENFILE: "the machine has too many open files; end some programs first",
}


def explain_os_error(error: OSError) -> str:
    """Return a sentence that names the folder and the way out; empty for any other error."""
    number = error.errno or 0
    if number in FOLDER_ERRORS and error.filename is not None:
        folder = Path(os.fsdecode(error.filename)).parent
        return f"cannot use the folder {folder}: {FOLDER_ERRORS[number]}"
    return FILE_LIMIT_ERRORS.get(number, "")
