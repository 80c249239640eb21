"""What the steps depend on beside files: the tracking store, and which version serves.

Read without MLflow, which takes longer to import than a run with nothing to do may take.
"""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

from housing import paths

# a model's name says which data it learnt from: what is not the versioned real data never passes
MODEL_NAMES = {
    "california": "california-housing",
    "sample": "california-housing-sample",
    "file": "california-housing-file",
}
NONE = "none yet"
# MLflow reads these when it is imported
MLFLOW = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",  # else migrations talk into the reports
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def store() -> dict[str, str]:
    """Which tracking store it is: another one knows nothing of what was trained."""
    server = os.environ.get("MLFLOW_TRACKING_URI")
    if server:
        parts = urlsplit(server)  # without the password it may hold
        return {"tracking store": f"{parts.scheme}://{parts.hostname}:{parts.port}{parts.path}"}
    file = paths.var() / "mlflow.db"
    return {"tracking store": str(file.stat().st_ino) if file.exists() else NONE}


def champions() -> dict[str, str]:
    """The store, and for each registered model the version that the alias champion names."""
    return store() | {f"champion of {name}": version for name, version in serving().items()}


def serving() -> dict[str, str]:
    """For each registered model the version that the alias champion names."""
    server = os.environ.get("MLFLOW_TRACKING_URI", "")
    if server.startswith("http"):
        return _from_server(server)
    query = "SELECT name, version FROM registered_model_aliases WHERE alias = 'champion'"
    return {name: str(version) for name, version in sorted(_asked(server, query))}


def runs_in_use() -> dict[str, str]:
    """The pipeline runs whose report a champion names, and which version that is.

    Raises what keeps the registry from answering.
    """
    server = os.environ.get("MLFLOW_TRACKING_URI", "")
    if server.startswith("http"):
        tags = [
            (name, version, *tag)
            for name, version in serving().items()
            for tag in _tags(server, name, version).items()
        ]
    else:
        tags = _asked(
            server,
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


def _asked(uri: str, query: str) -> list[tuple]:
    """What the store's database says; empty if there is no store yet, or none that was used."""
    if uri and not uri.startswith("sqlite:///"):
        from sqlalchemy import create_engine, text

        with create_engine(uri).connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
    file = uri.removeprefix("sqlite:///") or str(paths.var() / "mlflow.db")
    if not Path(file).exists():
        return []
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError as missing:
            if "no such table" in str(missing):
                return []
            raise


def _from_server(uri: str) -> dict[str, str]:
    models = _get(uri, "registered-models/search", max_results=1000).get("registered_models", [])
    return {
        one["name"]: str(alias["version"])
        for one in models
        for alias in one.get("aliases", [])
        if alias["alias"] == "champion"
    }


def _tags(uri: str, name: str, version: str) -> dict[str, str]:
    found = _get(uri, "model-versions/get", name=name, version=version)["model_version"]
    return {one["key"]: one["value"] for one in found.get("tags", [])}


def _get(uri: str, what: str, **asked: Any) -> dict[str, Any]:
    address = f"{uri.rstrip('/')}/api/2.0/mlflow/{what}?{urlencode(asked)}"
    with urlopen(address, timeout=5) as answer:
        return json.load(answer)
