"""Where a result comes from: the tags that each of our MLflow runs and model versions has."""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from typing import Any

from housing import paths
from housing.data import dvc
from housing.tracking import handover


def lineage_tags(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a result; what is unknown is empty.

    From the split's manifest: data source, DVC's version of the data, and hashes. From the runner:
    report, notebook and its code, and the command that reproduces the run. Also the commit and the
    lock.
    """
    return {
        "data_source": manifest["source"],
        "data_version": dvc.data_version(manifest),
        "raw_md5": manifest.get("md5", ""),
        "raw_sha256": manifest["sha256"]["raw"],
        "train_sha256": manifest["sha256"]["train"],
        "report": handover.report_path(),
        "notebook": handover.notebook_name(),
        "notebook_code_sha256": handover.notebook_code_sha256(),
        "pipeline.command": handover.reproduction_command(),
        "mlflow.source.git.commit": git_commit(),
        "lock_sha256": lock_file_sha256(),
    }


def git_commit() -> str:
    """Return the checkout's commit, with -dirty if files differ from it.

    Without git, returns the environment variable SOURCE_COMMIT.
    """
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        result = subprocess.run(command, cwd=paths.PROJECT_ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return os.environ.get("SOURCE_COMMIT", "")
    return result.stdout.strip() or os.environ.get("SOURCE_COMMIT", "")


def lock_file_sha256() -> str:
    """Return the sha256 of the checkout's requirements.txt as it is now; empty without one."""
    path = paths.PROJECT_ROOT / "requirements.txt"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
