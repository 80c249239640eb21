"""Experiments in MLflow: what was trained, its scores, and its files."""

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

# named here, because MLflow needs six seconds to infer them
MODEL_REQUIREMENTS = ("scikit-learn", "lightgbm", "pykdtree", "skops", "numpy", "pandas")


class Candidate(NamedTuple):
    """A trained model that may become champion: one MLflow run."""

    run_id: str
    model_id: str
    family: str
    training_id: str  # shared by the candidates of one training
    cv_rmse: float  # in $100,000, on the training part
    test_rmse: float  # in $100,000


class MlflowRun(NamedTuple):
    """A run as MLflow stores it."""

    run_id: str
    started_at: str  # UTC, ISO 8601
    tags: dict[str, str]
    metrics: dict[str, float]


class CandidateExtras(NamedTuple):
    """What to store in a candidate's run besides its scores."""

    metrics: Mapping[str, float] = MappingProxyType({})
    tables: Mapping[str, pd.DataFrame] = MappingProxyType({})  # name -> table, stored as CSV
    figures: Mapping[str, Figure] = MappingProxyType({})  # name -> figure, stored as PNG
    intervals: IntervalModel | None = None  # stored in the model's own folder


@raises_unreachable
def log_candidates(
    search_results: Iterable[SearchResult],
    split: TrainTestSplit,
    training_id: str,
    extras: Mapping[str, CandidateExtras] | None = None,
) -> list[Candidate]:
    """Log an MLflow run for the best model of each search, with the trials nested below it.

    training_id: the id that these candidates share. extras: family -> what else to store.
    """
    extras = extras or {}
    datasets = {context: _mlflow_dataset(split, context) for context in ("train", "test")}
    return [
        _log_candidate(
            search_result,
            split,
            training_id,
            extras.get(search_result.family) or CandidateExtras(),
            datasets,
        )
        for search_result in search_results
    ]


def _log_candidate(
    search_result: SearchResult,
    split: TrainTestSplit,
    training_id: str,
    extras: CandidateExtras,
    datasets: Mapping[str, mlflow.data.Dataset],
) -> Candidate:
    from housing.evaluation import metrics as evaluation_metrics  # the service has no scikit-learn

    client, package = store.client(), package_wheel.build()
    test_scores = evaluation_metrics.regression_scores(
        split.test[TARGET], search_result.model.predict(split.test[FEATURE_NAMES])
    )
    tags = {"family": search_result.family, "training": training_id}
    with mlflow.start_run(
        experiment_id=store.experiment_id(),
        run_name=search_result.family,
        tags=run_tags.lineage_tags(split.manifest) | tags,
    ) as run:
        mlflow.log_params(search_result.params)
        mlflow.log_metrics({"cv_rmse": search_result.rmse, "cv_rmse_std": search_result.rmse_std})
        mlflow.log_metrics({f"test_{name}": value for name, value in test_scores.items()})
        for context, dataset in datasets.items():
            mlflow.log_input(dataset, context=context)
        _log_extras(extras)
        model_id = _log_model(search_result.model, split, package.name)
    _log_model_files(client, model_id, package, extras.intervals)
    _log_trials(client, run.info, search_result)
    return Candidate(
        run.info.run_id,
        model_id,
        search_result.family,
        training_id,
        search_result.rmse,
        test_scores["rmse"],
    )


def _log_extras(extras: CandidateExtras) -> None:
    mlflow.log_metrics(dict(extras.metrics))
    for name, figure in extras.figures.items():
        mlflow.log_figure(figure, f"figures/{name}.png")
    for name, table in extras.tables.items():
        mlflow.log_text(table.to_csv(), f"tables/{name}.csv")


def _log_model(model: RegressorMixin, split: TrainTestSplit, wheel_name: str) -> str:
    """Log the model to the active run; return its id."""

    logged_model = mlflow.sklearn.log_model(
        model,
        name="model",
        signature=_infer_signature(model, split),
        input_example=split.test[FEATURE_NAMES][:3],
        pip_requirements=[*_pip_requirements(), f"wheels/{wheel_name}"],
        skops_trusted_types=persistence.TRUSTED_TYPES,
    )
    return logged_model.model_id


def _log_model_files(
    client: mlflow.MlflowClient,
    model_id: str,
    package: package_wheel.Wheel,
    intervals: IntervalModel | None,
) -> None:
    """Add our package and the intervals to the folder of a logged model."""
    with TemporaryDirectory() as folder:
        paths.atomic_write(Path(folder) / "wheels" / package.name, package.content)
        if intervals:
            (Path(folder) / "intervals.skops").write_bytes(intervals.dumps())
        client.log_model_artifacts(model_id, folder)


def _mlflow_dataset(split: TrainTestSplit, subset: str) -> mlflow.data.Dataset:
    path = paths.processed_data() / f"{subset}.parquet"
    # MLflow adds both names to its modules when it is imported
    source = mlflow.data.sources.LocalArtifactDatasetSource(path.as_uri())  # type: ignore[attr-defined]
    return mlflow.data.from_pandas(  # type: ignore[attr-defined]
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
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in MODEL_REQUIREMENTS]


def _log_trials(
    client: mlflow.MlflowClient, parent_run: mlflow.entities.RunInfo, search_result: SearchResult
) -> None:
    """Log every trial as a nested run, after the search, so that no trial waits for the store."""
    # "records" keeps integers integers
    for number, trial in enumerate(search_result.trials.to_dict("records")):
        tags = {"mlflow.parentRunId": parent_run.run_id, "mlflow.runName": f"trial {number}"}
        run = client.create_run(parent_run.experiment_id, tags=tags).info
        scores = {name: trial.pop(name) for name in ("rmse", "first_fold", "seconds")}
        is_pruned = scores["rmse"] != scores["rmse"]  # NaN
        client.log_batch(
            run.run_id,
            metrics=[
                mlflow.entities.Metric(name, value, run.start_time, 0)
                for name, value in scores.items()
                if value == value
            ],
            params=[mlflow.entities.Param(name, str(value)) for name, value in trial.items()],
            tags=[mlflow.entities.RunTag("pruned", str(is_pruned).lower())],
        )
        client.set_terminated(run.run_id)


@raises_unreachable
def find_candidates(manifest: Mapping[str, Any]) -> list[Candidate]:
    """Return the candidates of this pipeline run's training, the best cross-validation RMSE first.

    If this run has not trained on the data, returns those of the newest training that has. Raises
    LookupError if nothing was trained on this training part.
    """
    mlflow_runs = store.client().search_runs(
        [store.experiment_id()],
        f"tags.train_sha256 = '{manifest['sha256']['train']}' AND attributes.status = 'FINISHED'"
        " AND tags.family != ''",
        order_by=["attributes.start_time DESC"],
    )
    if not mlflow_runs:
        raise LookupError("nothing was trained on this data yet: run 02_train first")
    training_ids = [mlflow_run.data.tags["training"] for mlflow_run in mlflow_runs]
    run_id = os.environ.get("PIPELINE_RUN_ID")
    training_id = run_id if run_id in training_ids else training_ids[0]
    candidates = [
        _to_candidate(mlflow_run)
        for mlflow_run in mlflow_runs
        if mlflow_run.data.tags["training"] == training_id
    ]
    return sorted(candidates, key=lambda candidate: candidate.cv_rmse)


def _to_candidate(mlflow_run: mlflow.entities.Run) -> Candidate:
    [model_output] = mlflow_run.outputs.model_outputs if mlflow_run.outputs else []
    tags, metrics = mlflow_run.data.tags, mlflow_run.data.metrics
    return Candidate(
        mlflow_run.info.run_id,
        model_output.model_id,
        tags["family"],
        tags["training"],
        metrics["cv_rmse"],
        metrics["test_rmse"],
    )


@raises_unreachable
def load_model(candidate: Candidate) -> RegressorMixin:
    """Load the candidate's scikit-learn model.

    Raises ValueError as `persistence.load_model` does.
    """
    return persistence.load_model(_download_model(candidate))


@raises_unreachable
def load_intervals(candidate: Candidate) -> IntervalModel:
    """Load the intervals that were calibrated for the candidate.

    Raises LookupError if there are none.
    """
    from housing.models.intervals import IntervalModel

    file = _download_model(candidate) / "intervals.skops"
    if not file.exists():
        family, run_id = candidate.family, candidate.run_id
        raise LookupError(f"{family} (MLflow run {run_id}) has no intervals: run 02_train again")
    return IntervalModel.loads(file.read_bytes())


def _download_model(candidate: Candidate) -> Path:
    store.client()
    return Path(mlflow.artifacts.download_artifacts(f"models:/{candidate.model_id}"))


@raises_unreachable
def signature_columns(candidate: Candidate) -> dict[str, str]:
    """Return name and type of each input column of the candidate's signature, in its order."""
    store.client()
    signature = mlflow.models.get_model_info(f"models:/{candidate.model_id}").signature
    columns = signature.inputs if signature and signature.inputs else []
    return {str(column.name): column.type.name for column in columns}


@raises_unreachable
def get_run(run_id: str) -> MlflowRun | None:
    """Return the MLflow run of that id; None if the store has none."""
    try:
        mlflow_run = store.client().get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    started_at = datetime.fromtimestamp(mlflow_run.info.start_time / 1000, UTC)
    return MlflowRun(
        run_id,
        started_at.isoformat(timespec="seconds"),
        dict(mlflow_run.data.tags),
        dict(mlflow_run.data.metrics),
    )


@raises_unreachable
def find_run_ids(pipeline_run_id: str) -> list[str]:
    """Return the ids of the MLflow runs that a run of the pipeline has logged."""
    condition = f"tags.training = '{pipeline_run_id}'"
    mlflow_runs = store.client().search_runs([store.experiment_id()], condition)
    return [mlflow_run.info.run_id for mlflow_run in mlflow_runs]


@raises_unreachable
def run_url(candidate: Candidate) -> str:
    """Return the address of the candidate's run in MLflow's own pages."""
    return f"{store.ui_url()}/experiments/{store.experiment_id()}/runs/{candidate.run_id}"
