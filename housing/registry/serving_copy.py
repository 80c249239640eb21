"""What the service knows of a version, and whether its copy of the version's files is intact."""

from __future__ import annotations  # the service reads the registry without pandas or scikit-learn

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from housing.registry import artifacts
from housing.registry.artifacts import ModelVersion

DETAILS_FILE_NAME = "about.json"


def serving_details(version: ModelVersion) -> dict[str, Any]:
    """Return the content of about.json: name, version, run id, data source, metrics and more.

    What is not recorded is empty, as tags may be deleted in MLflow.
    """
    tags = version.tags
    return {
        "name": version.name,
        "version": version.version,
        "alias": "champion",
        "run_id": version.run_id,
        "source": tags.get("data_source", ""),
        "family": tags.get("family", ""),
        "metrics": _metrics(tags),
        "data_sha256": tags.get("raw_sha256", ""),
        "data_version": tags.get("data_version", ""),
        "report": tags.get("report", ""),
        "commit": tags.get("mlflow.source.git.commit", ""),
        "reason": tags.get("reason", ""),
    }


def _metrics(tags: Mapping[str, str]) -> dict[str, float]:
    """Return the scores among the tags, without those that are missing or no number."""
    metrics = {}
    for name in ("cv_rmse", "test_rmse"):
        with suppress(KeyError, ValueError):
            metrics[name] = float(tags[name])
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def is_intact(version: ModelVersion, folder: Path) -> bool:
    """Return whether the folder holds the served files of a version as they were registered.

    False for a version that was registered without the hashes of these files.
    """
    try:
        details = json.loads((folder / DETAILS_FILE_NAME).read_bytes())
        if [details[name] for name in ("name", "version", "run_id")] != list(version[:3]):
            return False
        serving_path = version.tags.get("served", "served")
        digests = {
            Path(name).name: digest
            for name, digest in artifacts.registered_digests(version).items()
            if name.startswith(f"{serving_path}/")
        }
        return bool(digests) and all(
            artifacts.sha256_hex((folder / name).read_bytes()) == digest
            for name, digest in digests.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False
