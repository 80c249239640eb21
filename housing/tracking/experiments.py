"""Experiments in MLflow: what was trained, and what is known of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from housing import paths
from housing.models import persistence
from housing.schema import FEATURE_NAMES, TARGET
from housing.tracking import package_wheel, store
from housing.tracking import tags as run_tags
from housing.tracking.store import MlflowException, mlflow, raises_unreachable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from sklearn.base import RegressorMixin

    from housing.data.splitting import TrainTestSplit
    from housing.models.intervals import IntervalModel
    from housing.training.search import SearchResult


class Candidate(NamedTuple):
    """A trained model that may become champion: one MLflow run."""

    run_id: str
    model_id: str
    family: str
    training_id: str  # the training it belongs to
    cv_rmse: float  # in $100,000, on the training part
    test_rmse: float  # in $100,000


class MlflowRun(NamedTuple):
    """What MLflow knows of a run."""

    run_id: str
    started_at: str  # when it began: UTC, ISO 8601
    tags: dict[str, str]
    metrics: dict[str, float]


class CandidateExtras(NamedTuple):
    """What is known of a candidate beyond its scores, to be kept in its run."""

    metrics: Mapping[str, float] = MappingProxyType({})
    tables: Mapping[str, pd.DataFrame] = MappingProxyType({})  # name -> table, kept as CSV
    figures: Mapping[str, Figure] = MappingProxyType({})  # name -> picture, kept as PNG
    intervals: IntervalModel | None = None  # goes into the model's own folder


@raises_unreachable
def log_candidates(
    search_results: Iterable[SearchResult],
    split: TrainTestSplit,
    training_id: str,
    extras: Mapping[str, CandidateExtras] | None = None,
) -> list[Candidate]:
    """An MLflow run for each search's best model, its trials nested below.

    training: the id that these candidates share. evidence: family -> what else is known of it.
    """
    extras = extras or {}
    data = {context: _mlflow_dataset(split, context) for context in ("train", "test")}
    return [
        _log_candidate(one, split, training_id, extras.get(one.family), data)
        for one in search_results
    ]


def _log_candidate(
    search_result: SearchResult,
    split: TrainTestSplit,
    training_id: str,
    extras: CandidateExtras | None,
    datasets: Mapping[str, mlflow.data.Dataset],
) -> Candidate:
    from housing.evaluation import metrics as evaluation_metrics  # the service has no scikit-learn
    from housing.models.families import TRUSTED_TYPES

    client, extras, package = store.client(), extras or CandidateExtras(), package_wheel.build()
    test_scores = evaluation_metrics.regression_scores(
        split.test[TARGET], search_result.model.predict(split.test[FEATURE_NAMES])
    )
    with mlflow.start_run(
        experiment_id=store.experiment_id(),
        run_name=search_result.family,
        tags=run_tags.lineage_tags(split.manifest)
        | {"family": search_result.family, "training": training_id},
    ) as run:
        mlflow.log_params(search_result.params)
        mlflow.log_metrics({"cv_rmse": search_result.rmse, "cv_rmse_std": search_result.rmse_std})
        mlflow.log_metrics({f"test_{name}": value for name, value in test_scores.items()})
        for context, dataset in datasets.items():
            mlflow.log_input(dataset, context=context)
        mlflow.log_metrics(dict(extras.metrics))
        for name, figure in extras.figures.items():
            mlflow.log_figure(figure, f"figures/{name}.png")
        for name, table in extras.tables.items():
            mlflow.log_text(table.to_csv(), f"tables/{name}.csv")
        model = mlflow.sklearn.log_model(
            search_result.model,
            name="model",
            signature=_infer_signature(search_result.model, split),
            input_example=split.test[FEATURE_NAMES][:3],
            pip_requirements=[*_pip_requirements(), f"wheels/{package.name}"],
            skops_trusted_types=TRUSTED_TYPES,
        )
    with TemporaryDirectory() as folder:
        paths.atomic_write(Path(folder) / "wheels" / package.name, package.content)
        if extras.intervals:
            (Path(folder) / "intervals.skops").write_bytes(extras.intervals.dumps())
        client.log_model_artifacts(model.model_id, folder)
    _log_trials(client, run.info, search_result)
    return Candidate(
        run.info.run_id,
        model.model_id,
        search_result.family,
        training_id,
        search_result.rmse,
        test_scores["rmse"],
    )


def _mlflow_dataset(split: TrainTestSplit, subset: str) -> mlflow.data.Dataset:
    path = paths.processed_data() / f"{subset}.parquet"
    source = mlflow.data.sources.LocalArtifactDatasetSource(path.as_uri())
    return mlflow.data.from_pandas(
        getattr(split, subset),
        source=source,
        targets=TARGET,
        name=f"california-housing-{subset}",
        digest=split.manifest["sha256"][subset][:32],
    )


def _infer_signature(model: RegressorMixin, split: TrainTestSplit) -> mlflow.models.ModelSignature:
    rows = split.train[FEATURE_NAMES][:5]
    return mlflow.models.infer_signature(rows, model.predict(rows))


def _pip_requirements() -> list[str]:
    """Named by us: MLflow needs six seconds to infer them."""
    from importlib.metadata import version

    return [
        f"{name}=={version(name)}"
        for name in ("scikit-learn", "lightgbm", "pykdtree", "skops", "numpy", "pandas")
    ]


def _log_trials(
    client: mlflow.MlflowClient, parent_run: mlflow.entities.RunInfo, search_result: SearchResult
) -> None:
    """All at once after the search, so that no trial waits for the store."""
    for number, trial in enumerate(
        search_result.trials.to_dict("records")
    ):  # keeps whole numbers whole
        tags = {"mlflow.parentRunId": parent_run.run_id, "mlflow.runName": f"trial {number}"}
        run = client.create_run(parent_run.experiment_id, tags=tags).info
        scores = {name: trial.pop(name) for name in ("rmse", "first_fold", "seconds")}
        given_up = scores["rmse"] != scores["rmse"]  # NaN
        client.log_batch(
            run.run_id,
            metrics=[
                mlflow.entities.Metric(name, value, run.start_time, 0)
                for name, value in scores.items()
                if value == value
            ],
            params=[mlflow.entities.Param(name, str(value)) for name, value in trial.items()],
            tags=[mlflow.entities.RunTag("pruned", str(given_up).lower())],
        )
        client.set_terminated(run.run_id)


@raises_unreachable
def find_candidates(manifest: Mapping[str, Any]) -> list[Candidate]:
    """The candidates of this run's training, else of the newest on the same data; best CV first.

    Raises LookupError if nothing was trained on this training part.
    """
    runs = store.client().search_runs(
        [store.experiment_id()],
        f"tags.train_sha256 = '{manifest['sha256']['train']}' AND attributes.status = 'FINISHED'"
        " AND tags.family != ''",
        order_by=["attributes.start_time DESC"],
    )
    if not runs:
        raise LookupError("nothing was trained on this data yet: run 02_train first")
    trainings = [one.data.tags["training"] for one in runs]
    wanted = os.environ.get("PIPELINE_RUN_ID")
    training = wanted if wanted in trainings else trainings[0]
    ours = [_to_candidate(one) for one in runs if one.data.tags["training"] == training]
    return sorted(ours, key=lambda one: one.cv_rmse)


def _to_candidate(mlflow_run: mlflow.entities.Run) -> Candidate:
    [output] = mlflow_run.outputs.model_outputs
    tags, metrics = mlflow_run.data.tags, mlflow_run.data.metrics
    return Candidate(
        mlflow_run.info.run_id,
        output.model_id,
        tags["family"],
        tags["training"],
        metrics["cv_rmse"],
        metrics["test_rmse"],
    )


@raises_unreachable
def load_model(candidate: Candidate) -> RegressorMixin:
    """The candidate's scikit-learn model; ValueError as `stored.load` raises it."""
    store.client()
    uri = f"models:/{candidate.model_id}"
    return persistence.load_model(Path(mlflow.artifacts.download_artifacts(uri)))


@raises_unreachable
def load_intervals(candidate: Candidate) -> IntervalModel:
    """The intervals that were made for the candidate; LookupError if there are none."""
    from housing.models.intervals import IntervalModel

    store.client()
    model = Path(mlflow.artifacts.download_artifacts(f"models:/{candidate.model_id}"))
    file = model / "intervals.skops"
    if not file.exists():
        family, run_id = candidate.family, candidate.run_id
        raise LookupError(f"{family} (MLflow run {run_id}) has no intervals: run 02_train again")
    return IntervalModel.loads(file.read_bytes())


@raises_unreachable
def signature_columns(candidate: Candidate) -> dict[str, str]:
    """Name and type of each column that the candidate's signature asks for, in its order."""
    store.client()
    signature = mlflow.models.get_model_info(f"models:/{candidate.model_id}").signature
    asked = signature.inputs if signature and signature.inputs else []
    return {str(one.name): one.type.name for one in asked}


@raises_unreachable
def get_run(run_id: str) -> MlflowRun | None:
    """The MLflow run of that id; None if the store has none."""
    try:
        found = store.client().get_run(run_id)
    except MlflowException as missing:
        if missing.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    at = datetime.fromtimestamp(found.info.start_time / 1000, UTC).isoformat(timespec="seconds")
    return MlflowRun(run_id, at, dict(found.data.tags), dict(found.data.metrics))


@raises_unreachable
def find_run_ids(pipeline_run_id: str) -> list[str]:
    """The ids of the MLflow runs that a run of the pipeline has logged."""
    where = f"tags.training = '{pipeline_run_id}'"
    found = store.client().search_runs([store.experiment_id()], where)
    return [one.info.run_id for one in found]


@raises_unreachable
def run_url(candidate: Candidate) -> str:
    """Where MLflow's own pages show its run."""
    return f"{store.ui_url()}/experiments/{store.experiment_id()}/runs/{candidate.run_id}"
