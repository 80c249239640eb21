"""Where a result comes from: the tags every MLflow run and model version of ours carries."""

import subprocess
from collections.abc import Mapping
from typing import Any

from housing import handover, paths


def tags(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Data source and hashes (from the split's manifest), report, and commit."""
    return {
        "data_source": manifest["source"],
        "raw_sha256": manifest["sha256"]["raw"],
        "train_sha256": manifest["sha256"]["train"],
        "report": handover.report(),
        "mlflow.source.git.commit": commit(),
    }


def commit() -> str:
    """The checkout's commit, marked if files differ from it; empty where there is no git."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=paths.CHECKOUT, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
