"""POST /invocations: the scoring protocol of MLflow, so that a client of `mlflow models serve`
moves by changing the address. The same checks, log and model as behind /predict.

Source: MLflow's documentation, "Local Inference Server", protocol of MLflow 2 and 3.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson

from app.codecs import json_body, tables
from app.codecs.predict import ParsedRequest, PredictionBatch
from app.messages import JSON_MEDIA_TYPE, HttpRequest, HttpResponse, json_response
from app.problem_details import RequestError, check_row_count, request_error
from housing.schema import FEATURE_NAMES

INPUT_KEYS = ("dataframe_split", "dataframe_records", "instances", "inputs")
MLFLOW_ERROR_CODES = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL_ERROR",
         503: "TEMPORARILY_UNAVAILABLE"}  # fmt: skip


def decode_request(request: HttpRequest, max_rows: int, max_table_rows: int) -> ParsedRequest:
    """The rows of a request; columns that the model has not are left out. Raises Refused."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in (tables.CSV_MEDIA_TYPE, tables.PARQUET_MEDIA_TYPE):
        return ParsedRequest(
            tables.read(kind, request.body, max_table_rows, allow_extra_columns=True)
        )
    if kind != JSON_MEDIA_TYPE:
        sent = kind[:60] or "nothing"
        expected = ", ".join([JSON_MEDIA_TYPE, tables.CSV_MEDIA_TYPE, tables.PARQUET_MEDIA_TYPE])
        raise request_error(415, f"the content type is {sent!r}, expected one of {expected}")
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as wrong:
        raise request_error(400, f"the body is not JSON: {str(wrong)[:200]}") from None
    found = [one for one in INPUT_KEYS if isinstance(body, dict) and one in body]
    if len(found) != 1:
        raise request_error(
            400, f"expected a JSON object with exactly one of {', '.join(INPUT_KEYS)}"
        )
    rows = _to_feature_array(*_split_names_and_rows(found[0], body[found[0]]), max_rows)
    json_body.check_ranges(rows)
    return ParsedRequest(rows)


def encode_response(_parsed_request: ParsedRequest, batch: PredictionBatch) -> HttpResponse:
    """The predictions in $100,000, as the model itself gives them, byte by byte as MLflow does."""
    text = json.dumps({"predictions": batch.predictions[:, 0].tolist()})
    return HttpResponse(200, JSON_MEDIA_TYPE, text.encode())


def encode_error(_request: HttpRequest, error: RequestError) -> HttpResponse:
    """A problem as MLflow tells it; what is wrong with a value is 400 there."""
    status = 400 if error.status == 422 else error.status
    code = MLFLOW_ERROR_CODES.get(status, "BAD_REQUEST")
    made = json_response({"error_code": code, "message": str(error)}, status)
    made.headers += error.headers
    return made


def _split_names_and_rows(input_key: str, content: Any) -> tuple[list[str], list[Any]]:
    """The names, and for each row its values in their order. Raises Refused."""
    if input_key == "dataframe_split":
        if not isinstance(content, dict) or not {"columns", "data"} <= set(content):
            raise request_error(400, "dataframe_split is no object with columns and data")
        return content["columns"], content["data"]
    if isinstance(content, dict):  # a list for each column, or one value for each
        values = [one if isinstance(one, list) else [one] for one in content.values()]
        if len({len(one) for one in values}) > 1:
            raise request_error(400, f"the columns of {input_key} are not of one length")
        return list(content), [list(row) for row in zip(*values, strict=True)]
    if not isinstance(content, list) or not content:
        raise request_error(400, f"{input_key} is no list of rows")
    for at, row in enumerate(content):  # rows without names are refused there, too
        if not isinstance(row, dict) or not set(FEATURE_NAMES) <= set(row):
            raise request_error(
                400, f"row {at} of {input_key} lacks one of {', '.join(FEATURE_NAMES)}"
            )
    return FEATURE_NAMES, [[one[name] for name in FEATURE_NAMES] for one in content]


def _to_feature_array(column_names: Any, rows: Any, max_rows: int) -> np.ndarray:
    """(n, 8) numbers in the order of `schema.NAMES`. Raises Refused."""
    if not isinstance(column_names, list) or not isinstance(rows, list):
        raise request_error(400, "columns and data are no lists")
    lacking = [name for name in FEATURE_NAMES if column_names.count(name) != 1]
    if lacking:
        raise request_error(400, f"the columns lack {', '.join(lacking)}, or have them twice")
    check_row_count(len(rows), max_rows)
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(column_names):
            raise request_error(400, f"row {at} is no list of {len(column_names)} values")
    order = [column_names.index(name) for name in FEATURE_NAMES]
    picked = [[row[place] for place in order] for row in rows]
    for at, row in enumerate(picked):
        for name, value in zip(FEATURE_NAMES, row, strict=True):
            if type(value) not in (int, float):
                sent = {list: "a list", dict: "an object"}.get(type(value)) or json.dumps(value)[
                    :60
                ]
                raise request_error(400, f"row {at}: {name} is {sent}, expected a number")
    try:
        return np.array(picked, float)
    except OverflowError:
        raise request_error(400, "a number is larger than a double can hold") from None


def _describe_value(value: Any) -> str:
    """A value as JSON, cut short; what may lie too deep to be written is not looked into."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    return json.dumps(value)[:60]
