"""Log the models of a training to MLflow, each with its trials and everything it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from sklearn.base import RegressorMixin

from housing import paths
from housing.data.splitting import TrainTestSplit
from housing.evaluation.metrics import regression_scores
from housing.models import persistence
from housing.models.intervals import IntervalModel
from housing.schema import FEATURE_NAMES, TARGET
from housing.tracking import package_wheel, store
from housing.tracking import tags as run_tags
from housing.tracking.experiments import TABLES_FOLDER, Candidate
from housing.tracking.mlflow_env import load_mlflow
from housing.tracking.store import raises_unreachable
from housing.tracking.tags import NO_ORIGIN
from housing.training.search import SearchResult

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.data.dataset import Dataset
    from mlflow.entities import RunInfo

# named here, because MLflow needs six seconds to infer them
MODEL_REQUIREMENTS = ("scikit-learn", "lightgbm", "pykdtree", "skops", "numpy", "pandas")


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
    origin: Mapping[str, str] = NO_ORIGIN,
) -> list[Candidate]:
    """Log an MLflow run for the best model of each search, with the trials nested below it.

    training_id: the id that these candidates share. extras: family -> what else to store.
    origin: as in `tags.lineage_tags`.
    """
    extras = extras or {}
    tags = run_tags.lineage_tags(split.manifest, origin) | {"training": training_id}
    datasets = {context: _mlflow_dataset(split, context) for context in ("train", "test")}
    return [
        _log_candidate(
            search_result,
            split,
            tags | {"family": search_result.family},
            extras.get(search_result.family) or CandidateExtras(),
            datasets,
        )
        for search_result in search_results
    ]


def _log_candidate(
    search_result: SearchResult,
    split: TrainTestSplit,
    tags: dict[str, str],
    extras: CandidateExtras,
    datasets: Mapping[str, Dataset],
) -> Candidate:
    mlflow, client, package = load_mlflow(), store.client(), package_wheel.build()
    test_scores = regression_scores(
        split.test[TARGET], search_result.model.predict(split.test[FEATURE_NAMES])
    )
    family, experiment_id = search_result.family, store.active_experiment_id()
    with mlflow.start_run(experiment_id=experiment_id, run_name=family, tags=tags) as run:
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
        tags["training"],
        search_result.rmse,
        test_scores["rmse"],
    )


def _log_extras(extras: CandidateExtras) -> None:
    mlflow = load_mlflow()
    mlflow.log_metrics(dict(extras.metrics))
    for name, figure in extras.figures.items():
        mlflow.log_figure(figure, f"figures/{name}.png")
    for name, table in extras.tables.items():
        mlflow.log_text(table.to_csv(), f"{TABLES_FOLDER}/{name}.csv")


def _log_model(model: RegressorMixin, split: TrainTestSplit, wheel_name: str) -> str:
    """Log the model to the active run; return its id."""
    mlflow, rows = load_mlflow(), split.train[FEATURE_NAMES][:5]
    requirements = [f"{name}=={version(name)}" for name in MODEL_REQUIREMENTS]
    logged_model = mlflow.sklearn.log_model(
        model,
        name="model",
        signature=mlflow.models.infer_signature(rows, model.predict(rows)),
        input_example=split.test[FEATURE_NAMES][:3],
        pip_requirements=[*requirements, f"wheels/{wheel_name}"],
        skops_trusted_types=persistence.TRUSTED_TYPES,
    )
    return logged_model.model_id


def _log_model_files(
    client: MlflowClient,
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


def _mlflow_dataset(split: TrainTestSplit, subset: str) -> Dataset:
    mlflow, path = load_mlflow(), paths.processed_data() / f"{subset}.parquet"
    source = mlflow.data.sources.LocalArtifactDatasetSource(path.as_uri())
    return mlflow.data.from_pandas(
        getattr(split, subset),
        source=source,
        targets=TARGET,
        name=f"california-housing-{subset}",
        digest=split.manifest["sha256"][subset][:32],
    )


def _log_trials(client: MlflowClient, parent_run: RunInfo, search_result: SearchResult) -> None:
    """Log every trial as a nested run, after the search, so that no trial waits for the store."""
    mlflow = load_mlflow()
    # "records" keeps integers integers
    for number, trial in enumerate(search_result.trials.to_dict("records")):
        tags = {"mlflow.parentRunId": parent_run.run_id, "mlflow.runName": f"trial {number}"}
        scores = {name: trial.pop(name) for name in ("rmse", "first_fold", "seconds")}
        tags["pruned"] = str(scores["rmse"] != scores["rmse"]).lower()  # NaN
        run_id = client.create_run(parent_run.experiment_id, tags=tags).info.run_id
        mlflow.log_params(trial, run_id=run_id)
        valid_scores = {name: value for name, value in scores.items() if value == value}
        mlflow.log_metrics(valid_scores, run_id=run_id)
        client.set_terminated(run_id)
