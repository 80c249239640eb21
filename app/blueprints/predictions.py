"""Routes that predict house values, and that show the predictions in the log."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from flask import Blueprint, Response, current_app, g, request

from app.blueprints.responses import flask_response, json_response, read_body
from app.codecs.feedback_models import LoggedTruth
from app.codecs.json_body import (
    DEFAULT_RECENT_PREDICTIONS,
    MAX_HTTP_STATUS,
    MAX_RECENT_PREDICTIONS,
    MIN_HTTP_STATUS,
    LoggedPredictionDetail,
)
from app.model.champion import champion_loader
from app.prediction_log.writer import prediction_log
from app.prediction_service import PredictionService
from app.problem_details import request_error
from housing.inference.training_domain import is_interval_calibrated
from housing.prediction_log import shadow_answers
from housing.prediction_log.feedback import FeedbackEntry, read_current_truths, read_history
from housing.prediction_log.table import LogEntry
from housing.schema import USD_PER_UNIT

# Python's own parser, by which many clients read a response, fails at 1,000 levels, and earlier
# where it is called from deep within a program
MAX_NESTED_LEVELS = 500

bp = Blueprint("predictions", __name__)


@bp.post("/predict")
@bp.post("/invocations")
def create_prediction() -> Response:
    """Predict the house values of one block group or a list, and log them before they are sent.

    Under `python -m app` the ASGI application answers these two paths in batches, by the same
    service.
    """
    service: PredictionService = current_app.extensions["service"]
    g.http_request.body = read_body()
    return flask_response(service.predict_batch([g.http_request])[0])


@bp.get("/predictions")
def list_predictions() -> Response:
    """Return the last requests for predictions, answered or rejected, newest first."""
    limit = _query_integer("limit", 1, MAX_RECENT_PREDICTIONS)
    status = _query_integer("status", MIN_HTTP_STATUS, MAX_HTTP_STATUS)
    entries = prediction_log().find_recent(
        DEFAULT_RECENT_PREDICTIONS if limit is None else limit,
        status,
        request.args.get("request_id"),
    )
    with prediction_log().reading_connection() as connection:
        truths = read_current_truths(connection, [entry.id for entry in entries])
    return json_response(
        {"predictions": [_entry_as_json(entry, truths.get(entry.id)) for entry in entries]}
    )


@bp.get("/predictions/<name>")
def get_prediction(name: str) -> Response:
    """Return a prediction as it was logged, its true value and the lineage of its model."""
    entry = prediction_log().find(name)
    if entry is None:
        raise request_error(404, f"no answer {name[:60]!r} is in the log")
    lineage = None
    if entry.model_name and entry.model_version:
        lineage = champion_loader().find_lineage(
            entry.model_name, entry.model_version, entry.run_id
        )
    with prediction_log().reading_connection() as connection:
        history = read_history(connection, name)
    truth = history[-1].truth if history else None
    details = {
        "feedback": [_truth_as_json(value) for value in history],
        "lineage": lineage,
        "shadow": _find_shadow_answers(entry.id),
    }
    return json_response(_entry_as_json(entry, truth) | details)


def _find_shadow_answers(prediction_id: str) -> list[dict[str, Any]]:
    """Return what challengers answered; nothing if that cannot be read: it is not essential."""
    file = shadow_answers.shadow_path(Path(current_app.config["DATABASE"]))
    with suppress(sqlite3.Error):
        return [
            {name: value for name, value in answer._asdict().items() if name != "prediction_id"}
            | {"prediction_usd": _to_usd(answer.prediction)}
            for answer in shadow_answers.find(file, prediction_id)
        ]
    return []


def _query_integer(name: str, minimum: int, maximum: int) -> int | None:
    """Return a query parameter, None if it is absent. Raises RequestError (422) if invalid."""
    text = request.args.get(name)
    if text is None:
        return None
    if not (re.fullmatch("[0-9]{1,9}", text) and minimum <= int(text) <= maximum):
        raise request_error(
            422, f"{name} is {text[:60]!r}, expected a number from {minimum} to {maximum:,}"
        )
    return int(text)


def _truth_as_json(value: FeedbackEntry) -> dict[str, Any]:
    content = value._asdict() | {"truth_usd": _to_usd(value.truth)}
    return {name: content[name] for name in LoggedTruth.model_fields}


def _to_usd(value: float | None) -> float | None:
    return None if value is None else round(value * USD_PER_UNIT, 2)


def _entry_as_json(entry: LogEntry, truth: float | None) -> dict[str, Any]:
    """Return a row of the log with its JSON texts parsed, and its house values in dollars too.

    truth: the current true value, in $100,000.
    """
    content = entry._asdict() | {
        "truth": truth,
        "input": _parse_json_or_text(entry.input),
        "warnings": json.loads(entry.warnings or "[]"),
    }
    for column in ("prediction", "low", "high", "truth"):
        content[f"{column}_usd"] = _to_usd(content[column])
    has_interval = entry.low is not None
    content["interval_calibrated"] = (
        is_interval_calibrated(content["warnings"]) if has_interval else None
    )
    return {name: content[name] for name in LoggedPredictionDetail.model_fields if name in content}


def _parse_json_or_text(text: str | None) -> Any:
    """Return the value of a JSON text; the text itself if it is not strict JSON.

    The body of a rejected request may be any text.
    """
    try:
        value = orjson.loads(text) if text else None
    except ValueError:
        return text
    return text if _is_nested_deeper(value, MAX_NESTED_LEVELS) else value


def _is_nested_deeper(value: Any, levels: int) -> bool:
    """Return whether a JSON value has lists or objects in each other on more than these levels."""
    values = [value]
    for _ in range(levels):
        values = [child for parent in values for child in _children(parent)]
    return bool(values)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
