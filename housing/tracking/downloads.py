"""Download artifacts of MLflow's store, and tell lost files from a store that does not answer."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from housing import paths
from housing.tracking import artifact_relocation, errors, store
from housing.tracking.mlflow_env import load_mlflow


class MissingArtifactsError(ValueError):
    """Raised if MLflow knows a model whose files are not where it expects them."""


def download(
    uri: str, location: str, required_file: str, label: str, remedy: str, folder: str | None = None
) -> Path:
    """Download a folder of artifacts and return its path on this machine.

    location: where MLflow keeps it. required_file: what it holds if it is complete, as MLflow
    downloads an empty folder in place of one that is lost. label: what it is, in words. remedy:
    what helps if it is lost, beside putting it back. folder: where to; by default MLflow chooses.
    Raises MissingArtifactsError if the files are gone, ValueError if they cannot be copied,
    StoreUnreachableError if the storage cannot be reached now.
    """
    path = _download(uri, required_file, label, folder)
    if path is None and store.relocate_artifacts():  # moved since this process has started
        path = _download(uri, required_file, label, folder)
    if path is None:
        raise MissingArtifactsError(
            f"the files of {label} are gone: there is no {required_file} in "
            f"{_display_location(location)}. Put them back, or {remedy}"
        )
    return path


def _download(uri: str, required_file: str, label: str, folder: str | None) -> Path | None:
    """Return the downloaded folder; None if it lacks the required file."""
    mlflow = load_mlflow()
    try:
        path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
    except FileNotFoundError:
        return None
    except Exception as error:  # MLflow's own, or of the library that reads its artifact store
        if errors.is_connection_failure(error):
            raise
        if errors.is_temporary(error):
            lines = str(error).split("\n")
            raise errors.StoreUnreachableError(
                f"the files of {label} cannot be fetched now ({lines[0]}); run again"
            ) from None
        if isinstance(error, OSError) and error.strerror:
            raise ValueError(f"the files of {label} cannot be copied: {error.strerror}") from error
        if isinstance(error, OSError | mlflow.MlflowException):
            return None
        raise
    return path if (path / required_file).is_file() else None


def _display_location(location: str) -> str:
    """Return a location as it may be shown: a path below the home without it, no password."""
    path = artifact_relocation.local_path(location)
    if path is None:
        host = urlsplit(location).hostname or ""
        return urlsplit(location)._replace(netloc=host, query="", fragment="").geturl()
    is_below_home = path.is_relative_to(paths.home())
    return str(path.relative_to(paths.home()) if is_below_home else path)
