"""Keep runs that score into the same target apart, and clean up after killed ones."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from housing.paths import UNFINISHED_SUFFIX

FOLDER_LOCK_NAME = ".lock"


@contextmanager
def target_lock(target: Path, is_folder: bool = True) -> Iterator[Path]:
    """Keep other runs from scoring into the target; remove what a killed one left half-written.

    Yields a folder for what the workers need until the end of the run, beside the predictions.
    Raises LookupError if another run is scoring into the target.
    """
    target = target.resolve()
    folder = target if is_folder else target.parent
    prefix = "." if is_folder else f".{target.name}."
    lock_file = folder / (FOLDER_LOCK_NAME if is_folder else f"{prefix}lock")
    folder.mkdir(parents=True, exist_ok=True)
    if not is_folder and _is_held(folder / FOLDER_LOCK_NAME):
        raise LookupError(_busy_text(folder))
    try:
        with FileLock(lock_file, timeout=0):
            _remove_unfinished(folder, prefix, is_folder)
            unique_name = f"{os.getpid()}.{secrets.token_hex(4)}{UNFINISHED_SUFFIX}"
            work_folder = folder / f"{'.score.' if is_folder else prefix}{unique_name}"
            work_folder.mkdir()
            try:
                yield work_folder
            finally:
                shutil.rmtree(work_folder, ignore_errors=True)
                if not is_folder:
                    lock_file.unlink(missing_ok=True)  # other runs notice, and make a new one
    except Timeout:
        if not lock_file.exists():  # where no file can be made, as in /proc
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(lock_file)) from None
        raise LookupError(_busy_text(target)) from None


def _busy_text(target: Path) -> str:
    return f"another run is scoring into {target}: wait for its end"


def _remove_unfinished(folder: Path, prefix: str, is_folder: bool) -> None:
    """Remove what killed runs have left, but not what a run into a single file of it is writing."""
    paths = folder.rglob(f".*{UNFINISHED_SUFFIX}") if is_folder else folder.iterdir()
    for path in list(paths):
        if not path.name.startswith(prefix) or not path.name.endswith(UNFINISHED_SUFFIX):
            continue
        file_name = path.name.rsplit(".", 3)[0]  # before process id, random part and ending
        if is_folder and _is_held(path.with_name(f"{file_name}.lock")):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_held(lock_file: Path) -> bool:
    if not lock_file.exists():
        return False
    try:
        with FileLock(lock_file, timeout=0):
            return False
    except Timeout:
        return True
