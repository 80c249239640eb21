"""What the runner tells a notebook, and what the notebook hands back to it.

Works without a runner too: then nothing is handed over.
"""

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
    """Return the id of the pipeline run; without a runner, one made from the time."""
    return os.environ.get("PIPELINE_RUN_ID") or f"by-hand-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def report_path() -> str:
    """Return the path of this notebook's report, from the checkout; empty without a runner."""
    return os.environ.get("PIPELINE_REPORT", "")


def notebook_name() -> str:
    """Return the file name of this notebook; empty without a runner."""
    return os.environ.get("PIPELINE_NOTEBOOK", "")


def notebook_code_sha256() -> str:
    """Return the sha256 of this notebook's code, whatever its format; empty without a runner."""
    return os.environ.get("PIPELINE_CODE", "")


def reproduction_command() -> str:
    """Return the command that reproduces this run from a checkout of its commit; may be empty."""
    return os.environ.get("PIPELINE_COMMAND", "")


def error_usd(dollars: float, champion_dollars: float | None = None) -> dict[str, Any]:
    """Return a headline value for an error in dollars, of which a lower one is better.

    champion_dollars: the champion's error on the same rows.
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
    """Hand the headline results to the runner, with a notice that no reader of the report may miss.

    manifest: of the split; the notice says that the data is a sample, or was changed and is not
    held by DVC. outputs: results that are no files, name -> id; if one is new, later steps run
    again. input_files: files whose reading the runner cannot observe, or that do not exist yet.
    links: "what: its name" -> address of a result that is stored elsewhere. extra_pages: pages
    beside the report, name (a-z, 0-9 and _) -> title and Markdown.
    Returns the headline as texts, to be shown as the output of the last cell.
    """
    handover_file = os.environ.get("PIPELINE_HANDOVER")
    if handover_file:
        content = {
            "headline": headline,
            "notice": dvc.data_notice(manifest),
            "data": data_summary(manifest),
            "champion": _champion_label(probe.MODEL_NAMES[manifest["source"]]),
            "links": dict(links or {}),
            "made": dict(outputs or {}),
            "read": [str(file) for file in input_files],
            "pages": {
                name: {"title": title, "markdown": markdown}
                for name, (title, markdown) in (extra_pages or {}).items()
            },
        }
        paths.atomic_write(Path(handover_file), json.dumps(content, indent=2).encode())
    return {
        name: str(value["text"] if isinstance(value, dict) else value)
        for name, value in headline.items()
    }


def _champion_label(name: str) -> str:
    try:
        version = probe.champion_versions().get(name)
    except errors.StoreUnreachableError:  # the results of the step are complete nevertheless
        return "unknown: the tracking store does not answer"
    return f"{name} version {version}" if version else "none yet"


def data_summary(manifest: Mapping[str, Any]) -> str:
    """Return the data in one line: its kind, rows and hash, and DVC's version of it."""
    label, rows = SOURCE_LABELS[manifest["source"]], manifest["rows"]["raw"]
    summary = f"{label}, {rows:,} block groups, sha256 {manifest['sha256']['raw'][:12]}"
    version = dvc.data_version(manifest)
    return f"{summary}; {version}" if version else summary
