"""Lineage: from a prediction of the service down to the data, and what of it is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from housing.prediction_log import reader
from housing.registry import alias_history, versions
from housing.registry.alias_changes import History
from housing.registry.provenance import (
    LineageEntry,
    NotebookHasher,
    data_entries,
    files_entry,
    origin_entries,
)
from housing.registry.versions import ModelVersion
from housing.schema import USD_PER_UNIT
from housing.text import omission_text
from housing.tracking import experiments

PIPELINE_RUN_ID_PATTERN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}|by-hand-\d{8}-\d{6}")
HEX_ID_PATTERN = re.compile(r"([0-9a-f]{32})(-\d+)?")  # of a prediction or an MLflow run
ACCEPTED_IDENTIFIERS = (
    "a prediction's id, a version (3, NAME/3, champion), an MLflow run's id, or a report "
    "(its path, or the id of its run)"
)
MAX_LISTED_PREDICTIONS = 10  # of one request


def trace(
    identifier: str, name: str, hash_notebook: NotebookHasher | None = None
) -> list[LineageEntry]:
    """Return the lineage of a prediction, version, MLflow run or report, the newest entry first.

    name: the registered model that a bare version number belongs to. hash_notebook: computes the
    hash of a notebook's code, to say whether it is still the one that ran. Raises LookupError for
    an unknown identifier.
    """
    if HEX_ID_PATTERN.fullmatch(identifier):
        rows = _find_predictions(identifier)
        if rows:
            return _prediction_lineage(rows, hash_notebook)
        return _run_lineage(identifier, hash_notebook)
    pipeline_run_id = _extract_run_id(identifier)
    if pipeline_run_id:
        return _report_lineage(pipeline_run_id, hash_notebook)
    return _identified_version_lineage(identifier, name, hash_notebook)


def _identified_version_lineage(
    identifier: str, default_name: str, hash_notebook: NotebookHasher | None
) -> list[LineageEntry]:
    """Return the lineage of the version `3`, `champion`, `NAME/3` or `NAME/champion`."""
    given_name, _, number = identifier.rpartition("/")
    name, history = given_name or default_name, None
    if number in (versions.CHAMPION, versions.CHALLENGER):
        history = alias_history.reconcile(name, number)
        number = history.version(number)
    if not number.isdigit():
        raise LookupError(f"nothing is known of {identifier!r}: expected {ACCEPTED_IDENTIFIERS}")
    version = versions.get_version(name, number)
    history = history or alias_history.read(name)
    return _version_lineage(version, history, hash_notebook, count_predictions=True)


def _find_predictions(prediction_id: str) -> list[dict[str, Any]]:
    """Return the logged rows of a prediction or a request, from the log or else the archives.

    The rows of a request have its id, or its id with -0, -1, ...
    """
    query = "SELECT * FROM prediction WHERE id = ? OR id > ? AND id < ? ORDER BY id LIMIT 10000"
    # a range, because SQLite does not use the index for LIKE
    arguments = (prediction_id, f"{prediction_id}-", f"{prediction_id}.")
    for file in [reader.log_path(), *reader.archive_paths()]:
        rows = reader.query(file, query, *arguments)
        if rows:
            return rows
    return []


def _prediction_lineage(
    rows: list[dict[str, Any]], hash_notebook: NotebookHasher | None
) -> list[LineageEntry]:
    entries = _prediction_entries(rows)
    first_row = rows[0]
    if not first_row["model_name"]:
        text = "the request was refused, so no model answered"
        return [*entries, LineageEntry("version", text, True)]
    try:
        version = versions.get_version(first_row["model_name"], first_row["model_version"])
    except LookupError as error:
        return [*entries, LineageEntry("version", str(error), True)]
    if version.created_at > first_row["asked_at"]:
        text = (
            f"{_version_label(version)} was registered after the prediction: this is another "
            "registry"
        )
        return [*entries, LineageEntry("version", text, True)]
    history = alias_history.read(version.name)
    return [*entries, *_version_lineage(version, history, hash_notebook)]


def _prediction_entries(rows: list[dict[str, Any]]) -> list[LineageEntry]:
    entries = []
    for row in rows[:MAX_LISTED_PREDICTIONS]:
        value = row["prediction"]
        result = row["problem"] if value is None else f"${value * USD_PER_UNIT:,.0f}"
        entries.append(LineageEntry("prediction", f"{row['id']}: {result}"))
        entries.append(LineageEntry("request", f"{row['asked_at']}, {row['input']}"))
    omission = omission_text(len(rows), MAX_LISTED_PREDICTIONS, "of the same request")
    if omission:
        entries.append(LineageEntry("prediction", omission))
    return entries


def _run_lineage(run_id: str, hash_notebook: NotebookHasher | None) -> list[LineageEntry]:
    run = experiments.get_run(run_id)
    if run is None:
        raise LookupError(f"{run_id} is neither a prediction in the log nor an MLflow run")
    entries = _matching_versions_lineage(lambda version: version.run_id == run_id, hash_notebook)
    return entries or [
        LineageEntry("version", "this run was never registered", True),
        *_training_entries(run_id, hash_notebook),
    ]


def _report_lineage(
    pipeline_run_id: str, hash_notebook: NotebookHasher | None
) -> list[LineageEntry]:
    def mentions_run(version: ModelVersion) -> bool:
        report = version.tags.get("report", "")
        return pipeline_run_id in (version.tags.get("training"), _extract_run_id(report))

    entries = _matching_versions_lineage(mentions_run, hash_notebook)
    if entries:
        return entries
    run_ids = experiments.find_run_ids(pipeline_run_id)
    if not run_ids:
        raise LookupError(f"no version and no MLflow run names the pipeline run {pipeline_run_id}")
    return [
        LineageEntry("version", f"the run {pipeline_run_id} registered none", True),
        *(entry for run_id in run_ids for entry in _training_entries(run_id, hash_notebook)),
    ]


def _matching_versions_lineage(
    predicate: Callable[[ModelVersion], bool], hash_notebook: NotebookHasher | None
) -> list[LineageEntry]:
    """Return the lineage of every version, of any registered model, that the predicate accepts."""
    entries = []
    for name in versions.MODEL_NAMES.values():
        history = None
        for version in filter(predicate, versions.list_versions(name)):
            history = history or alias_history.read(name)
            entries += _version_lineage(version, history, hash_notebook, count_predictions=True)
    return entries


def _version_lineage(
    version: ModelVersion,
    history: History,
    hash_notebook: NotebookHasher | None,
    count_predictions: bool = False,
) -> list[LineageEntry]:
    entries = [LineageEntry("predictions", _usage_text(version))] if count_predictions else []
    verdict, reason = version.tags.get("verdict", "never judged"), version.tags.get("reason", "")
    entries.append(LineageEntry("version", f"{_version_label(version)}, {verdict}: {reason}"))
    promotions = [
        f"from {change.changed_at[:16].replace('T', ' ')} UTC ({change.action} by "
        f"{change.changed_by})"
        for change in history.of_alias(versions.CHAMPION)
        if change.new_version == version.version
    ]
    entries.append(LineageEntry("champion", "; ".join(promotions) or "never"))
    entries.append(files_entry(version))
    entries += origin_entries("registration", version.tags, hash_notebook)
    return [*entries, *_training_entries(version.run_id, hash_notebook)]


def _training_entries(run_id: str, hash_notebook: NotebookHasher | None) -> list[LineageEntry]:
    """Return the MLflow run, its origin and its data."""
    run = experiments.get_run(run_id) if run_id else None
    if run is None:
        return [LineageEntry("MLflow run", f"{run_id or 'none is named'}: not in this store", True)]
    rmse = run.metrics.get("test_rmse", float("nan")) * USD_PER_UNIT
    family = run.tags.get("family", "")
    text = f"{run_id}: {family}, test RMSE ${rmse:,.0f}, {run.started_at}"
    return [
        LineageEntry("MLflow run", text),
        *origin_entries("training", run.tags, hash_notebook),
        *data_entries(run.tags),
    ]


def _usage_text(version: ModelVersion) -> str:
    """Describe how many predictions of the service's log this version made, and when."""
    query = (
        "SELECT count(*) AS n_predictions, min(asked_at) AS first, max(asked_at) AS last "
        "FROM prediction WHERE model_name = ? AND model_version = ? AND status = 200"
    )
    for row in reader.query(reader.log_path(), query, version.name, version.version):
        if row["n_predictions"]:
            count = row["n_predictions"]
            return f"{count:,} in this log, from {row['first']} to {row['last']}"
    return "none in this log"


def _version_label(version: ModelVersion) -> str:
    return f"{version.name} version {version.version}"


def _extract_run_id(report: str) -> str:
    """Return the pipeline run's id in a report's path; empty if there is none."""
    match = PIPELINE_RUN_ID_PATTERN.search(report)
    return match[0] if match else ""
