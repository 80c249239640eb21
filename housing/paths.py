"""Where things are: generated state in var/, data in data/, both below HOUSING_HOME."""

import os
import secrets
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[1]


def home() -> Path:
    """The folder that holds data/ and var/: HOUSING_HOME, by default the checkout."""
    return Path(os.environ.get("HOUSING_HOME") or PROJECT_ROOT).resolve()


def invocation_folder() -> Path:
    """The folder that a relative path is meant from: where the runner, else the notebook, runs."""
    return Path(os.environ.get("PIPELINE_STARTED_IN") or Path.cwd())


def raw_data() -> Path:
    """The raw data set, one CSV file versioned by DVC."""
    return home() / "data" / "raw" / "california_housing.csv"


def processed_data() -> Path:
    """The folder of the train and test part and their manifest."""
    return home() / "data" / "processed"


def var() -> Path:
    """The folder of everything generated that is not data or a report; made if it is missing."""
    folder = home() / "var"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def atomic_write(path: Path, content: bytes) -> None:
    """Writes the file so that a reader finds the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # containers that share a folder have the same process ids
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
