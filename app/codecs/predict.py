"""POST /predict: how a body becomes rows, and rows with their answers become a reply."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qs

import numpy as np

from app.codecs import json_body, tables
from app.messages import (
    JSON_MEDIA_TYPE,
    PROBLEM_MEDIA_TYPE,
    HttpRequest,
    HttpResponse,
    json_response,
)
from app.problem_details import ProblemDetails, RequestError, request_error
from housing.inference.shapley import FEATURE_GROUPS

SAMPLE_NOTICE = "answered by a model trained on a GENERATED SAMPLE, not on real data"
MAX_QUERY_FIELDS = 100  # of a query
REASON_PHRASES = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
           408: "Request Timeout", 411: "Length Required", 413: "Content Too Large",
           415: "Unsupported Media Type", 422: "Unprocessable Content", 429: "Too Many Requests",
           431: "Request Header Fields Too Large",
           500: "Internal Server Error", 503: "Service Unavailable"}  # fmt: skip


class ParsedRequest(NamedTuple):
    """What is asked about."""

    features: np.ndarray  # (n, 8) in the order of `schema.NAMES`
    as_list: bool = True  # whether the answer is a list, even of one
    explain: bool = False
    response_media_type: str = JSON_MEDIA_TYPE  # of the answer


class PredictionBatch(NamedTuple):
    """What a model says to some rows."""

    model_info: dict[str, Any]  # of the model, as `registry.export` writes it
    predictions: np.ndarray  # (n, 1) in $100,000, or (n, 3) with the ends of the interval
    predictions_usd: np.ndarray  # the same in dollars
    warnings: list[list[str]]
    ids: list[str]
    contributions: tuple[np.ndarray, float] | None = None  # as `Champion.contributions` gives it


def decode_request(request: HttpRequest, max_rows: int, max_table_rows: int) -> ParsedRequest:
    """The rows of a request. Raises Refused."""
    explain = wants_explanation(request.query_string)
    given = request.headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    if kind != JSON_MEDIA_TYPE and kind not in tables.TABLE_FORMATS:
        sent = repr(given[:60]) if given else "'nothing'"
        expected = ", ".join([JSON_MEDIA_TYPE, *tables.TABLE_FORMATS])
        raise request_error(415, f"the content type is {sent}, expected one of {expected}")
    wanted = _negotiate_media_type(request.headers.get("accept", ""), kind)
    if wanted != JSON_MEDIA_TYPE:
        tables.require_pyarrow()
    if kind == JSON_MEDIA_TYPE:
        values, as_list = json_body.parse(request.body, max_rows)
        return ParsedRequest(values, as_list or wanted != JSON_MEDIA_TYPE, explain, wanted)
    return ParsedRequest(tables.read(kind, request.body, max_table_rows), True, explain, wanted)


def encode_response(parsed_request: ParsedRequest, batch: PredictionBatch) -> HttpResponse:
    """The answers in the format that was asked for."""
    if parsed_request.response_media_type != JSON_MEDIA_TYPE:
        return HttpResponse(
            200,
            parsed_request.response_media_type,
            tables.write(parsed_request.response_media_type, _predictions_as_columns(batch)),
        )
    answers = _predictions_as_json(batch)
    return json_response({"predictions": answers} if parsed_request.as_list else answers[0])


def encode_error(request: HttpRequest, error: RequestError) -> HttpResponse:
    """The problem details of a refused request (RFC 9457)."""
    found = ProblemDetails(
        title=REASON_PHRASES.get(error.status, "Error"), status=error.status, detail=error.errors[0].problem,
        instance=f"/predictions/{request.id}", id=request.id, errors=error.errors,
    )  # fmt: skip
    return HttpResponse(
        error.status, PROBLEM_MEDIA_TYPE, found.model_dump_json().encode(), [*error.headers]
    )


def wants_explanation(query_string: str) -> bool:
    """Whether the query parameter explain asks for contributions. Raises Refused."""
    if not query_string:
        return False
    try:
        given = parse_qs(query_string, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        raise request_error(422, f"the query has more than {MAX_QUERY_FIELDS} fields") from None
    return json_body.parse_explain_flag(given.get("explain", [None])[-1])


def _negotiate_media_type(accept_header: str, request_media_type: str) -> str:
    """The first format of the header Accept that there is; else the one of the body."""
    for one in accept_header.split(",") if accept_header else ():
        kind = one.partition(";")[0].strip().lower()
        if kind == JSON_MEDIA_TYPE or kind in tables.TABLE_FORMATS:
            return kind
    return request_media_type


def _predictions_as_json(batch: PredictionBatch) -> list[dict[str, Any]]:
    about, answers = batch.model_info, []
    sample = about["source"] == "sample"
    every = {"model": about["name"], "model_version": about["version"]}
    for name, value, dollars, said in zip(
        batch.ids,
        batch.predictions.tolist(),
        batch.predictions_usd.tolist(),
        batch.warnings,
        strict=True,
    ):
        answer = {"id": name, "prediction": value[0], "prediction_usd": dollars[0]}
        if len(value) == 3:
            answer |= {"low": value[1], "low_usd": dollars[1],
                       "high": value[2], "high_usd": dollars[2]}  # fmt: skip
        answer |= every
        answer["warnings"] = said
        if sample:
            answer["notice"] = SAMPLE_NOTICE
        answers.append(answer)
    if batch.contributions:
        values, base = batch.contributions
        for answer, added in zip(answers, values.tolist(), strict=False):
            told = dict(zip(FEATURE_GROUPS, added, strict=True))
            answer |= {"base_usd": base, "contributions_usd": told}
    return answers


def _predictions_as_columns(batch: PredictionBatch) -> dict[str, Any]:
    """The answers column by column, for a table."""
    columns: dict[str, Any] = {"id": batch.ids}
    names = "prediction", "low", "high"
    for name, values, usd in zip(names, batch.predictions.T, batch.predictions_usd.T, strict=False):
        columns |= {name: values, f"{name}_usd": usd}
    many = len(batch.ids)
    columns |= {"model": [batch.model_info["name"]] * many}
    columns |= {"model_version": [batch.model_info["version"]] * many}
    columns |= {"warnings": batch.warnings}
    if batch.model_info["source"] == "sample":
        columns |= {"notice": [SAMPLE_NOTICE] * many}
    if batch.contributions:
        values, base = batch.contributions
        columns["base_usd"] = [base] * many
        for name, added in zip(FEATURE_GROUPS, values.T, strict=True):
            columns[f"contribution_{name}_usd"] = [*added.tolist(), *[None] * (many - len(added))]
    return columns
