"""A champion without a registry: a small model, and the files that the service loads of it."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import cross_val_predict
from sklearn.tree import DecisionTreeRegressor

from app.model import local_copy
from app.model.local_copy import RegistryStatus
from housing.data import splitting
from housing.data.synthetic import generate_sample
from housing.evaluation import calibration
from housing.export import onnx_export
from housing.inference import training_domain
from housing.models import intervals
from housing.schema import FEATURE_NAMES, TARGET

MODEL_NAME = "california-housing-sample"
RUN_ID = "0123456789abcdef0123456789abcdef"
SAMPLE_ROWS, EXAMPLE_ROWS = 1_500, 20
MODEL_DETAILS = {  # as `registry.versions.export_for_serving` writes them
    "name": MODEL_NAME,
    "version": "1",
    "alias": "champion",
    "run_id": RUN_ID,
    "source": "sample",
    "family": "tree",
    "metrics": {"cv_rmse": 0.8, "test_rmse": 0.7},
    "data_sha256": "0" * 64,
    "data_version": "",
    "report": "reports/20261123-120000-aaaa/index.html",
    "commit": "0123456789abcdef",
    "reason": "there was no champion",
}


class ServedChampion(NamedTuple):
    """A model, the rows it was trained and tested on, and the folder the service loads it from."""

    folder: Path  # follows no registry, like a copy that was baked into an image
    model: DecisionTreeRegressor
    interval_model: intervals.IntervalModel
    train: pd.DataFrame
    test: pd.DataFrame


def train_champion(folder: Path) -> ServedChampion:
    """Fit a decision tree to a sample and write the files that the service loads of it."""
    train, test = splitting.split_train_test(generate_sample(SAMPLE_ROWS, 0))
    features, house_values = train[FEATURE_NAMES], train[TARGET]
    model = DecisionTreeRegressor(max_depth=6, random_state=0).fit(features, house_values)
    out_of_fold = cross_val_predict(model, features, house_values, cv=3)
    interval_model = intervals.calibrate(
        np.column_stack([features, out_of_fold]), house_values.to_numpy(), out_of_fold
    )
    examples = test[:EXAMPLE_ROWS]
    predictions, lows, highs = calibration.predict_with_interval(model, interval_model, examples)
    example_arrays = {
        "rows": examples[FEATURE_NAMES].to_numpy(),
        "predictions": predictions,
        "lows": lows,
        "highs": highs,
    }
    files = {
        "model.onnx": onnx_export.to_onnx(model, interval_model),
        "examples.json": json.dumps(
            {name: array.tolist() for name, array in example_arrays.items()}
        ).encode(),
        "domain.json": training_domain.fit(train),
    }
    serve_version(folder, "1", files)
    status = local_copy.encode_status(RegistryStatus(is_baked=True))
    (folder / local_copy.STATUS_FILE_NAME).write_text(status)
    return ServedChampion(folder, model, interval_model, train, test)


def copy_serving_folder(champion: ServedChampion, folder: Path) -> Path:
    """Copy the champion's files for a test to change."""
    return Path(shutil.copytree(champion.folder, folder))


def version_files(folder: Path) -> dict[str, bytes]:
    """Return the files of the served version by name."""
    served_folder = folder / (local_copy.read_served_folder(folder) or "")
    return {file.name: file.read_bytes() for file in served_folder.iterdir()}


def serve_version(folder: Path, version: str, files: dict[str, bytes]) -> None:
    """Write a version and make it the served one. files: by name, without about.json."""
    version_folder = folder / f"{MODEL_NAME}-{version}-{RUN_ID[:8]}"
    version_folder.mkdir(parents=True, exist_ok=True)
    details = json.dumps(MODEL_DETAILS | {"version": version}).encode()
    for name, content in (files | {"about.json": details}).items():
        (version_folder / name).write_bytes(content)
    pointer = folder / "new pointer"
    pointer.write_text(local_copy.encode_pointer(version_folder.name))
    pointer.replace(folder / local_copy.POINTER_FILE_NAME)
