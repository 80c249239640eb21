"""The model registry: its versions, and which of them is the champion."""

from __future__ import annotations  # the service reads the registry without pandas or scikit-learn

import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from housing import paths
from housing.models import persistence
from housing.registry import alias_history, artifacts, serving_copy
from housing.registry.artifacts import MISSING_VERSION_CODES, ModelVersion
from housing.tracking import probe, store
from housing.tracking.mlflow_env import suppress_errors
from housing.tracking.store import raises_unreachable

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowModelVersion
    from sklearn.base import RegressorMixin

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL_NAMES = probe.MODEL_NAMES
MAX_DESCRIPTION_CHARACTERS = 5_000  # what a description may have in MLflow's databases
TRUNCATION_NOTE = "\n\n*The rest is in the tag* `card`."


@raises_unreachable
def load_model(version: ModelVersion) -> RegressorMixin:
    """Load the scikit-learn model of a version.

    Raises ValueError if it is missing, not the one that was registered, or not one of ours.
    """
    with TemporaryDirectory() as folder:
        model_folder = artifacts.download(version, Path(folder))
        try:
            return persistence.load_model(model_folder)
        except ValueError:
            raise
        except Exception as error:  # a model made by hand may be anything
            text = f"the model of {version.label} cannot be loaded: {error}"
            raise ValueError(text) from error


@raises_unreachable
def get_version(name: str, number: str) -> ModelVersion:
    """Return the registered version of that number. Raises LookupError if there is none."""
    mlflow_version = alias_history.find_version(name, number)
    if mlflow_version:
        return from_mlflow(mlflow_version)
    versions = list_versions(name)
    numbers = ", ".join(version.version for version in versions)
    hint = f"it has {numbers}"
    if not versions:
        hint = (
            f"no version of {name} is registered. If the model was renamed in MLflow, give it this "
            "name again there; else `run_pipeline.py` trains and registers one"
        )
    raise LookupError(f"there is no version {number} of {name}: {hint}")


@raises_unreachable
def list_versions(name: str) -> list[ModelVersion]:
    """Return all registered versions of that name, oldest first."""
    if not store.exists():
        return []
    versions = map(from_mlflow, store.search_versions(name))
    return sorted(versions, key=lambda version: int(version.version))


@raises_unreachable
def find_by_run(run_id: str) -> list[ModelVersion]:
    """Return the versions of an MLflow run, of a renamed model too, oldest first."""
    if not store.exists():
        return []
    found_versions = store.client().search_model_versions(f"run_id = '{run_id}'")
    models = [
        version for version in found_versions if not alias_history.is_history_name(version.name)
    ]
    return sorted(
        map(from_mlflow, models), key=lambda version: (version.name, int(version.version))
    )


@raises_unreachable
def current_champion(name: str | None = None) -> ModelVersion | None:
    """Return the champion to serve; None if there is none.

    That is the champion of the named model; without a name, the one trained on the real data, else
    the one trained on the sample.
    """
    names = [name] if name else [MODEL_NAMES["california"], MODEL_NAMES["sample"]]
    return next(filter(None, map(get_champion, names)), None)


@raises_unreachable
def get_champion(name: str) -> ModelVersion | None:
    """Return the version of the alias champion; None if there is none, or no store yet."""
    return find_by_alias(name, CHAMPION)


@raises_unreachable
def find_by_alias(name: str, alias: str) -> ModelVersion | None:
    """Return the version of an alias; None if there is none, or no store yet."""
    if not store.exists():
        return None
    with suppress_errors(*MISSING_VERSION_CODES):
        return from_mlflow(store.client().get_model_version_by_alias(name, alias))
    return None


def from_mlflow(mlflow_version: MlflowModelVersion) -> ModelVersion:
    """Return what this project needs of MLflow's version."""
    created_at = datetime.fromtimestamp(mlflow_version.creation_timestamp / 1000, UTC)
    return ModelVersion(
        mlflow_version.name,
        str(mlflow_version.version),
        mlflow_version.run_id or "",
        dict(mlflow_version.tags),
        created_at.isoformat(),
    )


def check_data_source(version: ModelVersion) -> None:
    """Check that a version was trained on the data its name stands for.

    Raises ValueError otherwise: a model of the sample must never serve as one of the real data.
    """
    source = version.tags.get("data_source", "")
    if not source:
        raise ValueError(
            f"{version.label} has no tag data_source, so it was not registered by this project, or "
            "the tag was deleted in MLflow: which data it learnt from is unknown; "
            f"{artifacts.REMEDY}"
        )
    if MODEL_NAMES.get(source) != version.name:
        raise ValueError(
            f"{version.name} version {version.version} learnt from the source {source!r}, whose "
            f"models are named {MODEL_NAMES.get(source, 'otherwise')}: it may not serve as "
            f"{version.name}; {artifacts.REMEDY}"
        )


@raises_unreachable
def export_for_serving(version: ModelVersion, folder: Path) -> dict[str, Any]:
    """Copy what the service needs into the folder: graph, examples, domain, and about.json.

    Returns the content of about.json: name, version, alias, run id, data source, metrics, report,
    commit and more; what is not recorded is empty. Raises ValueError, with the way out, if the
    version cannot serve: files that are gone or changed, or other data than its name says.
    """
    details = serving_copy.serving_details(version)
    check_data_source(version)
    serving_path = version.tags.get("served") or "served"
    with TemporaryDirectory() as download_folder:
        model_folder = artifacts.download(version, Path(download_folder), serving_path)
        for file in filter(Path.is_file, (model_folder / serving_path).iterdir()):
            paths.atomic_write(folder / file.name, file.read_bytes())
    details_file = folder / serving_copy.DETAILS_FILE_NAME
    paths.atomic_write(details_file, json.dumps(details, indent=2).encode())
    return details


def version_url(version: ModelVersion) -> str:
    """Return the address of the version in MLflow's own pages."""
    return f"{store.ui_url()}/models/{version.name}/versions/{version.version}"


@raises_unreachable
def set_description(version: ModelVersion, markdown: str) -> None:
    """Store a text with the version: complete as the tag `card`, and as MLflow's description.

    A text that is too long for a description is truncated there after a complete section.
    """
    client, description = store.client(), markdown
    if len(description) > MAX_DESCRIPTION_CHARACTERS:
        start = markdown[: MAX_DESCRIPTION_CHARACTERS - len(TRUNCATION_NOTE)]
        description = start.rpartition("\n## ")[0] + TRUNCATION_NOTE
    client.set_model_version_tag(version.name, version.version, "card", markdown)
    client.update_model_version(version.name, version.version, description)
