"""The model registry: its versions, and which of them is the champion."""

from __future__ import annotations  # the service reads the registry without pandas or scikit-learn

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from housing import paths
from housing.models import persistence
from housing.registry import alias_history, artifacts
from housing.registry.alias_history import MISSING_VERSION_CODES
from housing.registry.artifacts import ModelVersion
from housing.tracking import probe, store
from housing.tracking import tags as run_tags
from housing.tracking.mlflow_env import suppress_errors
from housing.tracking.store import raises_unreachable
from housing.tracking.tags import NO_ORIGIN

if TYPE_CHECKING:
    import numpy as np
    from mlflow.entities.model_registry import ModelVersion as MlflowModelVersion
    from sklearn.base import RegressorMixin

    from housing.data.splitting import TrainTestSplit
    from housing.evaluation.calibration import IntervalPrediction
    from housing.tracking.experiments import Candidate

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL_NAMES = probe.MODEL_NAMES
MAX_DESCRIPTION_CHARACTERS = 5_000  # what a description may have in MLflow's databases
TRUNCATION_NOTE = "\n\n*The rest is in the tag* `card`."


@raises_unreachable
def load_model(version: ModelVersion) -> RegressorMixin:
    """Load the scikit-learn model of a version.

    Raises ValueError as `persistence.load_model` and `artifacts.download` do.
    """
    with TemporaryDirectory() as folder:
        return persistence.load_model(artifacts.download(version, Path(folder)))


@raises_unreachable
def get_version(name: str, number: str) -> ModelVersion:
    """Return the registered version of that number. Raises LookupError if there is none."""
    with suppress_errors(*MISSING_VERSION_CODES):
        return _from_mlflow(store.client().get_model_version(name, number))
    raise LookupError(f"there is no version {number} of {name}")


@raises_unreachable
def list_versions(name: str) -> list[ModelVersion]:
    """Return all registered versions of that name, oldest first."""
    if not store.exists():
        return []
    mlflow_versions = store.client().search_model_versions(f"name = '{name}'")
    return sorted(map(_from_mlflow, mlflow_versions), key=lambda version: int(version.version))


@raises_unreachable
def current_champion(name: str | None = None) -> ModelVersion | None:
    """Return the champion to serve; None if there is none.

    That is the champion of the named model; without a name, the one trained on the real data, else
    the one trained on the sample.
    """
    names = [name] if name else [MODEL_NAMES["california"], MODEL_NAMES["sample"]]
    return next(filter(None, map(get_champion, names)), None)


@raises_unreachable
def get_champion(name: str) -> ModelVersion | None:
    """Return the version of the alias champion; None if there is none, or no store yet."""
    if not store.exists():
        return None
    with suppress_errors(*MISSING_VERSION_CODES):
        return _from_mlflow(store.client().get_model_version_by_alias(name, CHAMPION))
    return None


def _from_mlflow(mlflow_version: MlflowModelVersion) -> ModelVersion:
    created_at = datetime.fromtimestamp(mlflow_version.creation_timestamp / 1000, UTC)
    return ModelVersion(
        mlflow_version.name,
        str(mlflow_version.version),
        mlflow_version.run_id or "",
        dict(mlflow_version.tags),
        created_at.isoformat(),
    )


@raises_unreachable
def register(
    candidate: Candidate,
    split: TrainTestSplit,
    onnx_model: bytes,
    example_predictions: np.ndarray | IntervalPrediction,
    promoted: bool,
    reason: str,
    checks: Sequence[Mapping[str, Any]] = (),
    compared_champion: ModelVersion | None = None,
    origin: Mapping[str, str] = NO_ORIGIN,
) -> ModelVersion:
    """Register a candidate under the model name of its data source, with its serving files.

    example_predictions: (n,) the model's predictions for the first n test rows, or these with the
    ends of their intervals; kept beside the graph. If promoted, the alias champion moves to the new
    version; else the version becomes the challenger, with the reason. It also becomes the
    challenger if compared_champion, the champion it was compared with, is not champion any more.
    checks: the results of the gate, kept as gate.json in the candidate's run and as a tag of the
    version. origin: as in `tags.lineage_tags`.
    """
    client, name = store.client(), MODEL_NAMES[split.manifest["source"]]
    serving_tags = artifacts.add_serving_files(candidate, split, onnx_model, example_predictions)
    with suppress_errors("RESOURCE_ALREADY_EXISTS"):
        client.create_registered_model(name)
    tags = run_tags.lineage_tags(split.manifest, origin) | {
        "family": candidate.family,
        "training": candidate.training_id,
        "cv_rmse": f"{candidate.cv_rmse:.6f}",
        "test_rmse": f"{candidate.test_rmse:.6f}",
        "verdict": "promoted" if promoted else "refused",
        "reason": reason,
        "gate": json.dumps(list(checks)),
        **serving_tags,
    }
    client.log_dict(candidate.run_id, {"promoted": promoted, "checks": list(checks)}, "gate.json")
    mlflow_version = client.create_model_version(
        name,
        f"models:/{candidate.model_id}",
        candidate.run_id,
        tags=tags,
        model_id=candidate.model_id,
    )
    return _assign_alias(_from_mlflow(mlflow_version)._replace(tags=tags), compared_champion)


def _assign_alias(version: ModelVersion, compared_champion: ModelVersion | None) -> ModelVersion:
    """Move the alias that the verdict gives the version; return the version as it is then."""
    verdict, reason = version.tags["verdict"], version.tags["reason"]
    if verdict == "promoted":
        expected_version = compared_champion.version if compared_champion else ""
        try:
            alias_history.set_alias(
                version.name, CHAMPION, version.version, verdict, reason, expected_version
            )
            return version
        except alias_history.ConcurrentUpdateError as error:
            verdict, reason = "refused", f"{error}; run the pipeline again"
            for name, value in (("verdict", verdict), ("reason", reason)):
                store.client().set_model_version_tag(version.name, version.version, name, value)
    alias_history.set_alias(version.name, CHALLENGER, version.version, verdict, reason)
    return version._replace(tags=version.tags | {"verdict": verdict, "reason": reason})


def check_data_source(version: ModelVersion) -> None:
    """Check that a version was trained on the data its name stands for.

    Raises ValueError otherwise: a model of the sample must never serve as one of the real data.
    """
    source = version.tags.get("data_source", "")
    if MODEL_NAMES.get(source) != version.name:
        raise ValueError(
            f"{version.name} version {version.version} learnt from the source {source!r}, whose "
            f"models are named {MODEL_NAMES.get(source, 'otherwise')}: it may not serve as "
            f"{version.name}"
        )


@raises_unreachable
def export_for_serving(version: ModelVersion, folder: Path) -> dict[str, Any]:
    """Copy what the service needs into the folder: graph, examples, domain, and about.json.

    Returns the content of about.json: name, version, alias, run id, data source, metrics, report,
    commit and more. Raises ValueError if a file is not the one that was registered, or if the
    version was trained on other data than its name says.
    """
    check_data_source(version)
    serving_path = version.tags.get("served", "served")
    with TemporaryDirectory() as download_folder:
        model_folder = artifacts.download(version, Path(download_folder), serving_path)
        for file in (model_folder / serving_path).iterdir():
            paths.atomic_write(folder / file.name, file.read_bytes())
    model_info = {
        "name": version.name,
        "version": version.version,
        "alias": CHAMPION,
        "run_id": version.run_id,
        "source": version.tags["data_source"],
        "family": version.tags["family"],
        "metrics": {name: float(version.tags[name]) for name in ("cv_rmse", "test_rmse")},
        "data_sha256": version.tags["raw_sha256"],
        "data_version": version.tags.get("data_version", ""),
        "report": version.tags.get("report", ""),
        "commit": version.tags.get("mlflow.source.git.commit", ""),
        "reason": version.tags["reason"],
    }
    paths.atomic_write(folder / "about.json", json.dumps(model_info, indent=2).encode())
    return model_info


def version_url(version: ModelVersion) -> str:
    """Return the address of the version in MLflow's own pages."""
    return f"{store.ui_url()}/models/{version.name}/versions/{version.version}"


@raises_unreachable
def set_description(version: ModelVersion, markdown: str) -> None:
    """Store a text with the version: complete as the tag `card`, and as MLflow's description.

    A text that is too long for a description is truncated there after a complete section.
    """
    client, description = store.client(), markdown
    if len(description) > MAX_DESCRIPTION_CHARACTERS:
        start = markdown[: MAX_DESCRIPTION_CHARACTERS - len(TRUNCATION_NOTE)]
        description = start.rpartition("\n## ")[0] + TRUNCATION_NOTE
    client.set_model_version_tag(version.name, version.version, "card", markdown)
    client.update_model_version(version.name, version.version, description)
