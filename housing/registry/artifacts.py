"""The files of a registered version: its model, and what serves it."""

from __future__ import annotations  # the service reads the registry without pandas or scikit-learn

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from housing import paths
from housing.tracking import store
from housing.tracking.store import mlflow, raises_unreachable

if TYPE_CHECKING:
    import numpy as np

    from housing.registry.versions import ModelVersion
    from housing.tracking.experiments import Candidate


def sha256_hex(content: bytes) -> str:
    """Its sha256, as the tags of a version name it."""
    return hashlib.sha256(content).hexdigest()


def add_serving_files(
    client: mlflow.MlflowClient,
    candidate: Candidate,
    onnx_model: bytes,
    example_rows: np.ndarray,
    example_predictions: Mapping[str, np.ndarray],
    domain_json: bytes,
) -> dict[str, str]:
    """Puts the graph into the candidate's model folder and declares it in its MLmodel.

    answers: what the model says of the rows, by the names that examples.json has for it. known:
    its domain, as `domain.learn` writes it. The folder is named by its content: what an earlier
    version of the same model serves stays as it was. Gives the tags that say where it is, and what
    each file of the model must be.
    """
    recorded = {"rows": example_rows, **example_predictions}
    examples = json.dumps({name: it.tolist() for name, it in recorded.items()}).encode()
    contents = {"model.onnx": onnx_model, "examples.json": examples, "domain.json": domain_json}
    place = f"served/{sha256_hex(b''.join(contents.values()))[:12]}"
    with TemporaryDirectory() as kept, TemporaryDirectory() as added:
        uri = f"models:/{candidate.model_id}"
        model = Path(mlflow.artifacts.download_artifacts(uri, dst_path=kept))
        described = mlflow.models.Model.load(str(model))
        described.add_flavor("double_precision_graph", data=f"{place}/model.onnx")
        described.save(Path(added) / "MLmodel")
        for name, content in contents.items():
            for folder in (added, model):
                paths.atomic_write(Path(folder) / place / name, content)
        client.log_model_artifacts(candidate.model_id, added)
        return {"served": place, "sha256": json.dumps(_file_digests(model, place))}


def _file_digests(model_folder: Path, serving_path: str) -> dict[str, str]:
    """File of the model's folder -> its sha256; of those that say how it answers."""
    files = [*model_folder.glob("*.skops"), *(model_folder / serving_path).iterdir()]
    return {
        one.relative_to(model_folder).as_posix(): sha256_hex(one.read_bytes())
        for one in sorted(files)
    }


@raises_unreachable
def download(version: ModelVersion, folder: Path, subfolder: str = "") -> Path:
    """The version's model folder below the folder, all of it or one of its own folders.

    Raises ValueError if a file is not what it was when the version was registered, or is missing.
    """
    store.client()
    uri = f"models:/{version.name}/{version.version}/{subfolder}".rstrip("/")
    got = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))
    model = got.parents[len(Path(subfolder).parts) - 1] if subfolder else got
    known = json.loads(version.tags.get("sha256", "{}"))
    for name in [one for one in known if one.startswith(subfolder)]:
        file, which = model / name, f"{name} of {version.name} version {version.version}"
        if not file.exists():
            raise ValueError(f"{which} is missing, and was there when it was registered")
        now = sha256_hex(file.read_bytes())
        if now != known[name]:
            raise ValueError(
                f"{which} has sha256 {now[:12]}…, and had {known[name][:12]}… when it was "
                "registered: somebody has changed it"
            )
    return model
