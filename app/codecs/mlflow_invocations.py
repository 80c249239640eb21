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
from app.codecs.predict import Found, Rows
from app.messages import JSON, Asked, Reply, reply
from app.problem_details import Refused, check_count, refused
from housing.schema import NAMES

KEYS = ("dataframe_split", "dataframe_records", "instances", "inputs")
CODES = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL_ERROR",
         503: "TEMPORARILY_UNAVAILABLE"}  # fmt: skip


def read(asked: Asked, most_rows: int, most_table_rows: int) -> Rows:
    """The rows of a request; columns that the model has not are left out. Raises Refused."""
    kind = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in (tables.CSV, tables.PARQUET):
        return Rows(tables.read(kind, asked.body, most_table_rows, more=True))
    if kind != JSON:
        sent = kind[:60] or "nothing"
        expected = ", ".join([JSON, tables.CSV, tables.PARQUET])
        raise refused(415, f"the content type is {sent!r}, expected one of {expected}")
    try:
        body = orjson.loads(asked.body)
    except orjson.JSONDecodeError as wrong:
        raise refused(400, f"the body is not JSON: {str(wrong)[:200]}") from None
    found = [one for one in KEYS if isinstance(body, dict) and one in body]
    if len(found) != 1:
        raise refused(400, f"expected a JSON object with exactly one of {', '.join(KEYS)}")
    rows = _numbers(*_columns(found[0], body[found[0]]), most_rows)
    json_body.check_ranges(rows)
    return Rows(rows)


def write(_rows: Rows, found: Found) -> Reply:
    """The predictions in $100,000, as the model itself gives them, byte by byte as MLflow does."""
    text = json.dumps({"predictions": found.values[:, 0].tolist()})
    return Reply(200, JSON, text.encode())


def refuse(_asked: Asked, why: Refused) -> Reply:
    """A problem as MLflow tells it; what is wrong with a value is 400 there."""
    status = 400 if why.status == 422 else why.status
    code = CODES.get(status, "BAD_REQUEST")
    made = reply({"error_code": code, "message": str(why)}, status)
    made.headers += why.headers
    return made


def _columns(key: str, given: Any) -> tuple[list[str], list[Any]]:
    """The names, and for each row its values in their order. Raises Refused."""
    if key == "dataframe_split":
        if not isinstance(given, dict) or not {"columns", "data"} <= set(given):
            raise refused(400, "dataframe_split is no object with columns and data")
        return given["columns"], given["data"]
    if isinstance(given, dict):  # a list for each column, or one value for each
        values = [one if isinstance(one, list) else [one] for one in given.values()]
        if len({len(one) for one in values}) > 1:
            raise refused(400, f"the columns of {key} are not of one length")
        return list(given), [list(row) for row in zip(*values, strict=True)]
    if not isinstance(given, list) or not given:
        raise refused(400, f"{key} is no list of rows")
    for at, row in enumerate(given):  # rows without names are refused there, too
        if not isinstance(row, dict) or not set(NAMES) <= set(row):
            raise refused(400, f"row {at} of {key} lacks one of {', '.join(NAMES)}")
    return NAMES, [[one[name] for name in NAMES] for one in given]


def _numbers(names: Any, rows: Any, most_rows: int) -> np.ndarray:
    """(n, 8) numbers in the order of `schema.NAMES`. Raises Refused."""
    if not isinstance(names, list) or not isinstance(rows, list):
        raise refused(400, "columns and data are no lists")
    lacking = [name for name in NAMES if names.count(name) != 1]
    if lacking:
        raise refused(400, f"the columns lack {', '.join(lacking)}, or have them twice")
    check_count(len(rows), most_rows)
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise refused(400, f"row {at} is no list of {len(names)} values")
    order = [names.index(name) for name in NAMES]
    picked = [[row[place] for place in order] for row in rows]
    for at, row in enumerate(picked):
        for name, value in zip(NAMES, row, strict=True):
            if type(value) not in (int, float):
                sent = {list: "a list", dict: "an object"}.get(type(value)) or json.dumps(value)[
                    :60
                ]
                raise refused(400, f"row {at}: {name} is {sent}, expected a number")
    try:
        return np.array(picked, float)
    except OverflowError:
        raise refused(400, "a number is larger than a double can hold") from None


def _named(value: Any) -> str:
    """A value as JSON, cut short; what may lie too deep to be written is not looked into."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    return json.dumps(value)[:60]
