"""What a notebook is told by whoever runs it, and what it hands back. Works with no runner too."""

import json
import os
from collections.abc import Iterable, Mapping
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
    headline: dict[str, str | float],
    manifest: Mapping[str, Any],
    made: Mapping[str, str] | None = None,
    read: Iterable[Path] = (),
) -> dict[str, str | float]:
    """Gives the runner the headline results, and a notice that no reader of the report may miss.

    manifest: the split's; a generated sample is the notice. made: results that are no files, name
    -> id; if one is new, later steps run again. read: files that the runner cannot see being
    read, or that are not there yet. Gives the headline back, so that it is also the last cell's
    output.
    """
    place = os.environ.get("PIPELINE_HANDOVER")
    if place:
        told = {
            "headline": headline,
            "notice": manifest["said"] if manifest["source"] == "sample" else "",
            "made": dict(made or {}),
            "read": [str(one) for one in read],
        }
        paths.write_whole(Path(place), json.dumps(told, indent=2).encode())
    return headline
