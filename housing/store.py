"""The tracking store: where MLflow keeps experiments and the registry, and that it is ready.

The only module that imports MLflow, as MLflow reads its environment at that moment.
"""

from __future__ import annotations  # the service reads the registry without pandas or scikit-learn

import os

from filelock import FileLock

from housing import paths, watch

os.environ.update(watch.MLFLOW | dict(os.environ))
import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

__all__ = ["MlflowException", "mlflow"]  # for tracking and registry
EXPERIMENT = "california-housing"
LOCAL_PAGES = "http://127.0.0.1:5000"


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else the sqlite file in var/ (absolute: notebooks run elsewhere)."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{paths.var() / 'mlflow.db'}"


def pages() -> str:
    """Where MLflow's own pages are; for the file in var/ while `make mlflow` runs."""
    server = tracking_uri() if tracking_uri().startswith("http") else LOCAL_PAGES
    return f"{server.rstrip('/')}/#"


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


def exists() -> bool:
    """Whether there may be anything in it: a sqlite file of ours is made by the first use."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    return bool(given) or (paths.var() / "mlflow.db").exists()


def experiment_id() -> str:
    """Of the one experiment that all candidates are runs of."""
    return client().get_experiment_by_name(EXPERIMENT).experiment_id


def _artifacts() -> str | None:
    own_store = not os.environ.get("MLFLOW_TRACKING_URI")
    return (paths.var() / "artifacts").as_uri() if own_store else None
