"""What a notebook calls: who runs it, and publish its results to the runner.

Works without a runner too, as in JupyterLab: then nothing is published. Imports nothing slow.
"""

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.results import ExtraPage, Metric, PublishedResults, format_metric
from pipeline.runs.strict_json import encode_json

__all__ = ["Metric", "origin", "publish", "report_path", "run_id"]

# variables that the runner sets in a kernel's environment
RESULTS_VARIABLE = "PIPELINE_RESULTS"  # the file that gets the published results
RUN_ID_VARIABLE = "PIPELINE_RUN_ID"
REPORT_VARIABLE = "PIPELINE_REPORT"
NOTEBOOK_VARIABLE = "PIPELINE_NOTEBOOK"
CODE_VARIABLE = "PIPELINE_CODE"
COMMAND_VARIABLE = "PIPELINE_COMMAND"


def run_id() -> str:
    """Return the id of the run; without a runner, one made from the time."""
    return os.environ.get(RUN_ID_VARIABLE) or f"by-hand-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def report_path() -> str:
    """Return the path of this notebook's report below the home; empty without a runner."""
    return os.environ.get(REPORT_VARIABLE, "")


def origin() -> dict[str, str]:
    """Return what a result of this notebook comes from, to be stored beside it.

    report, notebook (its file name), notebook_code_sha256 (of its code, however it is formatted),
    and command, which reproduces the run from a checkout of its commit. Empty texts without a
    runner.
    """
    return {
        "report": report_path(),
        "notebook": os.environ.get(NOTEBOOK_VARIABLE, ""),
        "notebook_code_sha256": os.environ.get(CODE_VARIABLE, ""),
        "command": os.environ.get(COMMAND_VARIABLE, ""),
    }


def publish(
    headline: Mapping[str, Metric | str],
    *,
    verdict: str = "",
    notice: str = "",
    facts: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    input_files: Iterable[Path] = (),
    output_files: Iterable[Path] = (),
    pages: Mapping[str, tuple[str, str]] | None = None,
) -> dict[str, str]:
    """Publish the notebook's results: the report shows them, and later steps depend on them.

    headline: name -> a text, or a `Metric` that can be compared with other runs. verdict: one of
    those that the step declares; it heads the headline. notice: a warning that no reader of the
    report may miss. facts: name -> text, what else the head of the report says, such as the data
    used. links: "what: its name" -> address of a result that is stored elsewhere. outputs: results
    that are no files, name -> id; if one is new, later steps run again. input_files, output_files:
    files whose reading or writing the runner cannot observe (as SQLite does it), or that do not
    exist yet. pages: pages beside the report, name (a-z, 0-9 and _) -> title and Markdown.
    Returns the headline as texts, to be shown as the output of the last cell.
    """
    results = PublishedResults(
        headline=dict(headline),
        verdict=verdict,
        notice=notice,
        facts=dict(facts or {}),
        links=dict(links or {}),
        outputs=dict(outputs or {}),
        input_files=[str(path) for path in input_files],
        output_files=[str(path) for path in output_files],
        pages={name: ExtraPage(*page) for name, page in (pages or {}).items()},
    )
    results_file = os.environ.get(RESULTS_VARIABLE)
    if results_file:
        atomic_write(Path(results_file), encode_json(results, indent=1))
    return {name: format_metric(value) for name, value in headline.items()}
