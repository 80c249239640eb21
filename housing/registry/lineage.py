"""Lineage: from an answer of the service down to the data, and what of it is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from housing.prediction_log import reader
from housing.registry import alias_history, versions
from housing.registry.provenance import (
    LineageEntry,
    NotebookHasher,
    data_entries,
    files_entry,
    origin_entries,
)
from housing.registry.versions import ModelVersion
from housing.schema import USD_PER_UNIT
from housing.tracking import experiments

PIPELINE_RUN_ID_PATTERN = re.compile(
    r"\d{8}-\d{6}-[0-9a-f]{4}|by-hand-\d{8}-\d{6}"
)  # of the pipeline
HEX_ID_PATTERN = re.compile(r"([0-9a-f]{32})(-\d+)?")
ACCEPTED_IDENTIFIERS = ("a prediction's id, a version (3, NAME/3, champion), an MLflow run's id, or a report "
        "(its path, or the id of its run)")  # fmt: skip


def trace(
    identifier: str, name: str, hash_notebook: NotebookHasher | None = None
) -> list[LineageEntry]:
    """The chain behind a prediction, a version, an MLflow run or a report, the newest thing first.

    name: the registered model that a bare version number belongs to. code_of: tells whether a
    notebook is still the one that ran. Raises LookupError for what is none of these.
    """
    found = HEX_ID_PATTERN.fullmatch(identifier)
    if found:
        rows = _find_predictions(identifier)
        if rows:
            return _prediction_lineage(rows, hash_notebook)
        return _run_lineage(identifier, hash_notebook)
    run = PIPELINE_RUN_ID_PATTERN.search(identifier)
    if run:
        return _report_lineage(run[0], hash_notebook)
    return _version_lineage(
        _resolve_version(identifier, name), hash_notebook, count_predictions=True
    )


def _resolve_version(identifier: str, name: str) -> ModelVersion:
    named, _, number = identifier.rpartition("/")
    if number in (versions.CHAMPION, versions.CHALLENGER):
        number = alias_history.reconcile(named or name, number)
    if not number.isdigit():
        raise LookupError(f"nothing is known of {identifier!r}: expected {ACCEPTED_IDENTIFIERS}")
    return versions.get_version(named or name, number)


def _find_predictions(prediction_id: str) -> list[dict[str, Any]]:
    """The rows with that id, or of that request: its id, and -0, -1, ...; archives last."""
    query = "SELECT * FROM prediction WHERE id = ? OR id > ? AND id < ? ORDER BY id LIMIT 10000"
    ids = (
        prediction_id,
        f"{prediction_id}-",
        f"{prediction_id}.",
    )  # a range, as the index knows no LIKE
    found = (
        reader.query(file, query, *ids) for file in [reader.log_path(), *reader.archive_paths()]
    )
    return next(filter(None, found), [])


def _prediction_lineage(
    rows: list[dict[str, Any]], hash_notebook: NotebookHasher | None
) -> list[LineageEntry]:
    links = []
    for one in rows[:10]:
        answer = (
            one["problem"]
            if one["prediction"] is None
            else f"${one['prediction'] * USD_PER_UNIT:,.0f}"
        )
        links.append(LineageEntry("prediction", f"{one['id']}: {answer}"))
        links.append(LineageEntry("asked", f"{one['asked_at']}, {one['input']}"))
    if len(rows) > 10:
        links.append(LineageEntry("prediction", f"and {len(rows) - 10:,} more of the same request"))
    [first, *_] = rows
    if not first["model_name"]:
        return [
            *links,
            LineageEntry("version", "the request was refused, so no model answered", True),
        ]
    try:
        found = versions.get_version(first["model_name"], first["model_version"])
    except LookupError as gone:
        return [*links, LineageEntry("version", str(gone), True)]
    if found.created_at > first["asked_at"]:
        text = f"{_version_label(found)} was registered after the answer: this is another registry"
        return [*links, LineageEntry("version", text, True)]
    return [*links, *_version_lineage(found, hash_notebook)]


def _run_lineage(run_id: str, hash_notebook: NotebookHasher | None) -> list[LineageEntry]:
    run = experiments.get_run(run_id)
    if run is None:
        raise LookupError(f"{run_id} is no prediction in the log and no MLflow run")
    links = _matching_versions_lineage(lambda one: one.run_id == run_id, hash_notebook)
    return links or [
        LineageEntry("version", "this run was never registered", True),
        *_training_entries(run_id, hash_notebook),
    ]


def _report_lineage(
    pipeline_run_id: str, hash_notebook: NotebookHasher | None
) -> list[LineageEntry]:
    def mentions_run(version: ModelVersion) -> bool:
        return pipeline_run_id in (
            version.tags.get("training"),
            _extract_run_id(version.tags.get("report", "")),
        )

    links = _matching_versions_lineage(mentions_run, hash_notebook)
    if links:
        return links
    trained = experiments.find_run_ids(pipeline_run_id)
    if not trained:
        raise LookupError(
            f"no version and no MLflow run names the pipeline's run {pipeline_run_id}"
        )
    nothing = LineageEntry("version", f"the run {pipeline_run_id} registered none", True)
    return [nothing, *(link for one in trained for link in _training_entries(one, hash_notebook))]


def _matching_versions_lineage(
    predicate: Callable[[ModelVersion], bool], hash_notebook: NotebookHasher | None
) -> list[LineageEntry]:
    """The chains of all versions that are wanted, of whatever name."""
    found = [one for name in versions.MODEL_NAMES.values() for one in versions.list_versions(name)]
    made = filter(predicate, found)
    return [
        link
        for one in made
        for link in _version_lineage(one, hash_notebook, count_predictions=True)
    ]


def _version_lineage(
    version: ModelVersion, hash_notebook: NotebookHasher | None, count_predictions: bool = False
) -> list[LineageEntry]:
    links = [LineageEntry("answers", _usage_text(version))] if count_predictions else []
    links.append(LineageEntry("version", f"{_version_label(version)}, {version.tags.get('verdict', 'never judged')}: "
                      f"{version.tags.get('reason', '')}"))  # fmt: skip
    times = [f"from {one.at[:16].replace('T', ' ')} UTC ({one.action} by {one.who})"
             for one in alias_history.list_changes(version.name, versions.CHAMPION)
             if one.after == version.version]  # fmt: skip
    links.append(LineageEntry("champion", "; ".join(times) or "never"))
    links.append(files_entry(version))
    links += origin_entries("registration", version.tags, hash_notebook)
    return [*links, *_training_entries(version.run_id, hash_notebook)]


def _training_entries(run_id: str, hash_notebook: NotebookHasher | None) -> list[LineageEntry]:
    """The MLflow run, and what it was made by and from."""
    run = experiments.get_run(run_id) if run_id else None
    if run is None:
        return [LineageEntry("MLflow run", f"{run_id or 'none is named'}: not in this store", True)]
    rmse = run.metrics.get("test_rmse", float("nan")) * USD_PER_UNIT
    family = run.tags.get("family", "")
    links = [
        LineageEntry("MLflow run", f"{run_id}: {family}, test RMSE ${rmse:,.0f}, {run.started_at}")
    ]
    links += origin_entries("training", run.tags, hash_notebook)
    return [*links, *data_entries(run.tags)]


def _usage_text(version: ModelVersion) -> str:
    """How many answers of the service's log it gave, and when."""
    query = (
        "SELECT count(*) AS many, min(asked_at) AS first, max(asked_at) AS last "
        "FROM prediction WHERE model_name = ? AND model_version = ? AND status = 200"
    )
    for one in reader.query(reader.log_path(), query, version.name, version.version):
        if one["many"]:
            return f"{one['many']:,} in this log, from {one['first']} to {one['last']}"
    return "none in this log"


def _version_label(version: ModelVersion) -> str:
    return f"{version.name} version {version.version}"


def _extract_run_id(report: str) -> str:
    run = PIPELINE_RUN_ID_PATTERN.search(report)
    return run[0] if run else ""
