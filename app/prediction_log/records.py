"""What the log keeps of a request: a row for each answer, and one line of JSON for all of them."""

from __future__ import annotations

from typing import Any

import orjson

from app.codecs.predict import Found, Rows
from app.messages import Asked
from app.prediction_log.writer import Entry
from app.problem_details import Refused
from housing.schema import NAMES

KEPT = 2_000  # characters of a refused body
INPUT = "{" + ",".join(f'"{name}":%s' for name in NAMES) + "}"  # numbers come as text


def answered(asked: Asked, rows: Rows, found: Found) -> list[Entry]:
    """The rows of a request's answers."""
    about = found.about
    first = asked.id, asked.asked_at, 200
    every = about["name"], about["version"], asked.latency(), None
    last = about["run_id"], asked.caller_id, asked.traceparent, asked.caller
    # the numbers of all rows at once, as text: [[1,2],[3,4]]
    numbers = orjson.dumps(rows.values, option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].decode()
    entries = []
    for name, row, value, said in zip(
        found.ids, numbers.split("],["), found.values.tolist(), found.warnings, strict=True
    ):
        given = INPUT % tuple(row.split(","))
        low, high = value[1:] if len(value) == 3 else (None, None)
        told = orjson.dumps(said).decode() if said else "[]"
        entries.append(Entry(name, *first, given, value[0], *every, low, high, told, *last))
    return entries


def refusal(asked: Asked, why: Refused) -> Entry:
    """The row of a refused request, with the beginning of its body."""
    body = asked.body[:KEPT].decode(errors="replace") if asked.body else None
    first = asked.id, asked.id, asked.asked_at, why.status, body
    return Entry(
        *first, None, None, None, asked.latency(), str(why)[:KEPT], caller_id=asked.caller_id,
        traceparent=asked.traceparent, caller=asked.caller,
    )  # fmt: skip


def answered_line(asked: Asked, rows: Rows, found: Found, entry: Entry) -> bytes:
    """The line of a request: the numbers asked about and the answers, in the order of its rows.

    entry: the row of one of them.
    """
    about = found.about
    model = {"model_name": about["name"], "model_version": about["version"]}
    told = {"input": rows.values, "answers": found.values, "warnings": found.warnings}
    return _line(asked, entry, model | {"run_id": about["run_id"]} | told)


def refused_line(asked: Asked, entry: Entry) -> bytes:
    """The line of a refused request."""
    return _line(asked, entry, {"input": entry.input, "problem": entry.problem})


def _line(asked: Asked, entry: Entry, told: dict[str, Any]) -> bytes:
    about = {
        "request_id": asked.id, "asked_at": asked.asked_at, "status": entry.status,
        "latency_ms": entry.latency_ms, "caller_id": asked.caller_id,
        "traceparent": asked.traceparent, "caller": asked.caller,
    }  # fmt: skip
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(about | told, option=options)
