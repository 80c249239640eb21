"""MLflow, imported in the environment that this project gives it.

The only module that imports MLflow, because MLflow reads its environment when it is imported.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

from housing import paths
from housing.tracking import probe

os.environ.update(probe.MLFLOW_ENVIRONMENT | dict(os.environ))
import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

__all__ = ["MlflowClient", "MlflowException", "artifact_location", "mlflow", "mlflow_module"]


def mlflow_module(module_name: str) -> ModuleType:
    """Import a module of MLflow that is slow to import, or is not part of its public API."""
    return import_module(f"mlflow.{module_name}")


def artifact_location() -> str | None:
    """Return the URI for models and figures: HOUSING_ARTIFACTS, else beside a sqlite file or var/.

    None for a tracking server, which decides by itself. The path of a folder becomes a URI.
    """
    location = os.environ.get("HOUSING_ARTIFACTS")
    if location:
        is_uri = "://" in location
        return location if is_uri else (paths.invocation_folder() / location).resolve().as_uri()
    if probe.tracking_uri().startswith("http"):
        return None
    file = probe.database_path()
    return ((file.parent if file else paths.var()) / "artifacts").as_uri()
