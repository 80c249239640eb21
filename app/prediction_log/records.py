"""What the log keeps of a request: a row for each answer, and one line of JSON for all of them."""

from __future__ import annotations

from typing import Any

import orjson

from app.codecs.predict import ParsedRequest, PredictionBatch
from app.messages import HttpRequest
from app.prediction_log.writer import LogEntry
from app.problem_details import RequestError
from housing.schema import FEATURE_NAMES

MAX_LOGGED_BODY_CHARS = 2_000  # characters of a refused body
INPUT_TEMPLATE = (
    "{" + ",".join(f'"{name}":%s' for name in FEATURE_NAMES) + "}"
)  # numbers come as text


def prediction_entries(
    request: HttpRequest, parsed_request: ParsedRequest, batch: PredictionBatch
) -> list[LogEntry]:
    """The rows of a request's answers."""
    about = batch.model_info
    first = request.id, request.received_at, 200
    every = about["name"], about["version"], request.latency_ms(), None
    last = about["run_id"], request.client_request_id, request.traceparent, request.api_key_name
    # the numbers of all rows at once, as text: [[1,2],[3,4]]
    numbers = orjson.dumps(parsed_request.features, option=orjson.OPT_SERIALIZE_NUMPY)[
        2:-2
    ].decode()
    entries = []
    for name, row, value, said in zip(
        batch.ids, numbers.split("],["), batch.predictions.tolist(), batch.warnings, strict=True
    ):
        given = INPUT_TEMPLATE % tuple(row.split(","))
        low, high = value[1:] if len(value) == 3 else (None, None)
        told = orjson.dumps(said).decode() if said else "[]"
        entries.append(LogEntry(name, *first, given, value[0], *every, low, high, told, *last))
    return entries


def error_entry(request: HttpRequest, error: RequestError) -> LogEntry:
    """The row of a refused request, with the beginning of its body."""
    body = request.body[:MAX_LOGGED_BODY_CHARS].decode(errors="replace") if request.body else None
    first = request.id, request.id, request.received_at, error.status, body
    return LogEntry(
        *first, None, None, None, request.latency_ms(), str(error)[:MAX_LOGGED_BODY_CHARS], caller_id=request.client_request_id,
        traceparent=request.traceparent, caller=request.api_key_name,
    )  # fmt: skip


def prediction_line(
    request: HttpRequest, parsed_request: ParsedRequest, batch: PredictionBatch, entry: LogEntry
) -> bytes:
    """The line of a request: the numbers asked about and the answers, in the order of its rows.

    entry: the row of one of them.
    """
    about = batch.model_info
    model = {"model_name": about["name"], "model_version": about["version"]}
    told = {
        "input": parsed_request.features,
        "answers": batch.predictions,
        "warnings": batch.warnings,
    }
    return _json_line(request, entry, model | {"run_id": about["run_id"]} | told)


def error_line(request: HttpRequest, entry: LogEntry) -> bytes:
    """The line of a refused request."""
    return _json_line(request, entry, {"input": entry.input, "problem": entry.problem})


def _json_line(request: HttpRequest, entry: LogEntry, fields: dict[str, Any]) -> bytes:
    about = {
        "request_id": request.id, "asked_at": request.received_at, "status": entry.status,
        "latency_ms": entry.latency_ms, "caller_id": request.client_request_id,
        "traceparent": request.traceparent, "caller": request.api_key_name,
    }  # fmt: skip
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(about | fields, option=options)
