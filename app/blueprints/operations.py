"""Routes to operate the service: health, readiness, model, metrics and the OpenAPI document."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from flask import Blueprint, Response, request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from app.blueprints.responses import json_response
from app.metrics.metrics import get_metrics
from app.model.champion import Champion, champion_loader
from app.openapi import document
from app.prediction_log.writer import prediction_log
from app.prediction_service import NO_CHAMPION_MESSAGE
from app.problem_details import request_error

PLAIN_TEXT = "text/plain; charset=utf-8"

bp = Blueprint("operations", __name__)


@bp.get("/health")
def health() -> Response:
    """Report that the process is alive."""
    return json_response({"status": "alive"})


@bp.get("/ping")
def ping() -> Response:
    """Report health as MLflow's scoring server does: 404 while no model is loaded."""
    return Response("\n", 200 if champion_loader().current() else 404, content_type=PLAIN_TEXT)


@bp.get("/version")
def protocol_version() -> Response:
    """Return the version of MLflow whose scoring protocol /invocations implements."""
    return Response(_mlflow_version(), content_type=PLAIN_TEXT)


@bp.get("/ready")
def ready() -> Response:
    """Report whether the service can answer: a model is loaded and the log can be written."""
    champion, registry_status = _require_champion(), champion_loader().registry_status()
    prediction_log().check_writable()
    report = {
        "status": "ready",
        "model": champion.model_info.name,
        "model_version": champion.model_info.version,
    }
    if champion_loader().problem:
        report["problem"] = champion_loader().problem
    if registry_status.problem:
        since = registry_status.since
        report["registry"] = f"not reached since {since}: the local copy answers"
    if registry_status.is_baked:
        report["registry"] = "not followed: the model came with the image"
    return json_response(report)


@bp.get("/model")
def model() -> Response:
    """Return the champion's name, version, alias, run, data source, metrics, report and commit."""
    return json_response(_require_champion().model_info.details)


@bp.get("/metrics")
def prometheus_metrics() -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(get_metrics().exposition(), content_type=CONTENT_TYPE_PLAIN_0_0_4)


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
        raise request_error(503, NO_CHAMPION_MESSAGE)
    return champion


@cache
def _mlflow_version() -> str:
    for distribution_name in ("mlflow", "mlflow-skinny"):
        try:
            return version(distribution_name)
        except PackageNotFoundError:
            pass
    return ""
