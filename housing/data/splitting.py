"""The train and the test part: split once, written atomically, read by every later step."""

import hashlib
import json
from io import BytesIO
from typing import Any, NamedTuple

import pandas as pd
from sklearn.model_selection import train_test_split

from housing import paths
from housing.data.labelled_part import (
    MANIFEST_ENTRY,
    LabelledPart,
    read_record,
    record_entry,
    revalue,
)
from housing.data.loading import Dataset
from housing.data.validation import validate
from housing.schema import COLUMNS

MANIFEST_NAME = "manifest.json"
LABELLED_FILES = ("recent", "origins")  # without their suffix


class TrainTestSplit(NamedTuple):
    """The train and the test part, (n, 9) float64 each, and the manifest that describes them.

    If labelled rows of the prediction log belong to the split, the older house values of both parts
    are those of the data at today's prices (`labelled_part.revalue`).
    """

    train: pd.DataFrame
    test: pd.DataFrame  # the same rows, whatever is trained on
    manifest: dict[str, Any]
    recent_test: pd.DataFrame | None = None  # the newest labelled rows, if there are any
    recorded_test: pd.DataFrame | None = None  # then also the test part as the data has it


def split_train_test(
    frame: pd.DataFrame, test_size: float = 0.2, seed: int = 42
) -> list[pd.DataFrame]:
    """Split the block groups at random into [train, test]; rows keep their numbers.

    frame: (n, 9). Raises ValueError if test_size leaves either part empty.
    """
    return train_test_split(frame, test_size=test_size, random_state=seed)


def write_split(
    dataset: Dataset,
    test_size: float = 0.2,
    seed: int = 42,
    labelled: LabelledPart | None = None,
) -> dict[str, Any]:
    """Validate the data, split it, write both parts and the manifest; return the manifest.

    The manifest is written last and holds all hashes, so that a half-written split is never read.
    It has no time and no commit, so that the same data and parameters always give the same bytes.
    labelled: of the same data and parameters (`retraining.training_part`); its training part is
    written in place of that of the data. The test part stays as it is. Raises DataError if the data
    has a problem (`validation.find_problems`).
    """
    train, test = split_train_test(validate(dataset.frame)[COLUMNS], test_size, seed)
    frames = {"train": train if labelled is None else labelled.train, "test": test}
    if labelled is not None:
        frames |= {"recent": labelled.recent, "origins": labelled.origins}
    sha256 = {"raw": dataset.sha256}
    for name, frame in frames.items():
        content = frame.to_parquet()
        paths.atomic_write(paths.processed_data() / f"{name}.parquet", content)
        sha256[name] = hashlib.sha256(content).hexdigest()
    for name in set(LABELLED_FILES) - frames.keys():  # of an earlier split
        (paths.processed_data() / f"{name}.parquet").unlink(missing_ok=True)
    manifest: dict[str, Any] = {
        "source": dataset.source,
        "said": dataset.description,
        "rows": {"raw": len(dataset.frame), "train": len(frames["train"]), "test": len(test)},
        "columns": COLUMNS,
        "test_size": test_size,
        "seed": seed,
        "sha256": sha256,
        "md5": dataset.md5,
        "modified": dataset.is_modified,
    }
    if dataset.dropped_rows:
        manifest["dropped"] = dict(dataset.dropped_rows)
        manifest["rows"]["raw"] += sum(dataset.dropped_rows.values())
    if labelled is not None:
        manifest[MANIFEST_ENTRY] = record_entry(labelled.record)
        sha256["older_train"] = hashlib.sha256(train.to_parquet()).hexdigest()
    text = json.dumps(manifest, indent=2) + "\n"
    paths.atomic_write(paths.processed_data() / MANIFEST_NAME, text.encode())
    return manifest


def read_split() -> TrainTestSplit:
    """Read the split that `write_split` wrote last.

    Raises LookupError if there is none yet, ValueError if a part is not the manifest's.
    """
    folder = paths.processed_data()
    if not (folder / MANIFEST_NAME).exists():
        raise LookupError(f"{folder} has no {MANIFEST_NAME} yet: run 01_prep first")
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    record, frames = read_record(manifest), {}
    for name in ("train", "test") if record is None else ("train", "test", *LABELLED_FILES):
        content = (folder / f"{name}.parquet").read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != manifest["sha256"][name]:
            raise ValueError(
                f"{folder / name}.parquet has sha256 {digest[:12]}…, the manifest says "
                f"{manifest['sha256'][name][:12]}…: run 01_prep again"
            )
        frames[name] = pd.read_parquet(BytesIO(content))
    if record is None:
        return TrainTestSplit(frames["train"], frames["test"], manifest)
    test = revalue(frames["test"], record.factors)
    return TrainTestSplit(frames["train"], test, manifest, frames["recent"], frames["test"])
