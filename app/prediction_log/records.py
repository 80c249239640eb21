"""What the log keeps of a request: a row for each prediction, and one line of JSON for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from app.codecs.predict import ParsedRequest, PredictionBatch
from app.messages import HttpRequest
from app.problem_details import RequestError
from housing.prediction_log.table import LogEntry
from housing.schema import FEATURE_NAMES

MAX_LOGGED_PATH_CHARS = 500
MAX_LOGGED_BODY_CHARS = 2_000  # of a refused body, and of its problem
# a JSON object of the features; the values are inserted as text
INPUT_TEMPLATE = "{" + ",".join(f'"{name}":%s' for name in FEATURE_NAMES) + "}"


def prediction_entries(
    request: HttpRequest, parsed_request: ParsedRequest, batch: PredictionBatch
) -> list[LogEntry]:
    """Return the rows of a request's predictions."""
    model_info, latency_ms = batch.model_info, request.latency_ms()
    # the numbers of all rows at once, as text: [[1,2],[3,4]]
    numbers = orjson.dumps(parsed_request.features, option=orjson.OPT_SERIALIZE_NUMPY)
    rows = numbers[2:-2].decode().split("],[")
    entries = []
    for prediction_id, row, values, warnings in zip(
        batch.ids, rows, batch.predictions.tolist(), batch.warnings, strict=True
    ):
        input_json = INPUT_TEMPLATE % tuple(row.split(","))
        low, high = values[1:] if len(values) == 3 else (None, None)
        warnings_json = orjson.dumps(warnings).decode() if warnings else "[]"
        # by position: with names a row takes half a microsecond longer
        entries.append(
            LogEntry(
                prediction_id, request.id, request.received_at, 200, input_json, values[0],
                model_info.name, model_info.version, latency_ms, None, low, high, warnings_json,
                model_info.run_id, request.client_request_id, request.traceparent,
                request.api_key_name,
            )
        )  # fmt: skip
    return entries


def error_entry(request: HttpRequest, error: RequestError) -> LogEntry:
    """Return the row of a refused request, with the beginning of its body."""
    body = request.body[:MAX_LOGGED_BODY_CHARS].decode(errors="replace") if request.body else None
    return LogEntry(
        id=request.id,
        request_id=request.id,
        asked_at=request.received_at,
        status=error.status,
        input=body,
        prediction=None,
        model_name=None,
        model_version=None,
        latency_ms=request.latency_ms(),
        problem=str(error)[:MAX_LOGGED_BODY_CHARS],
        caller_id=request.client_request_id,
        traceparent=request.traceparent,
        caller=request.api_key_name,
    )


def prediction_line(
    request: HttpRequest, parsed_request: ParsedRequest, batch: PredictionBatch, entry: LogEntry
) -> bytes:
    """Return the line of a request: its inputs and predictions, in the order of its rows.

    entry: the row of one of the predictions; its status and latency are those of the request.
    """
    fields = {
        "model_name": batch.model_info.name,
        "model_version": batch.model_info.version,
        "run_id": batch.model_info.run_id,
        "input": parsed_request.features,
        "answers": batch.predictions,
        "warnings": batch.warnings,
    }
    return _json_line(request, entry.status, entry.latency_ms, fields)


def error_line(request: HttpRequest, entry: LogEntry) -> bytes:
    """Return the line of a refused request."""
    fields = {"input": entry.input, "problem": entry.problem}
    return _json_line(request, entry.status, entry.latency_ms, fields)


def request_line(
    request: HttpRequest, status: int, fields: Mapping[str, Any] | None = None
) -> bytes:
    """Return the line of a request that has no row: its path, and neither query nor headers.

    fields: what else it says.
    """
    return _json_line(request, status, request.latency_ms(), dict(fields or {}))


def _json_line(
    request: HttpRequest, status: int, latency_ms: float, fields: dict[str, Any]
) -> bytes:
    request_fields = {
        "request_id": request.id,
        "asked_at": request.received_at,
        "status": status,
        "latency_ms": latency_ms,
        "caller_id": request.client_request_id,
        "traceparent": request.traceparent,
        "caller": request.api_key_name,
        "client": request.client_address,
        "method": request.method,
        "path": request.path[:MAX_LOGGED_PATH_CHARS],
    }
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(request_fields | fields, option=options)
