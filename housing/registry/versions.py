"""The model registry: which versions there are, and which of them serves."""

from __future__ import annotations  # the service reads the registry without pandas or scikit-learn

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from housing import paths
from housing.inference import training_domain
from housing.models import persistence
from housing.registry import alias_history, artifacts
from housing.schema import FEATURE_NAMES
from housing.tracking import probe, store
from housing.tracking import tags as run_tags
from housing.tracking.store import MlflowException, mlflow, raises_unreachable

if TYPE_CHECKING:
    import numpy as np
    from sklearn.base import RegressorMixin

    from housing.data.splitting import TrainTestSplit
    from housing.evaluation.calibration import IntervalPrediction
    from housing.tracking.experiments import Candidate

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL_NAMES = probe.MODEL_NAMES
MAX_DESCRIPTION_CHARACTERS = 5_000  # characters of a description in MLflow's databases
TRUNCATION_NOTE = "\n\n*The rest is in the tag* `card`."


class ModelVersion(NamedTuple):
    """A registered model version, and where it came from."""

    name: str
    version: str
    run_id: str
    tags: dict[str, str]
    created_at: str = ""  # UTC, ISO 8601


@raises_unreachable
def load_model(version: ModelVersion) -> RegressorMixin:
    """The registered version's scikit-learn model; ValueError as `stored.load` raises it."""
    with TemporaryDirectory() as folder:
        return persistence.load_model(artifacts.download(version, Path(folder)))


@raises_unreachable
def get_version(name: str, number: str) -> ModelVersion:
    """The registered version of that number; LookupError if there is none."""
    try:
        return _from_mlflow(store.client().get_model_version(name, number))
    except MlflowException as missing:
        if missing.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise LookupError(f"there is no version {number} of {name}") from None


@raises_unreachable
def list_versions(name: str) -> list[ModelVersion]:
    """All registered versions of that name, oldest first."""
    if not store.exists():
        return []
    found = store.client().search_model_versions(f"name = '{name}'")
    return sorted(map(_from_mlflow, found), key=lambda one: int(one.version))


@raises_unreachable
def current_champion(name: str | None = None) -> ModelVersion | None:
    """The champion that answers: of the model of that name, else of the real one, else of the
    one that learnt from the sample; None if there is none.
    """
    names = [name] if name else [MODEL_NAMES[one] for one in ("california", "sample")]
    return next(filter(None, map(get_champion, names)), None)


@raises_unreachable
def get_champion(name: str) -> ModelVersion | None:
    """The version that the alias champion names; None if there is none, or no store yet."""
    if not store.exists():
        return None
    try:
        return _from_mlflow(store.client().get_model_version_by_alias(name, CHAMPION))
    except MlflowException as missing:
        if missing.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _from_mlflow(mlflow_version: mlflow.entities.model_registry.ModelVersion) -> ModelVersion:
    at = datetime.fromtimestamp(mlflow_version.creation_timestamp / 1000, UTC).isoformat()
    return ModelVersion(
        mlflow_version.name,
        str(mlflow_version.version),
        mlflow_version.run_id,
        dict(mlflow_version.tags),
        at,
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
) -> ModelVersion:
    """A new version of the model that the data's source names, its graph in the model's folder.

    examples: (n,) the model's answers on the first n test rows, kept beside the graph, or with them
    the ends of their intervals. The alias
    champion moves to it if it is promoted; else it becomes the challenger, with the reason. So it
    does if judged, the champion that it was compared with, is champion no more. checks: what the
    gate asked, kept as gate.json in the candidate's run and as a tag of the version.
    """
    client, name = store.client(), MODEL_NAMES[split.manifest["source"]]
    given = (
        example_predictions if isinstance(example_predictions, tuple) else (example_predictions,)
    )
    answers = dict(zip(("predictions", "lows", "highs"), given, strict=False))
    rows = split.test[FEATURE_NAMES][: len(given[0])].to_numpy()
    known = training_domain.fit(split.train)
    kept = artifacts.add_serving_files(client, candidate, onnx_model, rows, answers, known)
    try:
        client.create_registered_model(name)
    except MlflowException as known:
        if known.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = run_tags.lineage_tags(split.manifest) | {
        "family": candidate.family,
        "training": candidate.training_id,
        "cv_rmse": f"{candidate.cv_rmse:.6f}",
        "test_rmse": f"{candidate.test_rmse:.6f}",
        "verdict": "promoted" if promoted else "refused",
        "reason": reason,
        "gate": json.dumps(list(checks)),
        **kept,
    }
    client.log_dict(candidate.run_id, {"promoted": promoted, "checks": list(checks)}, "gate.json")
    made = client.create_model_version(
        name,
        f"models:/{candidate.model_id}",
        candidate.run_id,
        tags=tags,
        model_id=candidate.model_id,
    )
    return _assign_alias(_from_mlflow(made)._replace(tags=tags), compared_champion)


def _assign_alias(version: ModelVersion, compared_champion: ModelVersion | None) -> ModelVersion:
    """Moves the alias that the gate's verdict gives it; gives the version as it is then."""
    verdict, reason = version.tags["verdict"], version.tags["reason"]
    if verdict == "promoted":
        try:
            before = compared_champion.version if compared_champion else ""
            alias_history.set_alias(
                version.name, CHAMPION, version.version, verdict, reason, before
            )
            return version
        except alias_history.ConcurrentUpdateError as faster:
            verdict, reason = "refused", f"{faster}; run the pipeline again"
            for name, value in (("verdict", verdict), ("reason", reason)):
                store.client().set_model_version_tag(version.name, version.version, name, value)
    alias_history.set_alias(version.name, CHALLENGER, version.version, verdict, reason)
    return version._replace(tags=version.tags | {"verdict": verdict, "reason": reason})


def check_data_source(version: ModelVersion) -> None:
    """Raises ValueError if it learnt from other data than its name says: a sample is no champion
    of the real model."""
    source = version.tags.get("data_source", "")
    if MODEL_NAMES.get(source) != version.name:
        raise ValueError(
            f"{version.name} version {version.version} learnt from the source {source!r}, whose models "
            f"are named {MODEL_NAMES.get(source, 'otherwise')}: it may not serve as {version.name}"
        )


@raises_unreachable
def export_for_serving(version: ModelVersion, folder: Path) -> dict[str, Any]:
    """Copies what serving needs into the folder: graph, examples, domain, and about.json.

    Gives what about.json says: name, version, alias, run id, data source, metrics, report, commit.
    Raises ValueError if a file is not the one that was registered, or the version learnt from other
    data than its name says.
    """
    check_data_source(version)
    place = version.tags.get("served", "served")
    with TemporaryDirectory() as aside:
        for one in (artifacts.download(version, Path(aside), place) / place).iterdir():
            paths.atomic_write(folder / one.name, one.read_bytes())
    about = {
        "name": version.name,
        "version": version.version,
        "alias": CHAMPION,
        "run_id": version.run_id,
        "source": version.tags["data_source"],
        "family": version.tags["family"],
        "metrics": {one: float(version.tags[one]) for one in ("cv_rmse", "test_rmse")},
        "data_sha256": version.tags["raw_sha256"],
        "data_version": version.tags.get("data_version", ""),
        "report": version.tags.get("report", ""),
        "commit": version.tags.get("mlflow.source.git.commit", ""),
        "reason": version.tags["reason"],
    }
    paths.atomic_write(folder / "about.json", json.dumps(about, indent=2).encode())
    return about


def version_url(version: ModelVersion) -> str:
    """Where MLflow's own pages show it."""
    return f"{store.ui_url()}/models/{version.name}/versions/{version.version}"


@raises_unreachable
def set_description(version: ModelVersion, markdown: str) -> None:
    """Keeps a text with the version: whole as the tag `card`, and as far as it fits, up to a whole
    section, as MLflow's description."""
    client, short = store.client(), markdown
    if len(short) > MAX_DESCRIPTION_CHARACTERS:
        short = (
            markdown[: MAX_DESCRIPTION_CHARACTERS - len(TRUNCATION_NOTE)].rpartition("\n## ")[0]
            + TRUNCATION_NOTE
        )
    client.set_model_version_tag(version.name, version.version, "card", markdown)
    client.update_model_version(version.name, version.version, short)
