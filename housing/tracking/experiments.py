"""Experiments in MLflow: what was trained, its scores, and its files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from housing.models import persistence
from housing.tracking import downloads, store
from housing.tracking.mlflow_env import load_mlflow, suppress_errors
from housing.tracking.store import raises_unreachable

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Run
    from sklearn.base import RegressorMixin

    from housing.models.intervals import IntervalModel

TABLES_FOLDER = "tables"  # of a run's artifacts


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
    is_deleted: bool = False  # in MLflow, which keeps it until `mlflow gc`


@raises_unreachable
def find_candidates(manifest: Mapping[str, Any], run_id: str = "") -> list[Candidate]:
    """Return the candidates of a run's training, the best cross-validation RMSE first.

    manifest: of the split. run_id: of the run of the pipeline; if it has not trained on the split's
    training part, returns the candidates of the newest training that has. Raises LookupError if
    there is none.
    """
    mlflow_runs = store.client().search_runs(
        [store.experiment_id()],
        f"tags.train_sha256 = '{manifest['sha256']['train']}' AND attributes.status = 'FINISHED'"
        " AND tags.family != ''",
        order_by=["attributes.start_time DESC"],
    )
    if not mlflow_runs:
        raise LookupError(
            "nothing was trained on this data yet, or its runs were deleted in MLflow: run "
            "02_train first (`run_pipeline.py --force train`)"
        )
    training_ids = [mlflow_run.data.tags["training"] for mlflow_run in mlflow_runs]
    training_id = run_id if run_id in training_ids else training_ids[0]
    candidates = [
        _to_candidate(mlflow_run)
        for mlflow_run in mlflow_runs
        if mlflow_run.data.tags["training"] == training_id
    ]
    return sorted(candidates, key=lambda candidate: candidate.cv_rmse)


def _to_candidate(mlflow_run: Run) -> Candidate:
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
    return persistence.load_model(model_folder(candidate))


@raises_unreachable
def load_intervals(candidate: Candidate) -> IntervalModel:
    """Load the intervals that were calibrated for the candidate.

    Raises LookupError if there are none.
    """
    from housing.models.intervals import IntervalModel

    file = model_folder(candidate) / "intervals.skops"
    if not file.exists():
        family, run_id = candidate.family, candidate.run_id
        raise LookupError(f"{family} (MLflow run {run_id}) has no intervals: run 02_train again")
    return IntervalModel.loads(file.read_bytes())


@raises_unreachable
def signature_columns(candidate: Candidate) -> dict[str, str]:
    """Return name and type of each input column of the candidate's signature, in its order."""
    signature = load_mlflow().models.get_model_info(str(model_folder(candidate))).signature
    columns = signature.inputs if signature and signature.inputs else []
    return {str(column.name): column.type.name for column in columns}


@raises_unreachable
def model_folder(candidate: Candidate) -> Path:
    """Return the folder of the candidate's model on this machine; fetch it once in a process.

    Raises ValueError, with the way out, if its files are gone.
    """
    store.client()
    return _download_model(store.tracking_uri(), candidate.model_id)


@cache
def _download_model(tracking_uri: str, model_id: str) -> Path:
    label, remedy = f"the candidate (model {model_id})", "run `run_pipeline.py --force train`"
    with suppress_errors("RESOURCE_DOES_NOT_EXIST"):
        location = store.client().get_logged_model(model_id).artifact_location
        return downloads.download(f"models:/{model_id}", location, "MLmodel", label, remedy)
    raise downloads.MissingArtifactsError(f"{label} was deleted in MLflow: {remedy}")


@raises_unreachable
def get_run(run_id: str) -> MlflowRun | None:
    """Return the MLflow run of that id; None if the store has none."""
    with suppress_errors("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
        mlflow_run = store.client().get_run(run_id)
        started_at = datetime.fromtimestamp(mlflow_run.info.start_time / 1000, UTC)
        return MlflowRun(
            run_id,
            started_at.isoformat(timespec="seconds"),
            dict(mlflow_run.data.tags),
            dict(mlflow_run.data.metrics),
            mlflow_run.info.lifecycle_stage == "deleted",
        )
    return None


@raises_unreachable
def load_table(run_id: str, name: str) -> pd.DataFrame | None:
    """Return a table that a run was logged with, by its first column; None if there is none.

    name: as in `run_logging.CandidateExtras`.
    """
    import pandas as pd

    path = f"{TABLES_FOLDER}/{name}.csv"
    with suppress_errors("RESOURCE_DOES_NOT_EXIST"):
        if path in [file.path for file in store.client().list_artifacts(run_id, TABLES_FOLDER)]:
            text = load_mlflow().artifacts.load_text(f"runs:/{run_id}/{path}")
            return pd.read_csv(io.StringIO(text), index_col=0)
    return None


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
