"""Lineage: from a prediction of the service down to the data, and what of it is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from housing.prediction_log import months, reader
from housing.prediction_log.filters import LogFilters
from housing.prediction_log.reader import LogRow
from housing.registry import alias_history, missing_champion, versions
from housing.registry.alias_changes import AliasChange, History
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
MAX_TRACED_PREDICTIONS = 10_000  # of one request
MAX_LISTED_PREDICTIONS = 10


class Subject(NamedTuple):
    """What an identifier names: predictions, versions or runs."""

    entries: Sequence[LineageEntry] = ()  # of the predictions, or what is missing
    versions: Sequence[ModelVersion] = ()  # those of one model follow each other
    history: History | None = None  # of the versions, if it was read already
    run_ids: Sequence[str] = ()  # of MLflow runs that were never registered


def trace(
    identifier: str, name: str, hash_notebook: NotebookHasher | None = None
) -> list[LineageEntry]:
    """Return the lineage of a prediction, version, MLflow run or report, the newest entry first.

    name: the registered model that a bare version number belongs to. hash_notebook: computes the
    hash of a notebook's code, to say whether it is still the one that ran. Raises LookupError for
    an unknown identifier.
    """
    subject = _find_subject(identifier, name)
    entries = list(subject.entries)
    for model_name, model_versions in groupby(subject.versions, lambda version: version.name):
        history = subject.history or alias_history.read(model_name)
        for version in model_versions:
            if not subject.entries:
                entries.append(LineageEntry("predictions", _usage_text(version)))
            entries += _version_entries(version, history)
            entries += origin_entries("registration", version.tags, hash_notebook)
            entries += _training_entries(version.run_id, hash_notebook)
    for run_id in subject.run_ids:
        entries += _training_entries(run_id, hash_notebook)
    return entries


def _find_subject(identifier: str, name: str) -> Subject:
    if HEX_ID_PATTERN.fullmatch(identifier):
        rows = _find_predictions(identifier)
        return _prediction_subject(rows) if rows else _run_subject(identifier)
    pipeline_run_id = _extract_run_id(identifier)
    if pipeline_run_id:
        return _report_subject(pipeline_run_id)
    return _version_subject(identifier, name)


def _version_subject(identifier: str, default_name: str) -> Subject:
    """Find the version `3`, `champion`, `NAME/3` or `NAME/champion`."""
    given_name, _, number = identifier.rpartition("/")
    name, history = given_name or default_name, None
    if number in (versions.CHAMPION, versions.CHALLENGER):
        history = alias_history.reconcile(name, number)
        alias, number = number, history.version(number)
        if not number:
            raise LookupError(_no_alias_text(name, alias, history))
    if not number.isdigit():
        raise LookupError(f"nothing is known of {identifier!r}: expected {ACCEPTED_IDENTIFIERS}")
    try:
        return Subject(versions=[versions.get_version(name, number)], history=history)
    except LookupError as error:
        return _deleted_version_subject(name, number, error)


def _deleted_version_subject(name: str, number: str, error: LookupError) -> Subject:
    """Return what the history has of a version that is gone. Raises the error if it has none."""
    changes = [
        change for change in alias_history.read(name).changes if change.new_version == number
    ]
    if not changes:
        raise error
    label = f"{name} version {number}"
    entries = [
        LineageEntry("version", f"{label}: deleted in MLflow, or the model renamed", True),
        LineageEntry("champion", _champion_text(changes)),
    ]
    return Subject(
        entries, run_ids=list(dict.fromkeys(filter(None, (change.run_id for change in changes))))
    )


def _champion_text(changes: Sequence[AliasChange]) -> str:
    """Say from when a version was champion. changes: those that lead to it."""
    promotions = [
        f"from {change.changed_at[:16].replace('T', ' ')} UTC ({change.action} by "
        f"{change.changed_by})"
        for change in changes
        if change.alias == versions.CHAMPION
    ]
    return "; ".join(promotions) or "never"


def _no_alias_text(name: str, alias: str, history: History) -> str:
    """Say that a model has no such version now, which was it last, and the way out."""
    details = missing_champion.describe(name, history) if alias == versions.CHAMPION else ""
    return f"{name} has no {alias}" + (f": {details}" if details else "")


def _find_predictions(prediction_id: str) -> list[LogRow]:
    """Return the logged rows of a prediction or a request, from the log or else the archives."""
    filters = LogFilters(request_id=prediction_id)
    for file in [reader.log_path(), *months.archive_paths()]:
        rows = list(reader.read_newest(file, filters, MAX_TRACED_PREDICTIONS))
        if rows:
            return rows
    return []


def _prediction_subject(rows: list[LogRow]) -> Subject:
    entries, first_row = _prediction_entries(rows), rows[0]
    if not first_row["model_name"]:
        problem = "the request was refused, so no model answered"
        return Subject([*entries, LineageEntry("version", problem, True)])
    try:
        version = versions.get_version(first_row["model_name"], first_row["model_version"])
    except LookupError as error:
        run_ids = [first_row["run_id"]] if first_row["run_id"] else []
        return Subject([*entries, LineageEntry("version", str(error), True)], run_ids=run_ids)
    if version.created_at > first_row["asked_at"]:
        problem = f"{version.label} was registered after the prediction: this is another registry"
        return Subject([*entries, LineageEntry("version", problem, True)])
    return Subject(entries, [version])


def _prediction_entries(rows: list[LogRow]) -> list[LineageEntry]:
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


def _run_subject(run_id: str) -> Subject:
    if experiments.get_run(run_id) is None:
        raise LookupError(f"{run_id} is neither a prediction in the log nor an MLflow run")
    registered_versions = versions.find_by_run(run_id)
    if registered_versions:
        return Subject(versions=registered_versions)
    problem = LineageEntry("version", "this run was never registered, or its version deleted", True)
    return Subject([problem], run_ids=[run_id])


def _report_subject(pipeline_run_id: str) -> Subject:
    def mentions_run(version: ModelVersion) -> bool:
        report = version.tags.get("report", "")
        return pipeline_run_id in (version.tags.get("training"), _extract_run_id(report))

    accepted_versions = [
        version
        for name in versions.MODEL_NAMES.values()
        for version in filter(mentions_run, versions.list_versions(name))
    ]
    if accepted_versions:
        return Subject(versions=accepted_versions)
    run_ids = experiments.find_run_ids(pipeline_run_id)
    if not run_ids:
        raise LookupError(f"no version and no MLflow run names the pipeline run {pipeline_run_id}")
    problem = f"the run {pipeline_run_id} registered none, or it was deleted"
    return Subject([LineageEntry("version", problem, True)], run_ids=run_ids)


def _version_entries(version: ModelVersion, history: History) -> list[LineageEntry]:
    verdict, reason = version.tags.get("verdict", "never judged"), version.tags.get("reason", "")
    changes = [change for change in history.changes if change.new_version == version.version]
    return [
        LineageEntry("version", f"{version.label}, {verdict}: {reason}"),
        LineageEntry("champion", _champion_text(changes)),
        files_entry(version),
    ]


def _training_entries(run_id: str, hash_notebook: NotebookHasher | None) -> list[LineageEntry]:
    """Return the MLflow run, its origin and its data."""
    run = experiments.get_run(run_id) if run_id else None
    if run is None:
        return [LineageEntry("MLflow run", f"{run_id or 'none is named'}: not in this store", True)]
    if run.is_deleted:
        text = f"{run_id}: deleted in MLflow; `mlflow runs restore --run-id {run_id}` restores it"
        return [LineageEntry("MLflow run", text, True)]
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


def _extract_run_id(report: str) -> str:
    """Return the pipeline run's id in a report's path; empty if there is none."""
    match = PIPELINE_RUN_ID_PATTERN.search(report)
    return match[0] if match else ""
