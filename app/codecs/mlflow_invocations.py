"""POST /invocations: the scoring protocol of MLflow, so that a client of `mlflow models serve`
moves by changing the address. The same checks, log and model as behind /predict.

Source: MLflow's documentation, "Local Inference Server", protocol of MLflow 2 and 3.
"""

from __future__ import annotations

import json
import math
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import orjson

from app.codecs import json_text, tables, value_checks
from app.codecs.predict import ParsedRequest, PredictionBatch
from app.codecs.value_checks import ParsedTable
from app.messages import JSON_MEDIA_TYPE, HttpRequest, HttpResponse, json_response
from app.problem_details import (
    MAX_REPORTED_ERRORS,
    RequestError,
    check_row_count,
    request_error,
)
from housing.schema import FEATURE_NAMES

INPUT_KEYS = ("dataframe_split", "dataframe_records", "instances", "inputs")
MISSING = object()  # in the place of a value, or of a row, that an input does not have
UNREADABLE_ROW = [math.nan] * len(FEATURE_NAMES)
MAX_QUOTED_CHARS = 60  # of a wrong value that an error repeats
MAX_PARSER_MESSAGE_CHARS = 200
MLFLOW_ERROR_CODES = {
    401: "UNAUTHENTICATED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}


class InputRows(NamedTuple):
    """What a body has as its rows, not yet validated."""

    column_names: Any
    rows: Any
    row_kind: str = ""  # what each row has to be, if not a list of a value for each column


def decode_request(request: HttpRequest, max_rows: int, max_table_rows: int) -> ParsedRequest:
    """Return the rows of a request without the columns that are no features.

    Raises RequestError.
    """
    media_type = tables.resolve_media_type(request.headers.get("content-type", ""))
    if media_type in tables.TABLE_FORMATS:
        return ParsedRequest(
            tables.decode_table(media_type, request.body, max_table_rows, allow_extra_columns=True)
        )
    if media_type != JSON_MEDIA_TYPE:
        actual = media_type[:MAX_QUOTED_CHARS] or "nothing"
        expected = ", ".join([JSON_MEDIA_TYPE, *tables.TABLE_FORMATS])
        raise request_error(415, f"the content type is {actual!r}, expected one of {expected}")
    json_text.convert_to_utf8(request)
    input_key, content = _parse_json_input(request.body)
    table = _parse_rows(_split_names_and_rows(input_key, content, max_rows), max_rows)
    value_checks.check_values(table)
    return ParsedRequest(table.rows)


def encode_response(_parsed_request: ParsedRequest, batch: PredictionBatch) -> HttpResponse:
    """Return the predictions in $100,000 as the model gives them, byte by byte as MLflow does."""
    text = json.dumps({"predictions": batch.predictions[:, 0].tolist()})
    return HttpResponse(200, JSON_MEDIA_TYPE, text.encode())


def encode_error(_request: HttpRequest, error: RequestError) -> HttpResponse:
    """Return an error in MLflow's form, where a wrong value is a 400."""
    status = 400 if error.status == 422 else error.status
    code = MLFLOW_ERROR_CODES.get(status, "BAD_REQUEST")
    response = json_response({"error_code": code, "message": str(error)}, status)
    response.headers += error.headers
    return response


def _parse_json_input(body: bytes) -> tuple[str, Any]:
    """Return the one input key of a body and what it holds. Raises RequestError."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        message = str(error)[:MAX_PARSER_MESSAGE_CHARS]
        raise request_error(400, f"the body is not JSON: {message}") from None
    input_keys = [key for key in INPUT_KEYS if isinstance(content, dict) and key in content]
    if len(input_keys) != 1:
        raise request_error(
            400, f"expected a JSON object with exactly one of {', '.join(INPUT_KEYS)}"
        )
    return input_keys[0], content[input_keys[0]]


def _split_names_and_rows(input_key: str, content: Any, max_rows: int) -> InputRows:
    """Return the names of the columns, and for each row its values in their order.

    Raises RequestError.
    """
    if input_key == "dataframe_split":
        if not isinstance(content, dict) or not {"columns", "data"} <= set(content):
            raise request_error(400, "dataframe_split is not an object with columns and data")
        return InputRows(content["columns"], content["data"])
    if isinstance(content, dict):  # a list for each column, or one value for each
        columns = [value if isinstance(value, list) else [value] for value in content.values()]
        if len({len(column) for column in columns}) > 1:
            raise request_error(400, f"the columns of {input_key} are not of the same length")
        return InputRows(list(content), [list(row) for row in zip(*columns, strict=True)])
    if not isinstance(content, list) or not content:
        raise request_error(400, f"{input_key} is not a list of rows")
    check_row_count(len(content), max_rows)
    rows = [
        [row.get(name, MISSING) for name in FEATURE_NAMES] if isinstance(row, dict) else MISSING
        for row in content  # rows without names are refused, too
    ]
    return InputRows(FEATURE_NAMES, rows, f"an object with {', '.join(FEATURE_NAMES)}")


def _parse_rows(input_rows: InputRows, max_rows: int) -> ParsedTable:
    """Return the numbers in the order of `schema.FEATURE_NAMES`. Raises RequestError."""
    column_names, rows, row_kind = input_rows
    if not isinstance(column_names, list) or not isinstance(rows, list):
        raise request_error(400, "columns and data are not lists")
    wrong_names = [name for name in FEATURE_NAMES if column_names.count(name) != 1]
    if wrong_names:
        raise request_error(400, f"the columns lack {', '.join(wrong_names)}, or have them twice")
    check_row_count(len(rows), max_rows)
    select_features = itemgetter(*[column_names.index(name) for name in FEATURE_NAMES])
    numbers: list[list[float]] = []
    cell_texts: dict[tuple[int, int], str] = {}
    malformed_rows: dict[int, str] = {}
    for index, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(column_names):
            malformed_rows[index] = f"not {row_kind or f'a list of {len(column_names)} values'}"
            numbers.append(UNREADABLE_ROW)
            continue
        values = [*select_features(row)]
        for column, value in enumerate(values):
            if type(value) not in (int, float):
                values[column] = math.nan
                if len(cell_texts) < MAX_REPORTED_ERRORS:
                    cell_texts[index, column] = _describe_value(value)
        numbers.append(values)
    try:
        return ParsedTable(np.array(numbers, float), cell_texts, malformed_rows)
    except OverflowError:
        raise request_error(400, "a number is larger than a double can hold") from None


def _describe_value(value: Any) -> str:
    """Return a value as short JSON; lists and objects, which may be deep, by kind only."""
    if value is MISSING:
        return "missing"
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    return json.dumps(value)[:MAX_QUOTED_CHARS]
