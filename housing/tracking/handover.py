"""What a notebook is told by whoever runs it, and what it hands back. Works with no runner too."""

import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from housing import paths
from housing.data import dvc
from housing.tracking import errors, probe

SOURCE_LABELS = {"california": "California housing", "sample": "Generated sample", "file": "A file"}
HeadlineValue = str | dict[str, Any]  # a text, or a number that can be compared (`error_usd`)


def run_id() -> str:
    """The id of the run this notebook belongs to; by hand, one made from the time."""
    return os.environ.get("PIPELINE_RUN_ID") or f"by-hand-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def report_path() -> str:
    """Where this notebook's report will stand, from the checkout; empty if none is made."""
    return os.environ.get("PIPELINE_REPORT", "")


def notebook_name() -> str:
    """The file name of this notebook; empty if nobody runs it but you."""
    return os.environ.get("PIPELINE_NOTEBOOK", "")


def notebook_code_sha256() -> str:
    """sha256 of this notebook's code, however it is formatted; empty if nobody runs it but you."""
    return os.environ.get("PIPELINE_CODE", "")


def reproduction_command() -> str:
    """What makes this run again, from a checkout of its commit; empty if there is none."""
    return os.environ.get("PIPELINE_COMMAND", "")


def error_usd(dollars: float, champion_dollars: float | None = None) -> dict[str, Any]:
    """A result for the headline: an error in dollars, lower is better.

    before: the champion's, on the same rows.
    """
    return {
        "value": dollars,
        "text": f"${dollars:,.0f}",
        "better": "lower",
        "before": champion_dollars,
    }


def publish(
    headline: Mapping[str, HeadlineValue],
    manifest: Mapping[str, Any],
    outputs: Mapping[str, str] | None = None,
    input_files: Iterable[Path] = (),
    links: Mapping[str, str] | None = None,
    extra_pages: Mapping[str, tuple[str, str]] | None = None,
) -> dict[str, str]:
    """Gives the runner the headline results, and a notice that no reader of the report may miss.

    manifest: the split's; a sample, or changed data that DVC does not hold, is the notice. made:
    results that are no files, name -> id; if one is new, later steps run again. read: files that
    the runner cannot see being read, or that are not there yet. links: "what: its name" ->
    address, to what was left elsewhere. pages: to stand beside the report, name (a-z, 0-9 and _)
    -> title and Markdown.
    Gives the headline back as texts, so that it is also the last cell's output.
    """
    place = os.environ.get("PIPELINE_HANDOVER")
    if place:
        told = {
            "headline": headline,
            "notice": dvc.data_notice(manifest),
            "data": data_summary(manifest),
            "champion": _champion_label(probe.MODEL_NAMES[manifest["source"]]),
            "links": dict(links or {}),
            "made": dict(outputs or {}),
            "read": [str(one) for one in input_files],
            "pages": {
                name: {"title": title, "markdown": markdown}
                for name, (title, markdown) in (extra_pages or {}).items()
            },
        }
        paths.atomic_write(Path(place), json.dumps(told, indent=2).encode())
    return {name: str(it["text"] if isinstance(it, dict) else it) for name, it in headline.items()}


def _champion_label(name: str) -> str:
    try:
        version = probe.champion_versions().get(name)
    except errors.StoreUnreachableError:  # the step is done all the same
        return "unknown: the tracking store does not answer"
    return f"{name} version {version}" if version else "none yet"


def data_summary(manifest: Mapping[str, Any]) -> str:
    """Which data it is, in a line: kind, rows, the hash that tells it apart, DVC's version."""
    rows, digest, version = (
        manifest["rows"]["raw"],
        manifest["sha256"]["raw"],
        dvc.data_version(manifest),
    )
    told = f"{SOURCE_LABELS[manifest['source']]}, {rows:,} block groups, sha256 {digest[:12]}"
    return f"{told}; {version}" if version else told
