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
from app.codecs.json_body import Logged
from app.codecs.predict import SAMPLE_NOTICE
from app.messages import JSON, Asked, Reply
from app.metrics.metrics import CONTENT_TYPE, metrics
from app.model.champion import Champion, copy
from app.prediction_log.writer import Unlogged, log
from app.prediction_service import HOW_TO_GET_ONE, PROTOCOLS, UNLOGGED, Service
from app.problem_details import Refused, refused
from housing.schema import FEATURES, USD

TEXT = "text/plain; charset=utf-8"
MOST_RECENT = 1_000  # rows of GET /predictions

bp = Blueprint("service", __name__)


@bp.before_app_request
def _name_the_request() -> None:
    told = {name.lower(): value for name, value in request.headers.items()}
    query = request.query_string.decode("latin-1")
    g.asked = Asked(request.method, request.path, query, told, b"", request.remote_addr or "")


@bp.after_app_request
def _count(response: Response) -> Response:
    """Counts and names every request but those that the service itself has counted."""
    if request.path in PROTOCOLS and request.method == "POST":
        return response
    endpoint = request.url_rule.rule if request.url_rule else "unknown"
    metrics().count("housing_requests", endpoint, str(response.status_code))
    metrics().observe("housing_request_seconds", g.asked.latency() / 1000, endpoint)
    size = response.calculate_content_length() or 0
    current_app.extensions["access"].write([(g.asked, response.status_code, size)])
    for name, value in g.asked.traces():
        response.headers[name] = value
    return response


@bp.post("/predict")
@bp.post("/invocations")
def ask() -> Response:
    """House values for one block group or a list of them; logged before they leave.

    Under `python -m app` the door answers these two itself, in groups, by the same service.
    """
    service: Service = current_app.extensions["service"]
    g.asked.caller = g.caller
    try:
        g.asked.body = request.get_data()
    except RequestEntityTooLarge:
        return _response(service.refuse(g.asked, _too_large()))
    return _response(service.answer([g.asked])[0])


@bp.get("/predictions")
def recent() -> Response:
    """The last answers and refusals, newest first."""
    limit = _number("limit", 20, 1, MOST_RECENT)
    status = _number("status", None, 100, 599)
    rows = log().recent(limit, status, request.args.get("request_id"))
    return _json({"predictions": [_told(one) for one in rows]})


@bp.get("/predictions/<name>")
def logged(name: str) -> Response:
    """An answer as it was logged, and what stands behind the model that gave it."""
    row = log().find(name)
    if row is None:
        raise refused(404, f"no answer {name[:60]!r} is in the log")
    known = "model_name", "model_version", "run_id"
    behind = copy().about(*(row[one] for one in known)) if row["model_name"] else None
    return _json(_told(row) | {"lineage": behind})


@bp.get("/health")
def health() -> Response:
    """Is the process alive?"""
    return _json({"status": "alive"})


@bp.get("/ping")
def ping() -> Response:
    """The same as MLflow's scoring server says it: 404 while there is no model."""
    return Response("\n", 200 if copy().current() else 404, content_type=TEXT)


@bp.get("/version")
def protocol_version() -> Response:
    """Which MLflow's scoring protocol is spoken: what a client of it asks for."""
    return Response(_mlflow(), content_type=TEXT)


@bp.get("/ready")
def ready() -> Response:
    """Can it answer: a model is loaded and the log can be written."""
    champion, registry = _champion(), copy().registry()
    log().check()
    about = {"status": "ready", "model": champion.about["name"]}
    about["model_version"] = champion.about["version"]
    if copy().problem:
        about["problem"] = copy().problem
    if "problem" in registry:
        about["registry"] = f"not reached since {registry['since']}: the local copy answers"
    if registry.get("baked"):
        about["registry"] = "not followed: the model came with the image"
    return _json(about)


@bp.get("/model")
def model() -> Response:
    """What serves: name, version, alias, run, data source, metrics, report, commit."""
    return _json(_champion().about)


@bp.get("/metrics")
def scrape() -> Response:
    """For Prometheus."""
    return Response(metrics().page(), content_type=CONTENT_TYPE)


@bp.get("/openapi.json")
def document() -> Response:
    """The OpenAPI document."""
    return _json(openapi.document())


@bp.get("/docs")
def docs() -> str:
    """The OpenAPI document as a page."""
    return render_template("docs.html", document=openapi.document(), features=FEATURES)


@bp.get("/")
def page() -> str:
    """A map and a form to ask with."""
    champion = copy().current()
    return render_template(
        "page.html",
        features=FEATURES,
        about=champion.about if champion else None,
        map=outline.drawing(champion),
        how_to_get_one=HOW_TO_GET_ONE,
        notice=SAMPLE_NOTICE,
        usd=USD,
    )


@bp.app_errorhandler(Refused)
def _refuse(why: Refused) -> Response:
    if why.status == 429:
        metrics().count("housing_shed_requests", "limit")
    return _response(predict.refuse(g.asked, why))


@bp.app_errorhandler(HTTPException)
def _refuse_http(why: HTTPException) -> Response:
    if isinstance(why, RequestEntityTooLarge):
        return _refuse(_too_large())
    response = _refuse(refused(why.code, why.description))
    response.headers.extend((name, value) for name, value in why.get_headers() if name == "Allow")
    return response


@bp.app_errorhandler(Unlogged)
def _refuse_unlogged(why: Unlogged) -> Response:
    current_app.logger.error("the log cannot be used: %s", why)
    return _refuse(refused(503, UNLOGGED))


@bp.app_errorhandler(Exception)
def _refuse_ours(why: Exception) -> Response:
    current_app.logger.exception("request %s failed", g.asked.id)
    return _refuse(refused(500, f"the service failed; its log has the reason under {g.asked.id}"))


def _champion() -> Champion:
    champion = copy().current()
    if champion is None:
        raise refused(503, HOW_TO_GET_ONE)
    return champion


def _too_large() -> Refused:
    limit = current_app.config["MAX_CONTENT_LENGTH"]
    return refused(413, f"the body is larger than {limit:,} bytes; send it in parts")


def _number(name: str, default: int | None, low: int, high: int) -> int | None:
    given = request.args.get(name)
    if given is None:
        return default
    if not (re.fullmatch("[0-9]{1,9}", given) and low <= int(given) <= high):
        raise refused(422, f"{name} is {given[:60]!r}, expected a number from {low} to {high:,}")
    return int(given)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the log, its texts of JSON parsed, its prices in dollars too."""
    row = row | {"input": _parsed(row["input"]), "warnings": json.loads(row["warnings"] or "[]")}
    for one in ("prediction", "low", "high"):
        row[f"{one}_usd"] = None if row[one] is None else round(row[one] * USD, 2)
    return {name: row[name] for name in Logged.model_fields if name in row}


def _parsed(text: str | None) -> Any:
    """What JSON says; the body of a refused request may be none, or no strict JSON: then it stays
    a text."""
    try:
        value = orjson.loads(text) if text else None
        json.dumps([[[value]]])  # as deep as it will lie in an answer
        return value
    except (ValueError, RecursionError):
        return text


@cache
def _mlflow() -> str:
    for name in ("mlflow", "mlflow-skinny"):
        try:
            return version(name)
        except PackageNotFoundError:
            pass
    return ""


def _response(made: Reply) -> Response:
    response = Response(made.body, made.status, content_type=made.type)
    response.headers.extend(made.headers)
    return response


def _json(content: Any) -> Response:
    return Response(json.dumps(content), content_type=JSON)
