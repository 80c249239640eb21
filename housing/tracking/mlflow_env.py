"""MLflow, imported when it is first needed, in the environment that this project gives it.

The only module that imports MLflow: its import takes seconds, and reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import ModuleType

from housing.tracking import probe


@cache
def load_mlflow() -> ModuleType:
    """Set this project's defaults in the environment, import MLflow, and return it.

    A variable that is set already keeps its value.
    """
    for name, value in probe.MLFLOW_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow

    return mlflow


def load_submodule(name: str) -> ModuleType:
    """Return a module of MLflow that is slow to import, or is not part of its public API."""
    load_mlflow()
    return import_module(f"mlflow.{name}")


@contextmanager
def suppress_errors(*error_codes: str) -> Iterator[None]:
    """End the block silently if MLflow raises an error with one of these codes."""
    try:
        yield
    except load_mlflow().MlflowException as error:
        if error.error_code not in error_codes:
            raise
