"""The routes."""

import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import numpy as np
from flask import Blueprint, Response, current_app, g, render_template, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app import contract, openapi
from app.champion import Champion, copy
from app.contract import Refused, refused
from app.log import Entry, Unlogged, log
from app.metrics import CONTENT_TYPE, metrics
from housing.explain import PLAYERS
from housing.schema import FEATURES, USD

HOW_TO_GET_ONE = "there is no champion yet: `make run` trains and registers one"
SAMPLE_NOTICE = "answered by a model trained on a GENERATED SAMPLE, not on real data"
KEPT = 2_000  # characters of a refused body that the log keeps

bp = Blueprint("service", __name__)


@bp.before_app_request
def _name_the_request() -> None:
    g.id, g.asked_at = uuid.uuid4().hex, datetime.now(UTC).isoformat(timespec="milliseconds")


@bp.post("/predict")
def predict() -> Response:
    """House values for one block group or a list of them; logged before they leave."""
    champion = _champion()
    rows, as_list = contract.parse(_body(), current_app.config["MAX_ROWS"])
    explain = contract.explained(request.args.get("explain"))
    answers = _answers(champion, contract.matrix(rows), explain)
    about, latency = champion.about, _latency()
    log().write(
        [
            Entry(one["id"], g.id, g.asked_at, 200, row.model_dump_json(), one["prediction"],
                  about["name"], about["version"], latency, None, one.get("low"), one.get("high"),
                  json.dumps(one["warnings"]), about["run_id"])
            for one, row in zip(answers, rows, strict=True)
        ]
    )  # fmt: skip
    seen = metrics().predictions.labels(about["name"], about["version"])
    for one in answers:
        seen.observe(one["prediction_usd"])
    return _json({"predictions": answers} if as_list else answers[0])


def _champion() -> Champion:
    champion = copy().current()
    if champion is None:
        raise refused(503, HOW_TO_GET_ONE)
    return champion


def _body() -> bytes:
    if request.mimetype != "application/json":
        sent = request.content_type or "nothing"
        raise refused(415, f"the content type is {sent[:60]!r}, expected application/json")
    return request.get_data()


def _answers(champion: Champion, rows: np.ndarray, explain: bool) -> list[dict[str, Any]]:
    about, warnings = champion.about, champion.warnings(rows)
    answers = []
    for place, (value, *ends) in enumerate(champion.predict(rows).tolist()):
        answer = {"id": f"{g.id}-{place}", "prediction": value}
        answer |= {"prediction_usd": round(value * USD, 2)}
        for name, end in zip(("low", "high"), ends, strict=False):
            answer |= {name: end, f"{name}_usd": round(end * USD, 2)}
        answer |= {"model": about["name"], "model_version": about["version"]}
        answer |= {"warnings": warnings[place]}
        if about["source"] == "sample":
            answer |= {"notice": SAMPLE_NOTICE}
        answers.append(answer)
    if explain:
        _explain(champion, rows, answers)
    return answers


def _explain(champion: Champion, rows: np.ndarray, answers: list[dict[str, Any]]) -> None:
    """Adds to the first answers what they are made of."""
    if champion.domain is None:
        version = champion.about["version"]
        raise refused(422, f"version {version} was registered without what explains its answers")
    added, base = champion.contributions(rows[: contract.MOST_EXPLAINED])
    for answer, values in zip(answers, added.tolist(), strict=False):
        told = dict(zip(PLAYERS, values, strict=True))
        answer |= {"base_usd": base, "contributions_usd": told}


@bp.get("/predictions/<name>")
def logged(name: str) -> Response:
    """An answer as it was logged, and what stands behind the model that gave it."""
    row = log().find(name)
    if row is None:
        raise refused(404, f"no answer {name[:60]!r} is in the log")
    version = "model_name", "model_version", "run_id"
    behind = copy().about(*(row[one] for one in version)) if row["model_name"] else None
    row["input"] = _parsed(row["input"])
    row["warnings"] = json.loads(row["warnings"] or "[]")
    for one in ("prediction", "low", "high"):
        row[f"{one}_usd"] = None if row[one] is None else round(row[one] * USD, 2)
    return _json(row | {"lineage": behind})


def _parsed(text: str | None) -> Any:
    """The body of a refused request may be no JSON: then it stays a text."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def _latency() -> float:
    return round((time.perf_counter() - g.started) * 1000, 3)


@bp.get("/health")
def health() -> Response:
    """Is the process alive?"""
    return _json({"status": "alive"})


@bp.get("/ready")
def ready() -> Response:
    """Can it answer: a model is loaded and the log can be written."""
    champion = _champion()
    log().check()
    about = {"status": "ready", "model": champion.about["name"]}
    about["model_version"] = champion.about["version"]
    return _json(about | ({"problem": copy().problem} if copy().problem else {}))


@bp.get("/model")
def model() -> Response:
    """What serves: name, version, alias, run, data source, metrics, report, commit."""
    return _json(_champion().about)


@bp.get("/metrics")
def scrape() -> Response:
    """For Prometheus."""
    champion = copy().current()
    page = metrics().page(champion.about if champion else None)
    return Response(page, content_type=CONTENT_TYPE)


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
    """A form to ask with."""
    champion = copy().current()
    return render_template(
        "page.html",
        features=FEATURES,
        about=champion.about if champion else None,
        how_to_get_one=HOW_TO_GET_ONE,
        notice=SAMPLE_NOTICE,
        usd=USD,
    )


@bp.app_errorhandler(Refused)
def _refuse(why: Refused) -> Response:
    return _problem(why)


@bp.app_errorhandler(HTTPException)
def _refuse_http(why: HTTPException) -> Response:
    sentence = why.description
    if isinstance(why, RequestEntityTooLarge):
        limit = current_app.config["MAX_CONTENT_LENGTH"]
        sentence = f"the body is larger than {limit:,} bytes; send the rows in several requests"
    response = _problem(refused(why.code, sentence))
    response.headers.extend((name, value) for name, value in why.get_headers() if name == "Allow")
    return response


@bp.app_errorhandler(Unlogged)
def _refuse_unlogged(why: Unlogged) -> Response:
    current_app.logger.error("the log cannot be written: %s", why)
    sentence = "the log cannot be written, and no answer leaves unlogged; try again later"
    return _problem(refused(503, sentence), told=False)


@bp.app_errorhandler(Exception)
def _refuse_ours(why: Exception) -> Response:
    current_app.logger.exception("request %s failed", g.id)
    return _problem(refused(500, f"the service failed; its log has the reason under {g.id}"))


def _problem(why: Refused, told: bool = True) -> Response:
    """The answer to a refused request; one to /predict is logged like every other."""
    if told and request.path == "/predict":
        sentences = str(why)[:KEPT]
        entry = Entry(
            g.id, g.id, g.asked_at, why.status, _received(), None, None, None, _latency(), sentences
        )
        try:
            log().write([entry])
        except Unlogged as failed:
            return _refuse_unlogged(failed)
    content = contract.Problem(
        title=str(why.errors[0].problem), status=why.status, id=g.id, errors=why.errors
    )
    return Response(content.model_dump_json(), why.status, content_type="application/problem+json")


def _received() -> str | None:
    """The beginning of the body, as text; None if it was too large to be read."""
    try:
        return request.get_data()[:KEPT].decode(errors="replace")
    except RequestEntityTooLarge:
        return None


def _json(content: Any) -> Response:
    return Response(json.dumps(content), content_type="application/json")
