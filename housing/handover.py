"""What a notebook is told by whoever runs it, and what it hands back. Works with no runner too."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from housing import paths


def run_id() -> str:
    """The id of the run this notebook belongs to; by hand, one made from the time."""
    return os.environ.get("PIPELINE_RUN_ID") or f"by-hand-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def report() -> str:
    """Where this notebook's report will stand, from the checkout; empty if none is made."""
    return os.environ.get("PIPELINE_REPORT", "")


def started_in() -> Path:
    """The folder that a relative path is meant from: where the runner, else the notebook, runs."""
    return Path(os.environ.get("PIPELINE_STARTED_IN") or Path.cwd())


def hand_over(
    headline: dict[str, str | float], manifest: Mapping[str, Any]
) -> dict[str, str | float]:
    """Gives the runner the headline results, and a notice that no reader of the report may miss.

    manifest: the split's; a generated sample is the notice. Gives the headline back, so that it
    is also the last cell's output.
    """
    place = os.environ.get("PIPELINE_HANDOVER")
    if place:
        notice = manifest["said"] if manifest["source"] == "sample" else ""
        content = json.dumps({"headline": headline, "notice": notice}, indent=2)
        paths.write_whole(Path(place), content.encode())
    return headline
