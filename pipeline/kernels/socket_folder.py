"""The temporary folder of the sockets of a run, whose paths the system limits."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

# a socket's path may have 107 bytes; the folder and the names in it take up to 50 of them
MAX_TMPDIR_BYTES = 55


def make_socket_folder() -> Path:
    """Make a temporary folder whose sockets have paths that the system takes.

    In TMPDIR if that is short enough, else in /tmp. Raises OSError.
    """
    folder = tempfile.gettempdir()
    is_short = len(os.fsencode(folder)) <= MAX_TMPDIR_BYTES
    return Path(tempfile.mkdtemp(prefix="run-", dir=folder if is_short else "/tmp"))


@contextlib.contextmanager
def temporary_socket_folder() -> Iterator[Path]:
    """Make such a folder, and delete it with the block."""
    folder = make_socket_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
