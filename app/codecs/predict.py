"""POST /predict: decoding a body into rows, and encoding predictions as a response."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import numpy as np
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from app.codecs import json_body, json_text, tables
from app.messages import (
    JSON_MEDIA_TYPE,
    MAX_PARSED_HEADER_CHARS,
    PROBLEM_MEDIA_TYPE,
    HttpRequest,
    HttpResponse,
    json_response,
)
from app.model.local_copy import ModelInfo
from app.problem_details import ProblemDetails, RequestError, request_error, shorten
from housing.inference.shapley import FEATURE_GROUPS
from housing.inference.training_domain import is_interval_calibrated

SAMPLE_NOTICE = "answered by a model trained on a GENERATED SAMPLE, not on real data"
MAX_QUERY_FIELDS = 100
# names of RFC 9110, where those of older Pythons differ
REASON_PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}


class ParsedRequest(NamedTuple):
    """The rows to predict, and how to respond."""

    features: np.ndarray  # (n, 8) in the order of `schema.FEATURE_NAMES`
    as_list: bool = True  # whether the response is a list, even of one
    explain: bool = False
    response_media_type: str = JSON_MEDIA_TYPE


class PredictionBatch(NamedTuple):
    """The predictions of a model for the rows of one request."""

    model_info: ModelInfo
    predictions: np.ndarray  # (n, 1) in $100,000, or (n, 3) with the ends of the interval
    predictions_usd: np.ndarray  # the same in dollars
    warnings: list[list[str]]
    ids: list[str]
    contributions: tuple[np.ndarray, float] | None = None  # as `Champion.contributions` returns it


def decode_request(request: HttpRequest, max_rows: int, max_table_rows: int) -> ParsedRequest:
    """Return the rows of a request. Raises RequestError."""
    explain = _wants_explanation(request.query_string)
    media_type = tables.supported_media_type(request.headers.get("content-type", ""))
    response_media_type = _negotiate_media_type(request.headers.get("accept", ""), media_type)
    respond_with_table = response_media_type != JSON_MEDIA_TYPE
    if respond_with_table:
        tables.require_pyarrow()
    if media_type == JSON_MEDIA_TYPE:
        json_text.convert_to_utf8(request)
        rows, as_list = json_body.parse_block_groups(request.body, max_rows)
    else:
        rows, as_list = tables.decode_table(media_type, request.body, max_table_rows), True
    return ParsedRequest(rows, as_list or respond_with_table, explain, response_media_type)


def encode_response(parsed_request: ParsedRequest, batch: PredictionBatch) -> HttpResponse:
    """Return the predictions in the format that was asked for."""
    media_type = parsed_request.response_media_type
    if media_type != JSON_MEDIA_TYPE:
        return HttpResponse(
            200, media_type, tables.encode_table(media_type, _predictions_as_columns(batch))
        )
    predictions = _predictions_as_json(batch)
    return json_response({"predictions": predictions} if parsed_request.as_list else predictions[0])


def encode_error(request: HttpRequest, error: RequestError) -> HttpResponse:
    """Return the problem details of a refused request (RFC 9457)."""
    problem_details = ProblemDetails(
        title=REASON_PHRASES.get(error.status) or HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.errors[0].problem,
        instance=f"{request.path_prefix}/predictions/{request.id}",
        id=request.id,
        errors=error.errors,
        state=error.model_state,
    )
    absent_fields = None if error.model_state else {"state"}
    body = problem_details.model_dump_json(exclude=absent_fields).encode()
    return HttpResponse(error.status, PROBLEM_MEDIA_TYPE, body, [*error.headers])


def _wants_explanation(query_string: str) -> bool:
    """Return whether the query parameter explain asks for contributions. Raises RequestError."""
    if not query_string:
        return False
    try:
        parameters = parse_qs(query_string, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        raise request_error(422, f"the query has more than {MAX_QUERY_FIELDS} fields") from None
    value = parameters.get("explain", ["false"])[-1]
    if value not in ("true", "false"):
        raise request_error(422, f"explain is {shorten(value)}, expected true or false")
    return value == "true"


def _negotiate_media_type(accept_header: str, request_media_type: str) -> str:
    """Return the format of the response; of those that suit as well, that of the request's body.

    Raises RequestError (406) if the header Accept excludes all.
    """
    if not accept_header or accept_header == "*/*":
        return request_media_type
    media_type = _find_best_media_type(accept_header[:MAX_PARSED_HEADER_CHARS], request_media_type)
    if media_type is None:
        raise request_error(
            406,
            f"Accept is {shorten(accept_header)}, which excludes all of "
            + ", ".join([JSON_MEDIA_TYPE, *tables.TABLE_FORMATS]),
        )
    return media_type


@lru_cache(maxsize=64)
def _find_best_media_type(accept_header: str, request_media_type: str) -> str | None:
    """Return the format that a header Accept wants most (RFC 9110, 12.5.1); None if it wants none.

    If it names nothing that there is, it is disregarded, unless it excludes what is usual, too.
    """
    # a parameter such as charset=utf-8 tells no format from another
    media_ranges = [
        (tables.resolve_media_type(media_range), quality)
        for media_range, quality in parse_accept_header(accept_header)
    ]
    accept = MIMEAccept(media_ranges)
    media_types = dict.fromkeys([request_media_type, JSON_MEDIA_TYPE, *tables.TABLE_FORMATS])
    best_match = accept.best_match(media_types)
    if best_match:
        return best_match
    return next(
        (name for name in (request_media_type, JSON_MEDIA_TYPE) if name not in accept), None
    )


def _predictions_as_json(batch: PredictionBatch) -> list[dict[str, Any]]:
    model_info = batch.model_info
    model_fields = {"model": model_info.name, "model_version": model_info.version}
    notice = {"notice": SAMPLE_NOTICE} if model_info.source == "sample" else {}
    predictions = []
    for prediction_id, values, values_usd, warnings in zip(
        batch.ids,
        batch.predictions.tolist(),
        batch.predictions_usd.tolist(),
        batch.warnings,
        strict=True,
    ):
        prediction = {
            "id": prediction_id, "prediction": values[0], "prediction_usd": values_usd[0]
        }  # fmt: skip
        if len(values) == 3:
            prediction |= {"low": values[1], "low_usd": values_usd[1],
                           "high": values[2], "high_usd": values_usd[2],
                           "interval_calibrated": is_interval_calibrated(warnings)}  # fmt: skip
        prediction |= model_fields
        prediction["warnings"] = warnings
        prediction |= notice
        predictions.append(prediction)
    if batch.contributions:
        contributions, base_usd = batch.contributions
        # only the first rows of a long list are explained
        for prediction, row in zip(predictions, contributions.tolist(), strict=False):
            by_feature = dict(zip(FEATURE_GROUPS, row, strict=True))
            prediction |= {"base_usd": base_usd, "contributions_usd": by_feature}
    return predictions


def _predictions_as_columns(batch: PredictionBatch) -> dict[str, Any]:
    """Return the predictions by column, for a table."""
    row_count = len(batch.ids)
    columns: dict[str, Any] = {"id": batch.ids}
    for name, values, values_usd in zip(
        ("prediction", "low", "high"), batch.predictions.T, batch.predictions_usd.T, strict=False
    ):
        columns |= {name: values, f"{name}_usd": values_usd}
    if "low" in columns:
        columns["interval_calibrated"] = [*map(is_interval_calibrated, batch.warnings)]
    columns["model"] = [batch.model_info.name] * row_count
    columns["model_version"] = [batch.model_info.version] * row_count
    columns["warnings"] = batch.warnings
    if batch.model_info.source == "sample":
        columns["notice"] = [SAMPLE_NOTICE] * row_count
    if batch.contributions:
        contributions, base_usd = batch.contributions
        columns["base_usd"] = [base_usd] * row_count
        unexplained = [None] * (row_count - len(contributions))
        for name, values in zip(FEATURE_GROUPS, contributions.T, strict=True):
            columns[f"contribution_{name}_usd"] = [*values.tolist(), *unexplained]
    return columns
