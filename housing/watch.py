"""What the steps depend on beside files: the tracking store, and which version serves.

Read without MLflow, which takes longer to import than a run with nothing to do may take.
"""

import json
import os
import sqlite3
from contextlib import closing
from urllib.parse import urlsplit
from urllib.request import urlopen

from housing import paths

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
    server = os.environ.get("MLFLOW_TRACKING_URI", "")
    found = _from_server(server) if server.startswith("http") else _from_database(server)
    return store() | {f"champion of {name}": version for name, version in sorted(found.items())}


def _from_database(uri: str) -> dict[str, str]:
    query = "SELECT name, version FROM registered_model_aliases WHERE alias = 'champion'"
    if uri and not uri.startswith("sqlite:///"):
        from sqlalchemy import create_engine, text

        with create_engine(uri).connect() as connection:
            return {name: str(version) for name, version in connection.execute(text(query))}
    file = uri.removeprefix("sqlite:///") or str(paths.var() / "mlflow.db")
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return {name: str(version) for name, version in connection.execute(query)}
    except sqlite3.OperationalError:  # no store, or none that was ever used
        return {}


def _from_server(uri: str) -> dict[str, str]:
    address = f"{uri.rstrip('/')}/api/2.0/mlflow/registered-models/search?max_results=1000"
    with urlopen(address, timeout=5) as answer:
        models = json.load(answer).get("registered_models", [])
    return {
        one["name"]: str(alias["version"])
        for one in models
        for alias in one.get("aliases", [])
        if alias["alias"] == "champion"
    }
