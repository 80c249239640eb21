"""Where a result comes from: the tags that each of our MLflow runs and model versions has."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from housing import paths
from housing.data import data_versions, labelled_part

NO_ORIGIN: Mapping[str, str] = MappingProxyType({})  # of results of no run of the pipeline


def lineage_tags(
    manifest: Mapping[str, Any], origin: Mapping[str, str] = NO_ORIGIN
) -> dict[str, str]:
    """Return the tags of a result; what is unknown is empty.

    manifest: of the split; it has the data's source, version and hashes. origin: the texts report,
    notebook, notebook_code_sha256 and command (which reproduces the run), as the runner knows them.
    Commit and lock are those of the checkout.
    """
    return {
        "data_source": manifest["source"],
        "data_description": manifest.get("said", ""),
        "data_version": data_versions.describe_version(manifest),
        "raw_md5": manifest.get("md5", ""),
        "raw_sha256": manifest["sha256"]["raw"],
        "train_sha256": manifest["sha256"]["train"],
        **_labelled_tags(manifest),
        **{name: origin.get(name, "") for name in ("report", "notebook", "notebook_code_sha256")},
        "pipeline.command": origin.get("command", ""),
        "mlflow.source.git.commit": git_commit(),
        "lock_sha256": file_sha256(paths.PROJECT_ROOT / "requirements.txt"),
    }


def _labelled_tags(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of labelled rows of the prediction log; none if none were trained on."""
    record = labelled_part.read_record(manifest)
    if record is None:
        return {}
    return {
        "labelled_rows": str(record.train_rows),
        "labelled_until": record.until,
        "labelled_description": record.describe(),
        "labelled_sha256": manifest["sha256"]["origins"],
        "older_train_sha256": manifest["sha256"]["older_train"],
    }


def git_commit() -> str:
    """Return the checkout's commit, with -dirty if files differ from it.

    Without git, returns the environment variable SOURCE_COMMIT.
    """
    arguments = ("describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    commit = data_versions.run_git(paths.PROJECT_ROOT, *arguments)
    return commit or os.environ.get("SOURCE_COMMIT", "")


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file as it is now; empty if it does not exist."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
