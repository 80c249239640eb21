"""Routes to operate the service: its health, model, monitoring, metrics and OpenAPI document."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from flask import Blueprint, Response, abort, current_app, request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from app.blueprints.responses import json_response
from app.metrics.metrics import get_metrics
from app.model.champion import Champion, champion_loader
from app.model.states import describe_registry
from app.openapi import document
from app.prediction_log.writer import prediction_log
from app.problem_details import no_model_error
from app.shadow import metrics as shadow_metrics
from app.verdict_file import describe_verdict, verdict_file

PLAIN_TEXT = "text/plain; charset=utf-8"

bp = Blueprint("operations", __name__)


@bp.get("/health")
def health() -> Response:
    """Report that the process is alive."""
    return json_response({"status": "alive"})


@bp.get("/ping")
def ping() -> Response:
    """Report health as MLflow's scoring server does: 404 while no model is loaded, and why."""
    if champion_loader().current():
        return Response("\n", content_type=PLAIN_TEXT)
    absence = champion_loader().absence()
    headers = {"Retry-After": str(absence.retry_after_seconds)}
    return Response(f"{absence.sentence}\n", 404, headers, content_type=PLAIN_TEXT)


@bp.get("/version")
def protocol_version() -> Response:
    """Return the version of MLflow whose scoring protocol /invocations implements."""
    return Response(_mlflow_version(), content_type=PLAIN_TEXT)


@bp.get("/ready")
def ready() -> Response:
    """Report whether the service can answer: a model is loaded and the log can be written."""
    champion, loader = _require_champion(), champion_loader()
    prediction_log().check_writable()
    status = loader.registry_status()
    state = loader.model_state(status)
    report = {
        "status": "ready",
        "state": state,
        "model": champion.model_info.name,
        "model_version": champion.model_info.version,
        "problem": loader.problem,
        "refused_version": status.refused_version,
        "registry": describe_registry(state, status.since),
    }
    return json_response({name: text for name, text in report.items() if text})


@bp.get("/model")
def model() -> Response:
    """Return the champion's name, version, alias, run, data source, metrics, report and commit."""
    return json_response(_require_champion().model_info.details)


@bp.get("/monitoring")
def monitoring() -> Response:
    """Return the verdict of the last monitoring run, with the path of its report."""
    reading = verdict_file().read()
    verdict = describe_verdict(reading, Path(current_app.config["REPORTS"]))
    if not verdict:
        problem = reading.problem or "the monitoring has not run yet"
        abort(404, f"{problem}; `python run_pipeline.py monitor` writes a verdict")
    return json_response(verdict)


@bp.get("/metrics")
def prometheus_metrics() -> Response:
    """Return the metrics in Prometheus' text format."""
    page = get_metrics().exposition() + shadow_metrics.exposition(current_app.config)
    return Response(page, content_type=CONTENT_TYPE_PLAIN_0_0_4)


@bp.get("/openapi.json")
def openapi_json() -> Response:
    """Return the OpenAPI document."""
    content = document.openapi_document()
    if request.script_root:  # a path prefix; without one the paths are complete
        content = content | {"servers": [{"url": request.script_root}]}
    return json_response(content)


def _require_champion() -> Champion:
    """Return the champion. Raises RequestError (503) if none is loaded yet."""
    champion = champion_loader().current()
    if champion is None:
        raise no_model_error(*champion_loader().absence())
    return champion


@cache
def _mlflow_version() -> str:
    for distribution_name in ("mlflow", "mlflow-skinny"):
        try:
            return version(distribution_name)
        except PackageNotFoundError:
            pass
    return ""
