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
from housing.tracking.store import mlflow, reached

if TYPE_CHECKING:
    import numpy as np

    from housing.registry.versions import Version
    from housing.tracking.experiments import Candidate


def digest(content: bytes) -> str:
    """Its sha256, as the tags of a version name it."""
    return hashlib.sha256(content).hexdigest()


def add_graph(
    client: mlflow.MlflowClient,
    candidate: Candidate,
    graph: bytes,
    rows: np.ndarray,
    answers: Mapping[str, np.ndarray],
    known: bytes,
) -> dict[str, str]:
    """Puts the graph into the candidate's model folder and declares it in its MLmodel.

    answers: what the model says of the rows, by the names that examples.json has for it. known:
    its domain, as `domain.learn` writes it. The folder is named by its content: what an earlier
    version of the same model serves stays as it was. Gives the tags that say where it is, and what
    each file of the model must be.
    """
    recorded = {"rows": rows, **answers}
    examples = json.dumps({name: it.tolist() for name, it in recorded.items()}).encode()
    contents = {"model.onnx": graph, "examples.json": examples, "domain.json": known}
    place = f"served/{digest(b''.join(contents.values()))[:12]}"
    with TemporaryDirectory() as kept, TemporaryDirectory() as added:
        uri = f"models:/{candidate.model_id}"
        model = Path(mlflow.artifacts.download_artifacts(uri, dst_path=kept))
        described = mlflow.models.Model.load(str(model))
        described.add_flavor("double_precision_graph", data=f"{place}/model.onnx")
        described.save(Path(added) / "MLmodel")
        for name, content in contents.items():
            for folder in (added, model):
                paths.write_whole(Path(folder) / place / name, content)
        client.log_model_artifacts(candidate.model_id, added)
        return {"served": place, "sha256": json.dumps(_digests(model, place))}


def _digests(model: Path, place: str) -> dict[str, str]:
    """File of the model's folder -> its sha256; of those that say how it answers."""
    files = [*model.glob("*.skops"), *(model / place).iterdir()]
    return {one.relative_to(model).as_posix(): digest(one.read_bytes()) for one in sorted(files)}


@reached
def download(found: Version, folder: Path, part: str = "") -> Path:
    """The version's model folder below the folder, all of it or one of its own folders.

    Raises ValueError if a file is not what it was when the version was registered, or is missing.
    """
    store.client()
    uri = f"models:/{found.name}/{found.version}/{part}".rstrip("/")
    got = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))
    model = got.parents[len(Path(part).parts) - 1] if part else got
    known = json.loads(found.tags.get("sha256", "{}"))
    for name in [one for one in known if one.startswith(part)]:
        file, which = model / name, f"{name} of {found.name} version {found.version}"
        if not file.exists():
            raise ValueError(f"{which} is missing, and was there when it was registered")
        now = digest(file.read_bytes())
        if now != known[name]:
            raise ValueError(
                f"{which} has sha256 {now[:12]}…, and had {known[name][:12]}… when it was "
                "registered: somebody has changed it"
            )
    return model
