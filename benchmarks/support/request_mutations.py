"""Requests that a service may meet: valid ones of every kind, changed at random. For fuzz.py."""

import io
import json
import random
from collections.abc import Callable
from typing import NamedTuple

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from benchmarks.support.local_service import rows
from housing.schema import FEATURE_NAMES

JSON, CSV = "application/json", "text/csv"
ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
TOKENS = (
    b"1e400", b"-1e400", b"NaN", b"null", b"-0", b"\\ud800", b"\x00", b"\xff", b"\r\n", b"\n", b",",
    b'"', b"{", b"}", b"[" * 500, b"]", b"1" * 400, b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"%00",
    b"../", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00" * 8, b"\xff" * 8, b"\x80", b"'", b";",
)  # fmt: skip
PATHS = (
    "/", "/docs", "/openapi.json", "/health", "/ready", "/ping", "/version", "/model", "/metrics",
    "/predictions", "/predictions?limit=3&status=422", "/predictions?limit=", "/predictions/none",
    "/predictions?limit=100000000000000000000", "/predictions?request_id=%ed%a0%80&limit=1000",
    "/reports/", "/reports/%00", "/reports/" + "a" * 400, "/reports/../../etc/passwd",
    "/static/%2e", "/static/page.js", "/predict", "/invocations", "/nothing", "*", "//", "/%ff",
    "http://here/",
)  # fmt: skip
HEADERS = (
    b"connection: upgrade\r\nupgrade: h2c", b"connection: upgrade\r\nupgrade: websocket",
    b"expect: 100-continue", b"transfer-encoding: chunked", b"transfer-encoding: gzip, chunked",
    b"content-length: 0", b"content-length: 5", b"content-length: 99999999999999999999",
    b"content-length: 9000000", b"x-request-id: " + b"a" * 500, b"x-request-id: \xff", b"x: \x00",
    b"traceparent: 00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01", b"accept: " + ARROW.encode(),
    b"traceparent: cc-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01-" + b"x" * 9_000, b"x" * 70_000,
    b"accept: text/csv, */*;q=0", b"accept: " + PARQUET.encode(), b"cookie: " + b"a=b;" * 1_000,
    b"authorization: Basic ////", b"authorization: Bearer \xe9", b"host: elsewhere",
    b" folded: yes", b"range: bytes=0-1,5-", b"if-modified-since: never", b"trailer: x", b"nothing",
    b"content-type: application/json;;=", b"content-encoding: gzip", b": x", b"x: y",
)  # fmt: skip
METHODS = (b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"TRACE", b"CONNECT", b"DELETE", b"PATCH",
           b"get", b"G\x00T", b"PROPFIND")  # fmt: skip


class Odd(NamedTuple):
    """What one connection sends."""

    pieces: list[bytes]
    pause: float  # seconds between two pieces
    reads: bool  # whether it takes what it is answered


def bodies() -> list[tuple[str, str, bytes]]:
    """Valid bodies: the path that takes them, their content type, and they themselves."""
    few = rows(5)
    table = pa.table({name: [row[name] for row in few] for name in FEATURE_NAMES})
    told = [("/predict", JSON, orjson.dumps(few[0])), ("/predict", JSON, orjson.dumps(few)),
            ("/predict?explain=true", JSON, orjson.dumps(few)),
            ("/predict", CSV, _written(pyarrow.csv.write_csv, table))]  # fmt: skip
    split = {"columns": FEATURE_NAMES, "data": [list(row.values()) for row in few]}
    for name, form in (("dataframe_split", split), ("dataframe_records", few),
                       ("inputs", table.to_pydict()), ("instances", few)):  # fmt: skip
        told.append(("/invocations", JSON, json.dumps({name: form}).encode()))
    for options in ({}, {"compression": "none"}, {"use_dictionary": False, "compression": "zstd"}):
        told.append(("/predict", PARQUET, _written(pyarrow.parquet.write_table, table, **options)))
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=3):
            writer.write_batch(batch)
    told += [("/predict", ARROW, stream.getvalue())] * 3
    return [*told, ("/invocations", PARQUET, told[-4][2]), ("/invocations", CSV, told[3][2])]


def _written(write: Callable, table: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    write(table, file, **options)
    return file.getvalue()


def odd(chance: random.Random, known: list[tuple[str, str, bytes]]) -> Odd:
    """One of them."""
    many = chance.choice((1, 1, 1, 2, 5, 40))
    asked = [_request(chance, known) for _ in range(many)]
    asked.append(b"GET /health HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
    whole = b"".join(asked)
    if chance.random() < 0.1:
        whole = whole[: chance.randrange(len(whole))]
    if chance.random() < 0.7:
        return Odd([whole], 0, chance.random() < 0.95)
    cuts = sorted(chance.randrange(len(whole) + 1) for _ in range(chance.choice((1, 2, 5, 20))))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    return Odd([one for one in pieces if one], chance.choice((0, 0.001, 0.02)), True)


def _request(chance: random.Random, known: list[tuple[str, str, bytes]]) -> bytes:
    path, kind, body = chance.choice(known)
    method = b"POST"
    if chance.random() < 0.25:
        method, path, body = chance.choice(METHODS), chance.choice(PATHS), b""
        if chance.random() < 0.2:
            path += "&".join(["?a=1"] * chance.choice((1, 50, 101, 500)))
    elif chance.random() < 0.8:
        body = changed(chance, body)
    if chance.random() < 0.05:
        kind = chance.choice((JSON, CSV, ARROW, PARQUET, "text/plain", ""))
    lines = [method + b" " + path.encode() + b" HTTP/1.1", b"host: here"]
    if body or method == b"POST":
        lines += [b"content-type: " + kind.encode(), b"content-length: %d" % len(body)]
        if chance.random() < 0.1:
            lines[-1], body = b"transfer-encoding: chunked", _chunked(chance, body)
    if chance.random() < 0.2:
        lines.insert(chance.randrange(1, len(lines) + 1), chance.choice(HEADERS))
    head = b"\r\n".join([*lines, b"", b""])
    return (changed(chance, head) if chance.random() < 0.1 else head) + body


def changed(chance: random.Random, text: bytes) -> bytes:
    """Some bytes of it replaced, put in, left out or doubled."""
    torn = bytearray(text)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at, some = chance.randrange(len(torn) + 1), chance.choice((1, 2, 4, 8, 64))
        way = chance.randrange(6)
        if way == 0:
            torn[at : at + 1] = bytes([chance.randrange(256)])
        elif way == 1 and at < len(torn):
            torn[at] ^= 1 << chance.randrange(8)
        elif way == 2:
            token = chance.choice(TOKENS)
            torn[at : at + chance.choice((0, len(token)))] = token
        elif way == 3:
            del torn[at : at + some]
        elif way == 4:
            torn[at:at] = torn[at : at + some] * chance.choice((1, 2, 50))
        else:
            place = chance.randrange(len(torn) + 1)
            torn[at : at + some] = torn[place : place + some]
    return bytes(torn)


def _chunked(chance: random.Random, body: bytes) -> bytes:
    size = chance.choice((1, 7, 100, 5_000))
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    last = chance.choice(
        (b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"0;a=b\r\n\r\n", b"0\r\n\r", b"00\r\n")
    )
    return b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in parts) + last
