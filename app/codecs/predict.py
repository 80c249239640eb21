"""POST /predict: how a body becomes rows, and rows with their answers become a reply."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qs

import numpy as np

from app.codecs import json_body, tables
from app.messages import JSON, PROBLEM, Asked, Reply, reply
from app.problem_details import Problem, Refused, refused
from housing.inference.shapley import PLAYERS

SAMPLE_NOTICE = "answered by a model trained on a GENERATED SAMPLE, not on real data"
MOST_FIELDS = 100  # of a query
PHRASES = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
           408: "Request Timeout", 411: "Length Required", 413: "Content Too Large",
           415: "Unsupported Media Type", 422: "Unprocessable Content", 429: "Too Many Requests",
           431: "Request Header Fields Too Large",
           500: "Internal Server Error", 503: "Service Unavailable"}  # fmt: skip


class Rows(NamedTuple):
    """What is asked about."""

    values: np.ndarray  # (n, 8) in the order of `schema.NAMES`
    as_list: bool = True  # whether the answer is a list, even of one
    explain: bool = False
    kind: str = JSON  # of the answer


class Found(NamedTuple):
    """What a model says to some rows."""

    about: dict[str, Any]  # of the model, as `registry.export` writes it
    values: np.ndarray  # (n, 1) in $100,000, or (n, 3) with the ends of the interval
    usd: np.ndarray  # the same in dollars
    warnings: list[list[str]]
    ids: list[str]
    added: tuple[np.ndarray, float] | None = None  # as `Champion.contributions` gives it


def read(asked: Asked, most_rows: int, most_table_rows: int) -> Rows:
    """The rows of a request. Raises Refused."""
    explain = wants_explained(asked.query)
    given = asked.headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    if kind != JSON and kind not in tables.KINDS:
        sent = repr(given[:60]) if given else "'nothing'"
        expected = ", ".join([JSON, *tables.KINDS])
        raise refused(415, f"the content type is {sent}, expected one of {expected}")
    wanted = _wanted(asked.headers.get("accept", ""), kind)
    if wanted != JSON:
        tables.check_there()
    if kind == JSON:
        values, as_list = json_body.parse(asked.body, most_rows)
        return Rows(values, as_list or wanted != JSON, explain, wanted)
    return Rows(tables.read(kind, asked.body, most_table_rows), True, explain, wanted)


def write(rows: Rows, found: Found) -> Reply:
    """The answers in the format that was asked for."""
    if rows.kind != JSON:
        return Reply(200, rows.kind, tables.write(rows.kind, _columns(found)))
    answers = _answers(found)
    return reply({"predictions": answers} if rows.as_list else answers[0])


def refuse(asked: Asked, why: Refused) -> Reply:
    """The problem details of a refused request (RFC 9457)."""
    found = Problem(
        title=PHRASES.get(why.status, "Error"), status=why.status, detail=why.errors[0].problem,
        instance=f"/predictions/{asked.id}", id=asked.id, errors=why.errors,
    )  # fmt: skip
    return Reply(why.status, PROBLEM, found.model_dump_json().encode(), [*why.headers])


def wants_explained(query: str) -> bool:
    """Whether the query parameter explain asks for contributions. Raises Refused."""
    if not query:
        return False
    try:
        given = parse_qs(query, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise refused(422, f"the query has more than {MOST_FIELDS} fields") from None
    return json_body.explained(given.get("explain", [None])[-1])


def _wanted(accept: str, sent: str) -> str:
    """The first format of the header Accept that there is; else the one of the body."""
    for one in accept.split(",") if accept else ():
        kind = one.partition(";")[0].strip().lower()
        if kind == JSON or kind in tables.KINDS:
            return kind
    return sent


def _answers(found: Found) -> list[dict[str, Any]]:
    about, answers = found.about, []
    sample = about["source"] == "sample"
    every = {"model": about["name"], "model_version": about["version"]}
    for name, value, dollars, said in zip(
        found.ids, found.values.tolist(), found.usd.tolist(), found.warnings, strict=True
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
    if found.added:
        values, base = found.added
        for answer, added in zip(answers, values.tolist(), strict=False):
            told = dict(zip(PLAYERS, added, strict=True))
            answer |= {"base_usd": base, "contributions_usd": told}
    return answers


def _columns(found: Found) -> dict[str, Any]:
    """The answers column by column, for a table."""
    columns: dict[str, Any] = {"id": found.ids}
    names = "prediction", "low", "high"
    for name, values, usd in zip(names, found.values.T, found.usd.T, strict=False):
        columns |= {name: values, f"{name}_usd": usd}
    many = len(found.ids)
    columns |= {"model": [found.about["name"]] * many}
    columns |= {"model_version": [found.about["version"]] * many}
    columns |= {"warnings": found.warnings}
    if found.about["source"] == "sample":
        columns |= {"notice": [SAMPLE_NOTICE] * many}
    if found.added:
        values, base = found.added
        columns["base_usd"] = [base] * many
        for name, added in zip(PLAYERS, values.T, strict=True):
            columns[f"contribution_{name}_usd"] = [*added.tolist(), *[None] * (many - len(added))]
    return columns
