"""Where the tracking store is, what identifies it, and the champions: what steps depend on.

Reads the store without MLflow, whose import takes longer than a run with nothing to do may take.
The functions that read it raise `errors.StoreUnreachableError` if it does not answer or refuses the
login, but for `describe_champion`, which says so.
"""

import json
import os
import sqlite3
from base64 import b64encode
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import Request, urlopen

from housing import paths
from housing.tracking import errors

# data source -> name of the registered model: a model of the sample never passes for a real one
MODEL_NAMES = {
    "california": "california-housing",
    "sample": "california-housing-sample",
    "file": "california-housing-file",
}
NOT_CREATED_YET = "none yet"
# MLflow reads these when it is imported
MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # else it logs into the reports; errors are raised
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # retries after 0, 0, 4 and 12 s: a server may restart unnoticed, a dead one is reported
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "6",
}
EXPERIMENT_NAME = "california-housing"
MISSING_CODE = "RESOURCE_DOES_NOT_EXIST"  # of MLflow, for what was deleted
STORE_TIMEOUT_SECONDS = 5  # to connect, and to get a response

Row = tuple[Any, ...]


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI, else the sqlite file in var/; a file's path is made absolute."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return f"sqlite:///{paths.var() / 'mlflow.db'}"
    if not uri.startswith("sqlite"):
        return uri
    scheme, _, path_and_query = uri.partition(":///")
    path, question_mark, query = path_and_query.partition("?")
    if not path or path == ":memory:":
        raise ValueError(
            f"MLFLOW_TRACKING_URI is {uri!r}, expected sqlite:///FILE: each step is a process of "
            "its own, and they share no memory"
        )
    return f"{scheme}:///{paths.invocation_folder() / path}{question_mark}{query}"


def database_path() -> Path | None:
    """Return the store's sqlite file, which may not exist yet; None for another kind of store."""
    uri = tracking_uri()
    if not uri.startswith("sqlite"):
        return None
    return Path(uri.partition(":///")[2].partition("?")[0])


def artifact_location() -> str | None:
    """Return the URI for models and figures: HOUSING_ARTIFACTS, else beside a sqlite file or var/.

    None for a tracking server, which decides by itself. The path of a folder becomes a URI.
    """
    location = os.environ.get("HOUSING_ARTIFACTS")
    if location:
        is_uri = "://" in location
        return location if is_uri else (paths.invocation_folder() / location).resolve().as_uri()
    if tracking_uri().startswith("http"):
        return None
    file = database_path()
    return ((file.parent if file else paths.var()) / "artifacts").as_uri()


def store_identity() -> dict[str, str]:
    """Return what identifies the tracking store: another store has other runs and versions.

    A sqlite file is identified by the creation time of its experiment, which survives a copy and a
    migration of the file. An experiment that was deleted is none: its runs are deleted too.
    """
    if database_path() is None:
        return {"tracking store": errors.redacted_uri(tracking_uri())}
    rows = _query(
        f"SELECT creation_time FROM experiments WHERE name = '{EXPERIMENT_NAME}' "
        "AND lifecycle_stage = 'active'"
    )
    return {"tracking store": str(rows[0][0]) if rows else NOT_CREATED_YET}


def registry_state() -> dict[str, str]:
    """Return the identity of the store, and the champion of each registered model."""
    return store_identity() | {
        f"champion of {name}": version for name, version in champion_versions().items()
    }


def champion_versions() -> dict[str, str]:
    """Return for each registered model the version that the alias champion names."""
    if tracking_uri().startswith("http"):
        return _fetch_champion_versions()
    query = "SELECT name, version FROM registered_model_aliases WHERE alias = 'champion'"
    return {name: str(version) for name, version in sorted(_query(query))}


def describe_champion(source: str) -> str:
    """Return name and version of the champion for a data source; what is missing, in words."""
    name = MODEL_NAMES[source]
    try:
        version = champion_versions().get(name)
    except errors.LoginRefusedError:  # a finished step reports its results nevertheless
        return "unknown: the tracking store refuses the login"
    except errors.StoreUnreachableError:
        return "unknown: the tracking store does not answer"
    return f"{name} version {version}" if version else "none yet"


def pinned_runs() -> dict[str, str]:
    """Return the pipeline runs that a champion comes from, each with the name of that version."""
    runs = {}
    for name, version, key, value in _champion_tags():
        if key in ("report", "training") and value:  # reports/RUN/03_register.html, or RUN
            run_id = value.split("/")[1] if "/" in value else value
            if run_id:
                runs[run_id] = f"{name} version {version}, champion"
    return runs


def _champion_tags() -> list[Row]:
    """Return (name, version, key, value) of each tag of each champion."""
    if tracking_uri().startswith("http"):
        return [
            (name, version, key, value)
            for name, version in champion_versions().items()
            for key, value in _fetch_version_tags(name, version).items()
        ]
    return _query(
        "SELECT a.name, a.version, t.key, t.value FROM registered_model_aliases a "
        "JOIN model_version_tags t ON t.name = a.name AND t.version = a.version "
        "WHERE a.alias = 'champion'",
    )


def _query(query: str) -> list[Row]:
    """Query the store's database; empty if there is no store yet, or it has no such table."""
    file = database_path()
    if file is None:
        return _query_server(query)
    if not file.exists():
        return []
    try:
        # rw, although it only reads: SQLite must roll back what a killed process left half-written
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.Error as error:
        if "no such" in str(error):  # table, or column of an older MLflow
            return []
        raise errors.unreachable_error(tracking_uri(), error) from None


def _query_server(query: str) -> list[Row]:
    from sqlalchemy import create_engine, exc, text

    uri = tracking_uri()
    options = {"connect_timeout": STORE_TIMEOUT_SECONDS} if uri.startswith("postgresql") else {}
    try:
        with create_engine(uri, connect_args=options).connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
    except exc.ProgrammingError as error:
        if errors.is_login_failure(error):
            raise errors.unreachable_error(uri, error) from None
        if "does not exist" in str(error):
            return []
        raise
    except exc.OperationalError as error:
        raise errors.unreachable_error(uri, error) from None


def _fetch_champion_versions() -> dict[str, str]:
    response = _get_json("registered-models/search", max_results=1000)
    return {
        model["name"]: str(alias["version"])
        for model in response.get("registered_models", [])
        for alias in model.get("aliases", [])
        if alias["alias"] == "champion"
    }


def _fetch_version_tags(name: str, version: str) -> dict[str, str]:
    response = _get_json("model-versions/get", name=name, version=version)
    tags = response.get("model_version", {}).get("tags", [])
    return {tag["key"]: tag["value"] for tag in tags}


def _get_json(endpoint: str, **params: Any) -> dict[str, Any]:
    """Call the REST API of the tracking server; empty for what was deleted."""
    uri = urlsplit(tracking_uri())
    base_url = uri._replace(netloc=uri.netloc.rpartition("@")[2]).geturl().rstrip("/")
    url = f"{base_url}/api/2.0/mlflow/{endpoint}?{urlencode(params)}"
    try:
        request = Request(url, headers=_auth_headers())
        with urlopen(request, timeout=STORE_TIMEOUT_SECONDS) as response:
            return json.load(response)
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError) and MISSING_CODE.encode() in error.read():
            return {}
        raise errors.unreachable_error(tracking_uri(), error) from None


def _auth_headers() -> dict[str, str]:
    """Return the headers MLflow would send: from the URI, else from its own variables."""
    uri, environment = urlsplit(tracking_uri()), os.environ
    user, password = uri.username, uri.password
    if not user:
        user = environment.get("MLFLOW_TRACKING_USERNAME")
        password = environment.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        credentials = f"{unquote(user)}:{unquote(password)}".encode()
        return {"Authorization": f"Basic {b64encode(credentials).decode()}"}
    token = environment.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}
