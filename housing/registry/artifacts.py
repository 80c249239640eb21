"""A registered version and its files: its model, and what the service needs to answer with it."""

from __future__ import annotations  # the service reads the registry without pandas or scikit-learn

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from housing import paths
from housing.inference import served_files, training_domain
from housing.schema import FEATURE_NAMES
from housing.tracking import downloads, experiments, store
from housing.tracking.mlflow_env import load_mlflow, suppress_errors
from housing.tracking.store import raises_unreachable

if TYPE_CHECKING:
    import numpy as np

    from housing.data.splitting import TrainTestSplit
    from housing.evaluation.calibration import IntervalPrediction
    from housing.tracking.experiments import Candidate

# of MLflow, where there is no such model, version or alias
MISSING_VERSION_CODES = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
MODEL_FILE_NAME = "MLmodel"  # MLflow's description of a model, in its folder
REFERENCE_FOLDER = "monitoring"  # of a model
REMEDY = (
    "make another version champion (`run_pipeline.py promote VERSION --reason WHY`), or train a "
    "new one (`make run`)"
)


class ModelVersion(NamedTuple):
    """A registered model version, and where it came from."""

    name: str
    version: str
    run_id: str
    tags: dict[str, str]
    created_at: str = ""  # UTC, ISO 8601

    @property
    def label(self) -> str:
        """How a text names the version."""
        return f"{self.name} version {self.version}"


def sha256_hex(content: bytes) -> str:
    """Return the sha256 of a file's content, as the tags of a version store it."""
    return hashlib.sha256(content).hexdigest()


def graph_sha256(tags: Mapping[str, str]) -> str:
    """Return the sha256 of the served graph, of a version's tags; empty if it is not recorded."""
    try:
        digests = dict(json.loads(tags.get("sha256", "{}")))
    except (ValueError, TypeError):
        return ""
    return str(digests.get(f"{tags.get('served', '')}/{served_files.GRAPH_FILE_NAME}", ""))


def add_serving_files(
    candidate: Candidate,
    split: TrainTestSplit,
    onnx_model: bytes,
    example_predictions: np.ndarray | IntervalPrediction,
) -> dict[str, str]:
    """Add the ONNX graph to the candidate's model folder and declare it in the MLmodel file.

    Examples and the training domain are added beside it. example_predictions: as in
    `versions.register`. The folder is named by a hash of its content, so the serving files of an
    earlier version of the same model stay as they were. Returns the tags that say where the files
    are, and the sha256 of each file of the model.
    """
    columns = (
        example_predictions if isinstance(example_predictions, tuple) else (example_predictions,)
    )
    rows = split.test[FEATURE_NAMES][: len(columns[0])].to_numpy()
    arrays = zip(("rows", "predictions", "lows", "highs"), (rows, *columns), strict=False)
    examples = json.dumps({name: array.tolist() for name, array in arrays}).encode()
    domain = training_domain.fit(split.train)
    contents = {
        served_files.GRAPH_FILE_NAME: onnx_model,
        served_files.EXAMPLES_FILE_NAME: examples,
        served_files.DOMAIN_FILE_NAME: domain,
    }
    serving_path = f"served/{sha256_hex(b''.join(contents.values()))[:12]}"
    model_folder = experiments.model_folder(candidate)
    mlmodel = load_mlflow().models.Model.load(str(model_folder))
    mlmodel.add_flavor(
        "double_precision_graph", data=f"{serving_path}/{served_files.GRAPH_FILE_NAME}"
    )
    with TemporaryDirectory() as upload_folder:
        mlmodel.save(Path(upload_folder) / "MLmodel")
        for name, content in contents.items():
            paths.atomic_write(Path(upload_folder) / serving_path / name, content)
        store.client().log_model_artifacts(candidate.model_id, upload_folder)
    digests = {file.name: sha256_hex(file.read_bytes()) for file in model_folder.glob("*.skops")}
    digests |= {f"{serving_path}/{name}": sha256_hex(data) for name, data in contents.items()}
    return {"served": serving_path, "sha256": json.dumps(digests, sort_keys=True)}


def add_reference(candidate: Candidate, content: bytes) -> dict[str, str]:
    """Add what the monitoring compares the traffic with to the candidate's model folder.

    The file is named by its sha256. Returns the tag that says where it is.
    """
    path = f"{REFERENCE_FOLDER}/{sha256_hex(content)}.npz"
    with TemporaryDirectory() as upload_folder:
        paths.atomic_write(Path(upload_folder) / path, content)
        store.client().log_model_artifacts(candidate.model_id, upload_folder)
    return {"reference": path}


@raises_unreachable
def read_reference(version: ModelVersion) -> bytes | None:
    """Return the file that `add_reference` has added; None for a version without one.

    Raises ValueError, with the way out, if the file is gone or changed; StoreUnreachableError if
    that cannot be known now.
    """
    path = version.tags.get("reference", "")
    if not path:
        return None
    folder, _, name = path.rpartition("/")
    uri = f"models:/{version.name}/{version.version}/{folder}"
    with TemporaryDirectory() as download_folder:
        downloaded_folder = downloads.download(
            uri, _find_location(version), name, version.label, REMEDY, download_folder
        )
        file = downloaded_folder / name
        _verify_file(file, Path(name).stem, f"{path} of {version.label}")
        return file.read_bytes()


@raises_unreachable
def download(version: ModelVersion, folder: Path, subfolder: str = "") -> Path:
    """Download the version's model folder, or one folder of it, and verify its files.

    Returns the path of the model folder below `folder`. Raises ValueError, with the way out, if a
    file is missing or differs from the one that was registered; StoreUnreachableError if that
    cannot be known now.
    """
    location = _find_location(version)
    uri = f"models:/{version.name}/{version.version}/{subfolder}".rstrip("/")
    required_file = served_files.GRAPH_FILE_NAME if subfolder else MODEL_FILE_NAME
    digests = registered_digests(version)
    download_path = downloads.download(
        uri, location, required_file, version.label, REMEDY, str(folder)
    )
    depth = len(Path(subfolder).parts)
    model_folder = download_path.parents[depth - 1] if subfolder else download_path
    for name, registered_digest in digests.items():
        if name.startswith(subfolder):
            _verify_file(model_folder / name, registered_digest, f"{name} of {version.label}")
    return model_folder


def _find_location(version: ModelVersion) -> str:
    """Return where MLflow keeps the model's files. Raises MissingArtifactsError if it has none."""
    with suppress_errors(*MISSING_VERSION_CODES):
        return store.client().get_model_version_download_uri(version.name, version.version)
    raise downloads.MissingArtifactsError(f"{version.label} was deleted in MLflow; {REMEDY}")


def registered_digests(version: ModelVersion) -> dict[str, str]:
    """Return the sha256 of each file of a version, by its path in the model's folder.

    Empty for a version that was registered without them. Raises ValueError if its tag holds
    something else.
    """
    try:
        digests = json.loads(version.tags.get("sha256") or "{}")
        return {str(name): str(digest) for name, digest in digests.items()}
    except (ValueError, AttributeError):
        raise ValueError(
            f"the tag sha256 of {version.label} is no JSON object of files and their digests: it "
            "was changed in MLflow itself"
        ) from None


def _verify_file(file: Path, registered_digest: str, label: str) -> None:
    if not file.exists():
        raise ValueError(f"{label} is missing, and was there when it was registered")
    digest = sha256_hex(file.read_bytes())
    if digest != registered_digest:
        raise ValueError(
            f"{label} has sha256 {digest[:12]}…, expected {registered_digest[:12]}… as "
            "registered: the file was changed"
        )
