"""The tracking store: where MLflow keeps experiments and the registry, and a client for it.

The sqlite file or the database server is prepared on first use, under a lock.
"""

from __future__ import annotations  # the service reads the registry without pandas or scikit-learn

import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from housing.tracking import artifact_relocation, errors, probe, schema_migration
from housing.tracking.errors import StoreUnreachableError
from housing.tracking.mlflow_env import load_mlflow, suppress_errors
from housing.tracking.probe import EXPERIMENT_NAME, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment
    from mlflow.entities.model_registry import ModelVersion

LOCAL_UI_URL = "http://127.0.0.1:5000"
P = ParamSpec("P")
R = TypeVar("R")

# the stores that this process has prepared: URI -> inode of the file, 0 for a server
_prepared_inodes: dict[str, int] = {}


def raises_unreachable(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function: connection and login errors of MLflow's client become our own."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except StoreUnreachableError:
            raise
        except Exception as error:  # MLflow's own, or one of the library it connects with
            if errors.is_proxy_answer(error):
                probe.champion_versions()  # raises an error that has the answer's status
            if not errors.is_connection_failure(error):
                raise
            _prepared_inodes.clear()
            raise errors.unreachable_error(tracking_uri(), error) from None

    return wrapper


def ui_url() -> str:
    """Return the address of MLflow's own pages.

    That is HOUSING_MLFLOW_PAGES, else the tracking server; for a sqlite file, the address that
    `make mlflow` serves.
    """
    configured_url = os.environ.get("HOUSING_MLFLOW_PAGES")
    if configured_url:  # a browser may know the server by another name than a container
        return f"{configured_url.rstrip('/')}/#"
    server = tracking_uri() if tracking_uri().startswith("http") else ""
    return f"{errors.redacted_uri(server).rstrip('/') if server else LOCAL_UI_URL}/#"


def client() -> MlflowClient:
    """Return a client of a store that is ready: created or migrated, with our experiment.

    The store is prepared under a lock on the first call; later calls are cheap. Raises ValueError,
    with the way out, for a store that cannot be used as it is.
    """
    uri, configured_uri = tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")
    mlflow = load_mlflow()
    mlflow.set_tracking_uri(uri)
    if not configured_uri:
        # MLflow has set it: our default must not look like the user's choice
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    if uri not in _prepared_inodes or _prepared_inodes[uri] != _database_inode():
        _prepare_store(uri)
        _prepared_inodes[uri] = _database_inode()
    return mlflow.MlflowClient()


def _prepare_store(uri: str) -> None:
    file = probe.database_path()
    if file:
        # no connection outlives its use: an open one would still read a file that was replaced
        os.environ["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] = "NullPool"
        schema_migration.prepare_sqlite_file(file)
        relocate_artifacts()
    elif not uri.startswith("http"):
        schema_migration.prepare_database_server(uri)
    _get_or_create_experiment(load_mlflow().MlflowClient())


def relocate_artifacts() -> bool:
    """Correct where a sqlite store looks for artifacts that were moved; return whether it changed.

    `client` does so as it prepares a store. Another machine or container that names the same folder
    otherwise may have changed it since.
    """
    file, location = probe.database_path(), probe.artifact_location()
    folder = artifact_relocation.local_path(location or "")
    if file is None or folder is None or not file.exists():
        return False
    return bool(artifact_relocation.correct_artifact_locations(file, folder))


def _database_inode() -> int:
    file = probe.database_path()
    return file.stat().st_ino if file and file.exists() else 0


def _get_or_create_experiment(client: MlflowClient) -> Experiment:
    """Return our experiment; of several clients that create it at once, one succeeds."""
    experiment = client.get_experiment_by_name(EXPERIMENT_NAME)
    if experiment is None:
        with suppress_errors("RESOURCE_ALREADY_EXISTS"):
            client.create_experiment(EXPERIMENT_NAME, artifact_location=probe.artifact_location())
        experiment = client.get_experiment_by_name(EXPERIMENT_NAME)
        assert experiment is not None, f"the experiment {EXPERIMENT_NAME} was just created"
    return experiment


def exists() -> bool:
    """Return whether there may be anything in the store: a sqlite file is created on first use.

    Looks once MLflow is imported: in those seconds the file may be moved away, and `client` would
    create an empty one.
    """
    file = probe.database_path()
    if file is None:
        return True
    if not file.exists():
        return False
    load_mlflow()
    return file.exists()


def search_versions(name: str) -> list[ModelVersion]:
    """Return all versions of the registered model of exactly that name, in no order."""
    quote = '"' if "'" in name else "'"
    if quote in name:  # MLflow's filters know no escapes
        return []
    client()
    return load_mlflow().search_model_versions(filter_string=f"name = {quote}{name}{quote}")


def experiment_id() -> str:
    """Return the id of the one experiment whose runs are the candidates."""
    return _get_or_create_experiment(client()).experiment_id


def active_experiment_id() -> str:
    """Return the id of that experiment to log runs to. Raises LookupError if it was deleted."""
    experiment = _get_or_create_experiment(client())
    number = experiment.experiment_id
    if experiment.lifecycle_stage == "deleted":
        raise LookupError(
            f"the experiment {EXPERIMENT_NAME} was deleted in MLflow, which keeps its name: "
            f"`MLFLOW_TRACKING_URI={_shown_uri()} python -m mlflow experiments restore "
            f"--experiment-id {number}` restores it with its runs"
        )
    return number


def _shown_uri() -> str:
    """Return the store's URI for a command to copy, without a password."""
    uri = tracking_uri()
    return uri if uri.startswith("sqlite") else errors.redacted_uri(uri)


@raises_unreachable
def display_name() -> str:
    """Return the store's URI as it may be shown, once the store has answered."""
    return errors.redacted_uri(tracking_uri()) if experiment_id() else ""
