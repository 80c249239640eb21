"""Lineage: from an answer of the service down to the data, and what of it is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from housing.prediction_log import reader
from housing.registry import alias_history, versions
from housing.registry.provenance import CodeOf, Link, data, files_of, made_by
from housing.registry.versions import Version
from housing.schema import USD
from housing.tracking import experiments

RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}|by-hand-\d{8}-\d{6}")  # of the pipeline
HEX = re.compile(r"([0-9a-f]{32})(-\d+)?")
WAYS = ("a prediction's id, a version (3, NAME/3, champion), an MLflow run's id, or a report "
        "(its path, or the id of its run)")  # fmt: skip


def trace(asked: str, name: str, code_of: CodeOf | None = None) -> list[Link]:
    """The chain behind a prediction, a version, an MLflow run or a report, the newest thing first.

    name: the registered model that a bare version number belongs to. code_of: tells whether a
    notebook is still the one that ran. Raises LookupError for what is none of these.
    """
    found = HEX.fullmatch(asked)
    if found:
        rows = _predictions(asked)
        if rows:
            return _of_predictions(rows, code_of)
        return _of_run(asked, code_of)
    run = RUN.search(asked)
    if run:
        return _of_report(run[0], code_of)
    return _of_version(_version(asked, name), code_of, counted=True)


def _version(asked: str, name: str) -> Version:
    named, _, number = asked.rpartition("/")
    if number in (versions.CHAMPION, versions.CHALLENGER):
        number = alias_history.settled(named or name, number)
    if not number.isdigit():
        raise LookupError(f"nothing is known of {asked!r}: expected {WAYS}")
    return versions.version(named or name, number)


def _predictions(asked: str) -> list[dict[str, Any]]:
    """The rows with that id, or of that request: its id, and -0, -1, ...; archives last."""
    query = "SELECT * FROM prediction WHERE id = ? OR id > ? AND id < ? ORDER BY id LIMIT 10000"
    ids = asked, f"{asked}-", f"{asked}."  # a range, as the index knows no LIKE
    found = (reader.query(file, query, *ids) for file in [reader.log(), *reader.archives()])
    return next(filter(None, found), [])


def _of_predictions(rows: list[dict[str, Any]], code_of: CodeOf | None) -> list[Link]:
    links = []
    for one in rows[:10]:
        answer = one["problem"] if one["prediction"] is None else f"${one['prediction'] * USD:,.0f}"
        links.append(Link("prediction", f"{one['id']}: {answer}"))
        links.append(Link("asked", f"{one['asked_at']}, {one['input']}"))
    if len(rows) > 10:
        links.append(Link("prediction", f"and {len(rows) - 10:,} more of the same request"))
    [first, *_] = rows
    if not first["model_name"]:
        return [*links, Link("version", "the request was refused, so no model answered", True)]
    try:
        found = versions.version(first["model_name"], first["model_version"])
    except LookupError as gone:
        return [*links, Link("version", str(gone), True)]
    if found.made > first["asked_at"]:
        text = f"{_named(found)} was registered after the answer: this is another registry"
        return [*links, Link("version", text, True)]
    return [*links, *_of_version(found, code_of)]


def _of_run(run_id: str, code_of: CodeOf | None) -> list[Link]:
    run = experiments.run(run_id)
    if run is None:
        raise LookupError(f"{run_id} is no prediction in the log and no MLflow run")
    links = _of_versions(lambda one: one.run_id == run_id, code_of)
    return links or [Link("version", "this run was never registered", True), *_run(run_id, code_of)]


def _of_report(run: str, code_of: CodeOf | None) -> list[Link]:
    def names_it(one: Version) -> bool:
        return run in (one.tags.get("training"), _run_of(one.tags.get("report", "")))

    links = _of_versions(names_it, code_of)
    if links:
        return links
    trained = experiments.trained_by(run)
    if not trained:
        raise LookupError(f"no version and no MLflow run names the pipeline's run {run}")
    nothing = Link("version", f"the run {run} registered none", True)
    return [nothing, *(link for one in trained for link in _run(one, code_of))]


def _of_versions(wanted: Callable[[Version], bool], code_of: CodeOf | None) -> list[Link]:
    """The chains of all versions that are wanted, of whatever name."""
    found = [one for name in versions.MODEL_NAMES.values() for one in versions.versions(name)]
    made = filter(wanted, found)
    return [link for one in made for link in _of_version(one, code_of, counted=True)]


def _of_version(found: Version, code_of: CodeOf | None, counted: bool = False) -> list[Link]:
    links = [Link("answers", _answered(found))] if counted else []
    links.append(Link("version", f"{_named(found)}, {found.tags.get('verdict', 'never judged')}: "
                      f"{found.tags.get('reason', '')}"))  # fmt: skip
    times = [f"from {one.at[:16].replace('T', ' ')} UTC ({one.action} by {one.who})"
             for one in alias_history.moves(found.name, versions.CHAMPION)
             if one.after == found.version]  # fmt: skip
    links.append(Link("champion", "; ".join(times) or "never"))
    links.append(files_of(found))
    links += made_by("registration", found.tags, code_of)
    return [*links, *_run(found.run_id, code_of)]


def _run(run_id: str, code_of: CodeOf | None) -> list[Link]:
    """The MLflow run, and what it was made by and from."""
    run = experiments.run(run_id) if run_id else None
    if run is None:
        return [Link("MLflow run", f"{run_id or 'none is named'}: not in this store", True)]
    rmse = run.metrics.get("test_rmse", float("nan")) * USD
    family = run.tags.get("family", "")
    links = [Link("MLflow run", f"{run_id}: {family}, test RMSE ${rmse:,.0f}, {run.at}")]
    links += made_by("training", run.tags, code_of)
    return [*links, *data(run.tags)]


def _answered(found: Version) -> str:
    """How many answers of the service's log it gave, and when."""
    query = (
        "SELECT count(*) AS many, min(asked_at) AS first, max(asked_at) AS last "
        "FROM prediction WHERE model_name = ? AND model_version = ? AND status = 200"
    )
    for one in reader.query(reader.log(), query, found.name, found.version):
        if one["many"]:
            return f"{one['many']:,} in this log, from {one['first']} to {one['last']}"
    return "none in this log"


def _named(found: Version) -> str:
    return f"{found.name} version {found.version}"


def _run_of(report: str) -> str:
    run = RUN.search(report)
    return run[0] if run else ""
