"""The train and the test part: made once, written whole, read by every later step."""

import hashlib
import json
from io import BytesIO
from typing import NamedTuple

import pandas as pd
from sklearn.model_selection import train_test_split

from housing import paths
from housing.data.loading import Dataset
from housing.data.validation import validate
from housing.schema import COLUMNS


class TrainTestSplit(NamedTuple):
    """Train and test part, (n, 9) float64 each, and what is known of them."""

    train: pd.DataFrame
    test: pd.DataFrame
    manifest: dict


def split_train_test(
    frame: pd.DataFrame, test_size: float = 0.2, seed: int = 42
) -> list[pd.DataFrame]:
    """Train and test part, drawn at random; rows keep their numbers.

    Raises ValueError if test_size leaves either side empty.
    """
    return train_test_split(frame, test_size=test_size, random_state=seed)


def write_split(dataset: Dataset, test_size: float = 0.2, seed: int = 42) -> dict:
    """Checks the data, splits it, writes both parts and the manifest; gives the manifest.

    The manifest comes last and holds both hashes, so that half a hand-over is never read; it tells
    of no time and no commit, so that the same data and parameters always give the same bytes.
    Raises ValueError if the data has a problem (`check.problems`).
    """
    train, test = split_train_test(validate(dataset.frame)[COLUMNS], test_size, seed)
    manifest = {
        "source": dataset.source,
        "said": dataset.description,
        "rows": {"raw": len(dataset.frame), "train": len(train), "test": len(test)},
        "columns": COLUMNS,
        "test_size": test_size,
        "seed": seed,
        "sha256": {"raw": dataset.sha256},
        "md5": dataset.md5,
        "modified": dataset.is_modified,
    }
    for name, part in (("train", train), ("test", test)):
        content = _to_parquet(part)
        paths.atomic_write(paths.processed_data() / f"{name}.parquet", content)
        manifest["sha256"][name] = hashlib.sha256(content).hexdigest()
    text = json.dumps(manifest, indent=2) + "\n"
    paths.atomic_write(paths.processed_data() / "manifest.json", text.encode())
    return manifest


def read_split() -> TrainTestSplit:
    """What `write` wrote last.

    Raises LookupError if nothing was prepared yet, ValueError if a part is not the manifest's.
    """
    folder = paths.processed_data()
    if not (folder / "manifest.json").exists():
        raise LookupError(f"{folder} has no manifest.json yet: run 01_prep first")
    manifest = json.loads((folder / "manifest.json").read_text())
    parts = {}
    for name in ("train", "test"):
        content = (folder / f"{name}.parquet").read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != manifest["sha256"][name]:
            raise ValueError(
                f"{folder / name}.parquet has sha256 {found[:12]}…, the manifest says "
                f"{manifest['sha256'][name][:12]}…: run 01_prep again"
            )
        parts[name] = pd.read_parquet(BytesIO(content))
    return TrainTestSplit(parts["train"], parts["test"], manifest)


def _to_parquet(frame: pd.DataFrame) -> bytes:
    buffer = BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()
