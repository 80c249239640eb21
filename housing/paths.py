"""The folders of the project: generated state in var/, data in data/, both below HOUSING_HOME."""

import os
import secrets
from pathlib import Path

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


def atomic_write(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds the old content or the new, never a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # the process id alone is not enough: containers that share a folder have the same ids
    temporary_path = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with temporary_path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary_path.replace(path)
