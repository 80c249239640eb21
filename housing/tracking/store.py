"""The tracking store: where MLflow keeps experiments and the registry, and that it is ready.

The only module that imports MLflow, as MLflow reads its environment at that moment.
"""

from __future__ import annotations  # the service reads the registry without pandas or scikit-learn

import os
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import ParamSpec, TypeVar

from housing import paths
from housing.tracking import errors, probe
from housing.tracking.errors import Unreachable

os.environ.update(probe.MLFLOW | dict(os.environ))
import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

__all__ = ["MlflowException", "Unreachable", "mlflow"]  # for tracking and registry
EXPERIMENT = probe.EXPERIMENT
LOCAL_PAGES = "http://127.0.0.1:5000"
P, R = ParamSpec("P"), TypeVar("R")

_ready: dict[str, int] = {}  # the stores this process has found ready: URI -> the file's inode


def reached(function: Callable[P, R]) -> Callable[P, R]:
    """The function, raising `Unreachable` where MLflow raises what its client has tried."""

    @wraps(function)
    def asked(*args: P.args, **named: P.kwargs) -> R:
        try:
            return function(*args, **named)
        except Unreachable:
            raise
        except Exception as failed:  # MLflow's own, or of what it asks with
            if not errors.is_away(failed):
                raise
            _ready.clear()
            raise errors.unreachable(tracking_uri(), failed) from None

    return asked


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else the sqlite file in var/ (absolute: notebooks run elsewhere)."""
    return probe.uri()


def pages() -> str:
    """Where MLflow's own pages are: HOUSING_MLFLOW_PAGES, else the tracking server; for the file in
    var/ while `make mlflow` runs."""
    given = os.environ.get("HOUSING_MLFLOW_PAGES")
    if given:  # a browser may know the server by another name than a container
        return f"{given.rstrip('/')}/#"
    server = tracking_uri() if tracking_uri().startswith("http") else ""
    return f"{errors.shown(server).rstrip('/') if server else LOCAL_PAGES}/#"


def client() -> MlflowClient:
    """A client of a store that is ready: created or migrated under a lock, with our experiment.

    Cheap from the second call on. Raises ValueError for a store that cannot be used as it is, and
    says the way out.
    """
    uri, given = tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    if not given:  # MLflow has set it: then nothing could tell our choice from the user's
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    if uri not in _ready or _ready[uri] != _inode():
        _prepare(uri)
        _ready[uri] = _inode()
    return MlflowClient()


def _prepare(uri: str) -> None:
    from housing.tracking import schema_migration

    file = probe.database()
    if file:
        if schema_migration.file(file) or uri in _ready:
            _close(uri)
    elif not uri.startswith("http"):
        schema_migration.database(uri)
    _experiment(MlflowClient())


def _inode() -> int:
    file = probe.database()
    return file.stat().st_ino if file and file.exists() else 0


def _close(uri: str) -> None:
    """MLflow's connections would go on with the file that was there before."""
    for name in ("tracking", "model_registry"):
        engines = internals(f"store.{name}.sqlalchemy_store").SqlAlchemyStore._engine_map
        if uri in engines:
            engines[uri].dispose()


def _experiment(client: MlflowClient) -> mlflow.entities.Experiment:
    """Ours, made if it is missing; of several that make it at once, one does."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        try:
            client.create_experiment(EXPERIMENT, artifact_location=artifacts())
        except MlflowException as known:
            if known.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        found = client.get_experiment_by_name(EXPERIMENT)
    return found


def exists() -> bool:
    """Whether there may be anything in it: a sqlite file is made by the first use."""
    file = probe.database()
    return file is None or file.exists()


def experiment_id() -> str:
    """Of the one experiment that all candidates are runs of."""
    return _experiment(client()).experiment_id


@reached
def place() -> str:
    """The store as a person may see it, once it has answered."""
    return errors.shown(tracking_uri()) if experiment_id() else ""


def artifacts() -> str | None:
    """Where models and pictures go: HOUSING_ARTIFACTS, else beside a sqlite file, else var/.

    None for a tracking server, which decides by itself. A folder's path becomes a URI.
    """
    given = os.environ.get("HOUSING_ARTIFACTS")
    if given:
        return given if "://" in given else (paths.started_in() / given).resolve().as_uri()
    if tracking_uri().startswith("http"):
        return None
    file = probe.database()
    return ((file.parent if file else paths.var()) / "artifacts").as_uri()


def internals(name: str) -> ModuleType:
    """A module of MLflow's that takes long to import, or is its own affair."""
    return import_module(f"mlflow.{name}")
