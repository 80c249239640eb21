"""The files of a registered version: its model, and what the service needs to answer with it."""

from __future__ import annotations  # the service reads the registry without pandas or scikit-learn

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from housing import paths
from housing.tracking import experiments, store
from housing.tracking.mlflow_env import load_mlflow
from housing.tracking.store import raises_unreachable

if TYPE_CHECKING:
    import numpy as np
    from mlflow import MlflowClient

    from housing.registry.types import ModelVersion
    from housing.tracking.experiments import Candidate


def sha256_hex(content: bytes) -> str:
    """Return the sha256 of a file's content, as the tags of a version store it."""
    return hashlib.sha256(content).hexdigest()


def add_serving_files(
    client: MlflowClient,
    candidate: Candidate,
    onnx_model: bytes,
    example_rows: np.ndarray,
    example_predictions: Mapping[str, np.ndarray],
    domain_json: bytes,
) -> dict[str, str]:
    """Add the ONNX graph to the candidate's model folder and declare it in the MLmodel file.

    example_predictions: the model's predictions for the rows, by their names in examples.json.
    domain_json: the training domain, as `training_domain.fit` writes it. The folder is named by a
    hash of its content, so the serving files of an earlier version of the same model stay as they
    were. Returns the tags that say where the files are, and the sha256 of each file of the model.
    """
    arrays = {"rows": example_rows, **example_predictions}
    examples = json.dumps({name: array.tolist() for name, array in arrays.items()}).encode()
    contents = {"model.onnx": onnx_model, "examples.json": examples, "domain.json": domain_json}
    serving_path = f"served/{sha256_hex(b''.join(contents.values()))[:12]}"
    model_folder = experiments.model_folder(candidate)
    mlmodel = load_mlflow().models.Model.load(str(model_folder))
    mlmodel.add_flavor("double_precision_graph", data=f"{serving_path}/model.onnx")
    with TemporaryDirectory() as upload_folder:
        mlmodel.save(Path(upload_folder) / "MLmodel")
        for name, content in contents.items():
            paths.atomic_write(Path(upload_folder) / serving_path / name, content)
        client.log_model_artifacts(candidate.model_id, upload_folder)
    digests = {file.name: sha256_hex(file.read_bytes()) for file in model_folder.glob("*.skops")}
    digests |= {f"{serving_path}/{name}": sha256_hex(data) for name, data in contents.items()}
    return {"served": serving_path, "sha256": json.dumps(digests, sort_keys=True)}


@raises_unreachable
def download(version: ModelVersion, folder: Path, subfolder: str = "") -> Path:
    """Download the version's model folder, or one folder of it, and verify its files.

    Returns the path of the model folder below `folder`. Raises ValueError if a file is missing or
    differs from the one that was registered.
    """
    store.client()
    uri = f"models:/{version.name}/{version.version}/{subfolder}".rstrip("/")
    download_path = Path(load_mlflow().artifacts.download_artifacts(uri, dst_path=str(folder)))
    depth = len(Path(subfolder).parts)
    model_folder = download_path.parents[depth - 1] if subfolder else download_path
    registered_digests = json.loads(version.tags.get("sha256", "{}"))
    for name, registered_digest in registered_digests.items():
        if name.startswith(subfolder):
            label = f"{name} of {version.name} version {version.version}"
            _verify_file(model_folder / name, registered_digest, label)
    return model_folder


def _verify_file(file: Path, registered_digest: str, label: str) -> None:
    if not file.exists():
        raise ValueError(f"{label} is missing, and was there when it was registered")
    digest = sha256_hex(file.read_bytes())
    if digest != registered_digest:
        raise ValueError(
            f"{label} has sha256 {digest[:12]}…, expected {registered_digest[:12]}… as "
            "registered: the file was changed"
        )
