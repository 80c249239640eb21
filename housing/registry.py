"""Experiments and the model registry: what was tried, what serves. The only module with MLflow."""

from __future__ import annotations  # the service reads the registry without pandas or scikit-learn

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from filelock import FileLock

from housing import lineage, paths, watch
from housing.schema import NAMES, TARGET

os.environ.update(watch.MLFLOW | dict(os.environ))
import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure
    from mlflow.entities.model_registry import ModelVersion
    from sklearn.base import RegressorMixin

    from housing.intervals import Intervals
    from housing.search import Search
    from housing.split import Split

EXPERIMENT = "california-housing"
LOCAL_PAGES = "http://127.0.0.1:5000"
CHAMPION, CHALLENGER = "champion", "challenger"
MODEL_NAMES = watch.MODEL_NAMES


class Candidate(NamedTuple):
    """A trained model that may become champion: one MLflow run."""

    run_id: str
    model_id: str
    family: str
    training: str  # the training it belongs to
    cv_rmse: float  # in $100,000, on the training part
    test_rmse: float  # in $100,000


class Evidence(NamedTuple):
    """What is known of a candidate beyond its scores, to be kept in its run."""

    metrics: Mapping[str, float] = MappingProxyType({})
    tables: Mapping[str, pd.DataFrame] = MappingProxyType({})  # name -> table, kept as CSV
    figures: Mapping[str, Figure] = MappingProxyType({})  # name -> picture, kept as PNG
    intervals: Intervals | None = None  # goes into the model's own folder


class Version(NamedTuple):
    """A registered model version, and where it came from."""

    name: str
    version: str
    run_id: str
    tags: dict[str, str]


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else the sqlite file in var/ (absolute: notebooks run elsewhere)."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{paths.var() / 'mlflow.db'}"


def page(of: Candidate | Version) -> str:
    """Where MLflow's own pages show it; for the file in var/ while `make mlflow` runs."""
    server = tracking_uri() if tracking_uri().startswith("http") else LOCAL_PAGES
    if isinstance(of, Version):
        return f"{server.rstrip('/')}/#/models/{of.name}/versions/{of.version}"
    experiment = _experiment_id(client())
    return f"{server.rstrip('/')}/#/experiments/{experiment}/runs/{of.run_id}"


def client() -> MlflowClient:
    """A client of a store that is ready: created and migrated under a lock, once.

    Several processes that create one sqlite store at once leave it broken for good.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(tracking_uri())
    if not given:  # MLflow has set it: then nothing could tell our choice from the user's
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    with FileLock(paths.var() / "mlflow.lock"):
        found = MlflowClient()
        if found.get_experiment_by_name(EXPERIMENT) is None:
            found.create_experiment(EXPERIMENT, artifact_location=_artifacts())
    return found


def _artifacts() -> str | None:
    own_store = not os.environ.get("MLFLOW_TRACKING_URI")
    return (paths.var() / "artifacts").as_uri() if own_store else None


def _experiment_id(store: MlflowClient) -> str:
    return store.get_experiment_by_name(EXPERIMENT).experiment_id


def log_candidates(
    found: Iterable[Search],
    split: Split,
    training: str,
    evidence: Mapping[str, Evidence] | None = None,
) -> list[Candidate]:
    """An MLflow run for each search's best model, its trials nested below.

    training: the id that these candidates share. evidence: family -> what else is known of it.
    """
    evidence = evidence or {}
    data = {context: _dataset(split, context) for context in ("train", "test")}
    return [_log(one, split, training, evidence.get(one.family), data) for one in found]


def _log(
    found: Search,
    split: Split,
    training: str,
    evidence: Evidence | None,
    data: Mapping[str, mlflow.data.Dataset],
) -> Candidate:
    from housing import evaluate  # the service has no scikit-learn
    from housing.models import TRUSTED_TYPES

    store, evidence = client(), evidence or Evidence()
    test_scores = evaluate.scores(split.test[TARGET], found.model.predict(split.test[NAMES]))
    with mlflow.start_run(
        experiment_id=_experiment_id(store),
        run_name=found.family,
        tags=lineage.tags(split.manifest) | {"family": found.family, "training": training},
    ) as run:
        mlflow.log_params(found.params)
        mlflow.log_metrics({"cv_rmse": found.rmse, "cv_rmse_std": found.spread})
        mlflow.log_metrics({f"test_{name}": value for name, value in test_scores.items()})
        for context, dataset in data.items():
            mlflow.log_input(dataset, context=context)
        mlflow.log_metrics(dict(evidence.metrics))
        for name, figure in evidence.figures.items():
            mlflow.log_figure(figure, f"figures/{name}.png")
        for name, table in evidence.tables.items():
            mlflow.log_text(table.to_csv(), f"tables/{name}.csv")
        model = mlflow.sklearn.log_model(
            found.model,
            name="model",
            signature=_signature(found.model, split),
            input_example=split.test[NAMES][:3],
            pip_requirements=_requirements(),
            skops_trusted_types=TRUSTED_TYPES,
        )
    if evidence.intervals:
        with TemporaryDirectory() as folder:
            (Path(folder) / "intervals.skops").write_bytes(evidence.intervals.dumps())
            store.log_model_artifacts(model.model_id, folder)
    _log_trials(store, run.info, found)
    return Candidate(
        run.info.run_id, model.model_id, found.family, training, found.rmse, test_scores["rmse"]
    )


def _dataset(split: Split, part: str) -> mlflow.data.Dataset:
    path = paths.processed_data() / f"{part}.parquet"
    source = mlflow.data.sources.LocalArtifactDatasetSource(path.as_uri())
    return mlflow.data.from_pandas(
        getattr(split, part),
        source=source,
        targets=TARGET,
        name=f"california-housing-{part}",
        digest=split.manifest["sha256"][part][:32],
    )


def _signature(model: RegressorMixin, split: Split) -> mlflow.models.ModelSignature:
    rows = split.train[NAMES][:5]
    return mlflow.models.infer_signature(rows, model.predict(rows))


def _requirements() -> list[str]:
    """Named by us: MLflow needs six seconds to infer them."""
    from importlib.metadata import version

    return [
        f"{name}=={version(name)}"
        for name in ("scikit-learn", "lightgbm", "pykdtree", "skops", "numpy", "pandas")
    ]


def _log_trials(store: MlflowClient, parent: mlflow.entities.RunInfo, found: Search) -> None:
    """All at once after the search, so that no trial waits for the store."""
    for number, trial in enumerate(found.trials.to_dict("records")):  # keeps whole numbers whole
        tags = {"mlflow.parentRunId": parent.run_id, "mlflow.runName": f"trial {number}"}
        run = store.create_run(parent.experiment_id, tags=tags).info
        scores = {name: trial.pop(name) for name in ("rmse", "first_fold", "seconds")}
        given_up = scores["rmse"] != scores["rmse"]  # NaN
        store.log_batch(
            run.run_id,
            metrics=[
                Metric(name, value, run.start_time, 0)
                for name, value in scores.items()
                if value == value
            ],
            params=[Param(name, str(value)) for name, value in trial.items()],
            tags=[RunTag("pruned", str(given_up).lower())],
        )
        store.set_terminated(run.run_id)


def candidates(manifest: Mapping[str, Any]) -> list[Candidate]:
    """The candidates of this run's training, else of the newest on the same data; best CV first.

    Raises LookupError if nothing was trained on this training part.
    """
    store = client()
    runs = store.search_runs(
        [_experiment_id(store)],
        f"tags.train_sha256 = '{manifest['sha256']['train']}' AND attributes.status = 'FINISHED'"
        " AND tags.family != ''",
        order_by=["attributes.start_time DESC"],
    )
    if not runs:
        raise LookupError("nothing was trained on this data yet: run 02_train first")
    trainings = [one.data.tags["training"] for one in runs]
    wanted = os.environ.get("PIPELINE_RUN_ID")
    training = wanted if wanted in trainings else trainings[0]
    ours = [_candidate(one) for one in runs if one.data.tags["training"] == training]
    return sorted(ours, key=lambda one: one.cv_rmse)


def _candidate(run: mlflow.entities.Run) -> Candidate:
    [output] = run.outputs.model_outputs
    tags, metrics = run.data.tags, run.data.metrics
    return Candidate(
        run.info.run_id,
        output.model_id,
        tags["family"],
        tags["training"],
        metrics["cv_rmse"],
        metrics["test_rmse"],
    )


def load_candidate(candidate: Candidate) -> RegressorMixin:
    """The candidate's scikit-learn model."""
    client()
    return mlflow.sklearn.load_model(f"models:/{candidate.model_id}")


def columns(candidate: Candidate) -> dict[str, str]:
    """Name and type of each column that the candidate's signature asks for, in its order."""
    client()
    signature = mlflow.models.get_model_info(f"models:/{candidate.model_id}").signature
    asked = signature.inputs if signature and signature.inputs else []
    return {str(one.name): one.type.name for one in asked}


def load_version(found: Version) -> RegressorMixin:
    """The registered version's scikit-learn model."""
    client()
    return mlflow.sklearn.load_model(f"models:/{found.name}/{found.version}")


def served(name: str | None = None) -> Version | None:
    """The champion that answers: of the model of that name, else of the real one, else of the
    one that learnt from the sample; None if there is none.
    """
    names = [name] if name else [MODEL_NAMES[one] for one in ("california", "sample")]
    return next(filter(None, map(champion, names)), None)


def champion(name: str) -> Version | None:
    """The version that the alias champion names; None if there is none, or no store yet."""
    own_store = not os.environ.get("MLFLOW_TRACKING_URI")
    if own_store and not (paths.var() / "mlflow.db").exists():
        return None
    try:
        return _version(client().get_model_version_by_alias(name, CHAMPION))
    except MlflowException as missing:
        if missing.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _version(found: ModelVersion) -> Version:
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
    store, name = client(), MODEL_NAMES[split.manifest["source"]]
    _add_graph(store, candidate, graph, split.test[NAMES][: len(examples)].to_numpy(), examples)
    try:
        store.create_registered_model(name)
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
    store.log_dict(candidate.run_id, {"promoted": promoted, "checks": list(checks)}, "gate.json")
    made = store.create_model_version(
        name,
        f"models:/{candidate.model_id}",
        candidate.run_id,
        tags=tags,
        model_id=candidate.model_id,
    )
    alias = CHAMPION if promoted else CHALLENGER
    store.set_registered_model_alias(name, alias, made.version)
    return _version(store.get_model_version(name, made.version))


def _add_graph(
    store: MlflowClient, candidate: Candidate, graph: bytes, rows: np.ndarray, answers: np.ndarray
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
        store.log_model_artifacts(candidate.model_id, folder)


def export(found: Version, folder: Path) -> dict[str, Any]:
    """Copies what serving needs into the folder: model.onnx, examples.json, about.json.

    Gives what about.json says: name, version, alias, run id, data source, metrics, report, commit.
    """
    client()
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
