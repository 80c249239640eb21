"""What the steps depend on beside files: the tracking store, and which version serves.

Read without MLflow, which takes longer to import than a run with nothing to do may take. What asks
the store raises `reach.Unreachable` if it does not answer.
"""

import json
import os
import sqlite3
from base64 import b64encode
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import Request, urlopen

from housing import paths
from housing.tracking import errors

# a model's name says which data it learnt from: a sample never passes for the real data
MODEL_NAMES = {
    "california": "california-housing",
    "sample": "california-housing-sample",
    "file": "california-housing-file",
}
NOT_CREATED_YET = "none yet"
# MLflow reads these when it is imported
MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # else it talks into the reports; what fails is raised
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # asked after 0, 0, 4 and 12 s: a server that restarts goes unnoticed, a dead one does not
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "6",
}
EXPERIMENT_NAME = "california-housing"
STORE_TIMEOUT_SECONDS = 5  # seconds for the store to answer


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else the sqlite file in var/; a file's path is made absolute."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    if not given:
        return f"sqlite:///{paths.var() / 'mlflow.db'}"
    if not given.startswith("sqlite"):
        return given
    scheme, _, rest = given.partition(":///")
    path, mark, query = rest.partition("?")
    if not path or path == ":memory:":
        raise ValueError(f"MLFLOW_TRACKING_URI is {given!r}, expected sqlite:///FILE: the steps "
                         "are processes of their own, and share no memory")  # fmt: skip
    return f"{scheme}:///{paths.invocation_folder() / path}{mark}{query}"


def database_path() -> Path | None:
    """The store's sqlite file, there or not yet; None if the store is none."""
    found = tracking_uri()
    return Path(found.partition(":///")[2].partition("?")[0]) if found[:6] == "sqlite" else None


def store_identity() -> dict[str, str]:
    """Which tracking store it is: another one knows nothing of what was trained.

    A file is known by when its experiment was made: that survives a copy and a migration.
    """
    file = database_path()
    if file is None:
        return {"tracking store": errors.redacted_uri(tracking_uri())}
    made = _query(f"SELECT creation_time FROM experiments WHERE name = '{EXPERIMENT_NAME}'")
    return {"tracking store": str(made[0][0]) if made else NOT_CREATED_YET}


def registry_state() -> dict[str, str]:
    """The store, and for each registered model the version that the alias champion names."""
    return store_identity() | {
        f"champion of {name}": version for name, version in champion_versions().items()
    }


def champion_versions() -> dict[str, str]:
    """For each registered model the version that the alias champion names."""
    if tracking_uri().startswith("http"):
        return _fetch_champion_versions()
    query = "SELECT name, version FROM registered_model_aliases WHERE alias = 'champion'"
    return {name: str(version) for name, version in sorted(_query(query))}


def pinned_runs() -> dict[str, str]:
    """The pipeline runs whose report a champion names, and which version that is."""
    if tracking_uri().startswith("http"):
        tags = [
            (name, version, *tag)
            for name, version in champion_versions().items()
            for tag in _fetch_version_tags(name, version).items()
        ]
    else:
        tags = _query(
            "SELECT a.name, a.version, t.key, t.value FROM registered_model_aliases a "
            "JOIN model_version_tags t ON t.name = a.name AND t.version = a.version "
            "WHERE a.alias = 'champion'",
        )
    found = {}
    for name, version, key, value in tags:
        if key in ("report", "training") and value:  # reports/RUN/03_register.html, or RUN
            run = value.split("/")[1] if "/" in value else value
            found[run] = f"{name} version {version}, champion"
    return found


def _query(query: str) -> list[tuple]:
    """What the store's database says; empty if there is no store yet, or none that was used."""
    file = database_path()
    if file is None:
        return _query_server(query)
    if not file.exists():
        return []
    try:
        # not only to read: what a killed process has left half-written must be taken back
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.Error as failed:
        if "no such" in str(failed):  # table, or column of an older MLflow
            return []
        raise errors.unreachable_error(tracking_uri(), failed) from None


def _query_server(query: str) -> list[tuple]:
    from sqlalchemy import create_engine, exc, text

    given = tracking_uri()
    waits = {"connect_timeout": STORE_TIMEOUT_SECONDS} if given.startswith("postgresql") else {}
    try:
        with create_engine(given, connect_args=waits).connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
    except exc.ProgrammingError as failed:
        if "does not exist" in str(failed):
            return []
        raise
    except exc.OperationalError as failed:
        raise errors.unreachable_error(given, failed) from None


def _fetch_champion_versions() -> dict[str, str]:
    models = _get_json("registered-models/search", max_results=1000).get("registered_models", [])
    return {
        one["name"]: str(alias["version"])
        for one in models
        for alias in one.get("aliases", [])
        if alias["alias"] == "champion"
    }


def _fetch_version_tags(name: str, version: str) -> dict[str, str]:
    found = _get_json("model-versions/get", name=name, version=version)["model_version"]
    return {one["key"]: one["value"] for one in found.get("tags", [])}


def _get_json(endpoint: str, **params: Any) -> dict[str, Any]:
    parts = urlsplit(tracking_uri())
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    address = f"{place}/api/2.0/mlflow/{endpoint}?{urlencode(params)}"
    try:
        with urlopen(
            Request(address, headers=_auth_headers()), timeout=STORE_TIMEOUT_SECONDS
        ) as answer:
            return json.load(answer)
    except (OSError, HTTPException, ValueError) as failed:
        raise errors.unreachable_error(tracking_uri(), failed) from None


def _auth_headers() -> dict[str, str]:
    """As MLflow takes them: of the URI, else of its own variables."""
    parts, told = urlsplit(tracking_uri()), os.environ.get
    user, password = parts.username, parts.password
    if not user:
        user, password = told("MLFLOW_TRACKING_USERNAME"), told("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        pair = f"{unquote(user)}:{unquote(password)}".encode()
        return {"Authorization": f"Basic {b64encode(pair).decode()}"}
    token = told("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}
