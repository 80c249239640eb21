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
from housing.tracking.errors import StoreUnreachableError

os.environ.update(probe.MLFLOW_ENVIRONMENT | dict(os.environ))
import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

__all__ = ["MlflowException", "StoreUnreachableError", "mlflow"]  # for tracking and registry
EXPERIMENT_NAME = probe.EXPERIMENT_NAME
LOCAL_UI_URL = "http://127.0.0.1:5000"
P = ParamSpec("P")
R = TypeVar("R")

_prepared_inodes: dict[
    str, int
] = {}  # the stores this process has found ready: URI -> the file's inode


def raises_unreachable(function: Callable[P, R]) -> Callable[P, R]:
    """The function, raising `Unreachable` where MLflow raises what its client has tried."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except StoreUnreachableError:
            raise
        except Exception as failed:  # MLflow's own, or of what it asks with
            if not errors.is_connection_failure(failed):
                raise
            _prepared_inodes.clear()
            raise errors.unreachable_error(tracking_uri(), failed) from None

    return wrapper


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else the sqlite file in var/ (absolute: notebooks run elsewhere)."""
    return probe.tracking_uri()


def ui_url() -> str:
    """Where MLflow's own pages are: HOUSING_MLFLOW_PAGES, else the tracking server; for the file in
    var/ while `make mlflow` runs."""
    given = os.environ.get("HOUSING_MLFLOW_PAGES")
    if given:  # a browser may know the server by another name than a container
        return f"{given.rstrip('/')}/#"
    server = tracking_uri() if tracking_uri().startswith("http") else ""
    return f"{errors.redacted_uri(server).rstrip('/') if server else LOCAL_UI_URL}/#"


def client() -> MlflowClient:
    """A client of a store that is ready: created or migrated under a lock, with our experiment.

    Cheap from the second call on. Raises ValueError for a store that cannot be used as it is, and
    says the way out.
    """
    uri, given = tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    if not given:  # MLflow has set it: then nothing could tell our choice from the user's
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    if uri not in _prepared_inodes or _prepared_inodes[uri] != _database_inode():
        _prepare_store(uri)
        _prepared_inodes[uri] = _database_inode()
    return MlflowClient()


def _prepare_store(uri: str) -> None:
    from housing.tracking import schema_migration

    file = probe.database_path()
    if file:
        if schema_migration.prepare_sqlite_file(file) or uri in _prepared_inodes:
            _dispose_connections(uri)
    elif not uri.startswith("http"):
        schema_migration.prepare_database_server(uri)
    _get_or_create_experiment(MlflowClient())


def _database_inode() -> int:
    file = probe.database_path()
    return file.stat().st_ino if file and file.exists() else 0


def _dispose_connections(uri: str) -> None:
    """MLflow's connections would go on with the file that was there before."""
    for name in ("tracking", "model_registry"):
        engines = mlflow_module(f"store.{name}.sqlalchemy_store").SqlAlchemyStore._engine_map
        if uri in engines:
            engines[uri].dispose()


def _get_or_create_experiment(client: MlflowClient) -> mlflow.entities.Experiment:
    """Ours, made if it is missing; of several that make it at once, one does."""
    found = client.get_experiment_by_name(EXPERIMENT_NAME)
    if found is None:
        try:
            client.create_experiment(EXPERIMENT_NAME, artifact_location=artifact_location())
        except MlflowException as known:
            if known.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        found = client.get_experiment_by_name(EXPERIMENT_NAME)
    return found


def exists() -> bool:
    """Whether there may be anything in it: a sqlite file is made by the first use."""
    file = probe.database_path()
    return file is None or file.exists()


def experiment_id() -> str:
    """Of the one experiment that all candidates are runs of."""
    return _get_or_create_experiment(client()).experiment_id


@raises_unreachable
def display_name() -> str:
    """The store as a person may see it, once it has answered."""
    return errors.redacted_uri(tracking_uri()) if experiment_id() else ""


def artifact_location() -> str | None:
    """Where models and pictures go: HOUSING_ARTIFACTS, else beside a sqlite file, else var/.

    None for a tracking server, which decides by itself. A folder's path becomes a URI.
    """
    given = os.environ.get("HOUSING_ARTIFACTS")
    if given:
        return given if "://" in given else (paths.invocation_folder() / given).resolve().as_uri()
    if tracking_uri().startswith("http"):
        return None
    file = probe.database_path()
    return ((file.parent if file else paths.var()) / "artifacts").as_uri()


def mlflow_module(module_name: str) -> ModuleType:
    """A module of MLflow's that takes long to import, or is its own affair."""
    return import_module(f"mlflow.{module_name}")
