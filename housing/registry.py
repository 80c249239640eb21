"""The model registry: which versions there are, and which of them serves."""

from __future__ import annotations  # the service reads the registry without pandas or scikit-learn

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from housing import lineage, paths, store, watch
from housing.schema import NAMES
from housing.store import MlflowException, mlflow

if TYPE_CHECKING:
    import numpy as np
    from sklearn.base import RegressorMixin

    from housing.split import Split
    from housing.tracking import Candidate

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL_NAMES = watch.MODEL_NAMES


class Version(NamedTuple):
    """A registered model version, and where it came from."""

    name: str
    version: str
    run_id: str
    tags: dict[str, str]


def load_version(found: Version) -> RegressorMixin:
    """The registered version's scikit-learn model."""
    store.client()
    return mlflow.sklearn.load_model(f"models:/{found.name}/{found.version}")


def served(name: str | None = None) -> Version | None:
    """The champion that answers: of the model of that name, else of the real one, else of the
    one that learnt from the sample; None if there is none.
    """
    names = [name] if name else [MODEL_NAMES[one] for one in ("california", "sample")]
    return next(filter(None, map(champion, names)), None)


def champion(name: str) -> Version | None:
    """The version that the alias champion names; None if there is none, or no store yet."""
    if not store.exists():
        return None
    try:
        return _version(store.client().get_model_version_by_alias(name, CHAMPION))
    except MlflowException as missing:
        if missing.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _version(found: mlflow.entities.model_registry.ModelVersion) -> Version:
    return Version(found.name, str(found.version), found.run_id, dict(found.tags))


def register(
    candidate: Candidate,
    split: Split,
    graph: bytes,
    examples: np.ndarray,
    promoted: bool,
    reason: str,
    checks: Sequence[Mapping[str, Any]] = (),
) -> Version:
    """A new version of the model that the data's source names, its graph in the model's folder.

    examples: (n,) the model's answers on the first n test rows, kept beside the graph. The alias
    champion moves to it if it is promoted; else it becomes the challenger, with the reason. checks:
    what the gate asked, kept as gate.json in the candidate's run and as a tag of the version.
    """
    client, name = store.client(), MODEL_NAMES[split.manifest["source"]]
    _add_graph(client, candidate, graph, split.test[NAMES][: len(examples)].to_numpy(), examples)
    try:
        client.create_registered_model(name)
    except MlflowException as known:
        if known.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = lineage.tags(split.manifest) | {
        "family": candidate.family,
        "training": candidate.training,
        "cv_rmse": f"{candidate.cv_rmse:.6f}",
        "test_rmse": f"{candidate.test_rmse:.6f}",
        "verdict": "promoted" if promoted else "refused",
        "reason": reason,
        "gate": json.dumps(list(checks)),
    }
    client.log_dict(candidate.run_id, {"promoted": promoted, "checks": list(checks)}, "gate.json")
    made = client.create_model_version(
        name,
        f"models:/{candidate.model_id}",
        candidate.run_id,
        tags=tags,
        model_id=candidate.model_id,
    )
    alias = CHAMPION if promoted else CHALLENGER
    client.set_registered_model_alias(name, alias, made.version)
    return _version(client.get_model_version(name, made.version))


def _add_graph(
    client: mlflow.MlflowClient,
    candidate: Candidate,
    graph: bytes,
    rows: np.ndarray,
    answers: np.ndarray,
) -> None:
    """Puts the graph into the candidate's model folder and declares it in its MLmodel."""
    with TemporaryDirectory() as folder:
        uri = f"models:/{candidate.model_id}"
        described = mlflow.models.Model.load(mlflow.artifacts.download_artifacts(uri))
        described.add_flavor("double_precision_graph", data="served/model.onnx")
        described.save(Path(folder) / "MLmodel")
        served = Path(folder) / "served"
        served.mkdir()
        (served / "model.onnx").write_bytes(graph)
        recorded = {"rows": rows.tolist(), "predictions": answers.tolist()}
        (served / "examples.json").write_text(json.dumps(recorded))
        client.log_model_artifacts(candidate.model_id, folder)


def export(found: Version, folder: Path) -> dict[str, Any]:
    """Copies what serving needs into the folder: model.onnx, examples.json, about.json.

    Gives what about.json says: name, version, alias, run id, data source, metrics, report, commit.
    """
    store.client()
    uri = f"models:/{found.name}/{found.version}/served"
    downloaded = Path(mlflow.artifacts.download_artifacts(uri))
    for one in downloaded.iterdir():
        paths.write_whole(folder / one.name, one.read_bytes())
    about = {
        "name": found.name,
        "version": found.version,
        "alias": CHAMPION,
        "run_id": found.run_id,
        "source": found.tags["data_source"],
        "family": found.tags["family"],
        "metrics": {one: float(found.tags[one]) for one in ("cv_rmse", "test_rmse")},
        "data_sha256": found.tags["raw_sha256"],
        "report": found.tags.get("report", ""),
        "commit": found.tags.get("mlflow.source.git.commit", ""),
        "reason": found.tags["reason"],
    }
    paths.write_whole(folder / "about.json", json.dumps(about, indent=2).encode())
    return about


def page(version: Version) -> str:
    """Where MLflow's own pages show it."""
    return f"{store.pages()}/models/{version.name}/versions/{version.version}"
