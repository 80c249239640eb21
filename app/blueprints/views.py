"""The routes."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import orjson
from flask import Blueprint, Response, current_app, g, render_template, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app import openapi
from app.blueprints import outline
from app.codecs import predict
from app.codecs.json_body import LoggedPredictionDetail
from app.codecs.predict import SAMPLE_NOTICE
from app.messages import JSON_MEDIA_TYPE, HttpRequest, HttpResponse
from app.metrics.metrics import PROMETHEUS_CONTENT_TYPE, get_metrics
from app.model.champion import Champion, champion_loader
from app.prediction_log.writer import PredictionLogError, prediction_log
from app.prediction_service import (
    CODECS,
    LOG_UNAVAILABLE_MESSAGE,
    NO_CHAMPION_MESSAGE,
    PredictionService,
)
from app.problem_details import RequestError, request_error
from housing.schema import FEATURES, USD_PER_UNIT

PLAIN_TEXT = "text/plain; charset=utf-8"
MAX_RECENT_PREDICTIONS = 1_000  # rows of GET /predictions

bp = Blueprint("service", __name__)


@bp.before_app_request
def _assign_request_id() -> None:
    told = {name.lower(): value for name, value in request.headers.items()}
    query = request.query_string.decode("latin-1")
    g.asked = HttpRequest(request.method, request.path, query, told, b"", request.remote_addr or "")


@bp.after_app_request
def _record_request(response: Response) -> Response:
    """Counts and names every request but those that the service itself has counted."""
    if request.path in CODECS and request.method == "POST":
        return response
    endpoint = request.url_rule.rule if request.url_rule else "unknown"
    get_metrics().count("housing_requests", endpoint, str(response.status_code))
    get_metrics().observe("housing_request_seconds", g.asked.latency_ms() / 1000, endpoint)
    size = response.calculate_content_length() or 0
    current_app.extensions["access"].write([(g.asked, response.status_code, size)])
    for name, value in g.asked.tracing_headers():
        response.headers[name] = value
    return response


@bp.post("/predict")
@bp.post("/invocations")
def create_prediction() -> Response:
    """House values for one block group or a list of them; logged before they leave.

    Under `python -m app` the door answers these two itself, in groups, by the same service.
    """
    service: PredictionService = current_app.extensions["service"]
    g.asked.api_key_name = g.caller
    try:
        g.asked.body = request.get_data()
    except RequestEntityTooLarge:
        return _flask_response(service.reject_request(g.asked, _body_too_large_error()))
    return _flask_response(service.predict_batch([g.asked])[0])


@bp.get("/predictions")
def list_predictions() -> Response:
    """The last answers and refusals, newest first."""
    limit = _query_integer("limit", 20, 1, MAX_RECENT_PREDICTIONS)
    status = _query_integer("status", None, 100, 599)
    rows = prediction_log().find_recent(limit, status, request.args.get("request_id"))
    return _json_response({"predictions": [_log_row_as_json(one) for one in rows]})


@bp.get("/predictions/<name>")
def get_prediction(name: str) -> Response:
    """An answer as it was logged, and what stands behind the model that gave it."""
    row = prediction_log().find(name)
    if row is None:
        raise request_error(404, f"no answer {name[:60]!r} is in the log")
    known = "model_name", "model_version", "run_id"
    behind = (
        champion_loader().model_info(*(row[one] for one in known)) if row["model_name"] else None
    )
    return _json_response(_log_row_as_json(row) | {"lineage": behind})


@bp.get("/health")
def health() -> Response:
    """Is the process alive?"""
    return _json_response({"status": "alive"})


@bp.get("/ping")
def ping() -> Response:
    """The same as MLflow's scoring server says it: 404 while there is no model."""
    return Response("\n", 200 if champion_loader().current() else 404, content_type=PLAIN_TEXT)


@bp.get("/version")
def protocol_version() -> Response:
    """Which MLflow's scoring protocol is spoken: what a client of it asks for."""
    return Response(_mlflow_version(), content_type=PLAIN_TEXT)


@bp.get("/ready")
def ready() -> Response:
    """Can it answer: a model is loaded and the log can be written."""
    champion, registry = _require_champion(), champion_loader().registry_status()
    prediction_log().check_writable()
    about = {"status": "ready", "model": champion.model_info["name"]}
    about["model_version"] = champion.model_info["version"]
    if champion_loader().problem:
        about["problem"] = champion_loader().problem
    if "problem" in registry:
        about["registry"] = f"not reached since {registry['since']}: the local copy answers"
    if registry.get("baked"):
        about["registry"] = "not followed: the model came with the image"
    return _json_response(about)


@bp.get("/model")
def model() -> Response:
    """What serves: name, version, alias, run, data source, metrics, report, commit."""
    return _json_response(_require_champion().model_info)


@bp.get("/metrics")
def prometheus_metrics() -> Response:
    """For Prometheus."""
    return Response(get_metrics().exposition(), content_type=PROMETHEUS_CONTENT_TYPE)


@bp.get("/openapi.json")
def openapi_document() -> Response:
    """The OpenAPI document."""
    return _json_response(openapi.document())


@bp.get("/docs")
def api_docs() -> str:
    """The OpenAPI document as a page."""
    return render_template("docs.html", document=openapi.document(), features=FEATURES)


@bp.get("/")
def index() -> str:
    """A map and a form to ask with."""
    champion = champion_loader().current()
    return render_template(
        "page.html",
        features=FEATURES,
        about=champion.model_info if champion else None,
        map=outline.california_map(champion),
        how_to_get_one=NO_CHAMPION_MESSAGE,
        notice=SAMPLE_NOTICE,
        usd=USD_PER_UNIT,
    )


@bp.app_errorhandler(RequestError)
def _handle_request_error(error: RequestError) -> Response:
    if error.status == 429:
        get_metrics().count("housing_shed_requests", "limit")
    return _flask_response(predict.encode_error(g.asked, error))


@bp.app_errorhandler(HTTPException)
def _handle_http_exception(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        return _handle_request_error(_body_too_large_error())
    response = _handle_request_error(request_error(error.code, error.description))
    response.headers.extend((name, value) for name, value in error.get_headers() if name == "Allow")
    return response


@bp.app_errorhandler(PredictionLogError)
def _handle_log_write_error(error: PredictionLogError) -> Response:
    current_app.logger.error("the log cannot be used: %s", error)
    return _handle_request_error(request_error(503, LOG_UNAVAILABLE_MESSAGE))


@bp.app_errorhandler(Exception)
def _handle_unexpected_error(error: Exception) -> Response:
    current_app.logger.exception("request %s failed", g.asked.id)
    return _handle_request_error(
        request_error(500, f"the service failed; its log has the reason under {g.asked.id}")
    )


def _require_champion() -> Champion:
    champion = champion_loader().current()
    if champion is None:
        raise request_error(503, NO_CHAMPION_MESSAGE)
    return champion


def _body_too_large_error() -> RequestError:
    limit = current_app.config["MAX_CONTENT_LENGTH"]
    return request_error(413, f"the body is larger than {limit:,} bytes; send it in parts")


def _query_integer(name: str, default: int | None, minimum: int, maximum: int) -> int | None:
    given = request.args.get(name)
    if given is None:
        return default
    if not (re.fullmatch("[0-9]{1,9}", given) and minimum <= int(given) <= maximum):
        raise request_error(
            422, f"{name} is {given[:60]!r}, expected a number from {minimum} to {maximum:,}"
        )
    return int(given)


def _log_row_as_json(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the log, its texts of JSON parsed, its prices in dollars too."""
    row = row | {
        "input": _parse_json_or_text(row["input"]),
        "warnings": json.loads(row["warnings"] or "[]"),
    }
    for one in ("prediction", "low", "high"):
        row[f"{one}_usd"] = None if row[one] is None else round(row[one] * USD_PER_UNIT, 2)
    return {name: row[name] for name in LoggedPredictionDetail.model_fields if name in row}


def _parse_json_or_text(text: str | None) -> Any:
    """What JSON says; the body of a refused request may be none, or no strict JSON: then it stays
    a text."""
    try:
        value = orjson.loads(text) if text else None
        json.dumps([[[value]]])  # as deep as it will lie in an answer
        return value
    except (ValueError, RecursionError):
        return text


@cache
def _mlflow_version() -> str:
    for name in ("mlflow", "mlflow-skinny"):
        try:
            return version(name)
        except PackageNotFoundError:
            pass
    return ""


def _flask_response(http_response: HttpResponse) -> Response:
    response = Response(
        http_response.body, http_response.status, content_type=http_response.media_type
    )
    response.headers.extend(http_response.headers)
    return response


def _json_response(content: Any) -> Response:
    return Response(json.dumps(content), content_type=JSON_MEDIA_TYPE)
