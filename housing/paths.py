"""The folders of the project: generated state in var/, data in data/, both below HOUSING_HOME."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED_SUFFIX = ".part"  # of a file that is still being written
PROJECT_ROOT = Path(__file__).resolve().parents[1]


def home() -> Path:
    """Return the folder that holds data/ and var/: HOUSING_HOME, by default the checkout."""
    return Path(os.environ.get("HOUSING_HOME") or PROJECT_ROOT).resolve()


def invocation_folder() -> Path:
    """Return the folder that a user's relative paths refer to.

    HOUSING_STARTED_IN, where the pipeline was started: its notebooks run in a folder of their own.
    Else the working directory.
    """
    return Path(os.environ.get("HOUSING_STARTED_IN") or Path.cwd())


def raw_data() -> Path:
    """Return the raw data set, one CSV file versioned by DVC."""
    return home() / "data" / "raw" / "california_housing.csv"


def processed_data() -> Path:
    """Return the folder of the train and test part and their manifest."""
    return home() / "data" / "processed"


def var() -> Path:
    """Return the folder of everything generated that is not data or a report; create it."""
    folder = home() / "var"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path to write to: the file at `path` is replaced once it is complete and on the disk.

    A reader finds the old content or the new, never a part of it. If the block fails, the old file
    stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # the process id alone is not enough: containers that share a folder have the same ids
    unique_name = f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{UNFINISHED_SUFFIX}"
    temporary_path = path.with_name(unique_name)
    try:
        yield temporary_path
        with temporary_path.open("rb") as file:
            os.fsync(file.fileno())
        temporary_path.replace(path)
    finally:
        temporary_path.unlink(missing_ok=True)


def atomic_write(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds the old content or the new, never a part of it."""
    with atomic_path(path) as temporary_path:
        temporary_path.write_bytes(content)
