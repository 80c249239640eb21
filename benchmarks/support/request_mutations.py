"""Valid requests of every kind, mutated at random, for the fuzzing benchmark."""

import io
import json
import random
from collections.abc import Callable
from typing import NamedTuple

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from benchmarks.support.local_service import random_block_groups
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


FINAL_REQUEST = b"GET /health HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n"


class ValidRequest(NamedTuple):
    """A request that the service can read."""

    path: str
    content_type: str
    body: bytes


class ConnectionScript(NamedTuple):
    """What one connection sends."""

    segments: list[bytes]
    pause: float  # seconds between two segments
    reads_responses: bool


def valid_requests() -> list[ValidRequest]:
    """Return valid requests: every media type, and every JSON form of /invocations."""
    records = random_block_groups(5)
    table = pa.table({name: [record[name] for record in records] for name in FEATURE_NAMES})
    csv_body = _write_table(pyarrow.csv.write_csv, table)
    requests = [
        ValidRequest("/predict", JSON, orjson.dumps(records[0])),
        ValidRequest("/predict", JSON, orjson.dumps(records)),
        ValidRequest("/predict?explain=true", JSON, orjson.dumps(records)),
        ValidRequest("/predict", CSV, csv_body),
    ]
    split = {"columns": FEATURE_NAMES, "data": [list(record.values()) for record in records]}
    forms = {
        "dataframe_split": split,
        "dataframe_records": records,
        "inputs": table.to_pydict(),
        "instances": records,
    }
    for name, content in forms.items():
        requests.append(ValidRequest("/invocations", JSON, json.dumps({name: content}).encode()))
    for options in ({}, {"compression": "none"}, {"use_dictionary": False, "compression": "zstd"}):
        parquet_body = _write_table(pyarrow.parquet.write_table, table, **options)
        requests.append(ValidRequest("/predict", PARQUET, parquet_body))
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=3):
            writer.write_batch(batch)
    requests += [ValidRequest("/predict", ARROW, stream.getvalue())] * 3
    requests.append(ValidRequest("/invocations", PARQUET, parquet_body))
    requests.append(ValidRequest("/invocations", CSV, csv_body))
    return requests + _feedback_requests()


def _feedback_requests() -> list[ValidRequest]:
    """Return true values of predictions that the log does not have."""
    ids = [f"{number:032x}-0" for number in range(5)]
    table = pa.table({"id": ids, "truth": [4.5] * 5, "observed_at": ["2026-11-29"] * 5})
    return [
        ValidRequest("/feedback", JSON, orjson.dumps(table.to_pylist())),
        ValidRequest("/feedback", CSV, _write_table(pyarrow.csv.write_csv, table)),
        ValidRequest("/feedback", PARQUET, _write_table(pyarrow.parquet.write_table, table)),
    ]


def _write_table(write: Callable, table: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    write(table, file, **options)
    return file.getvalue()


def random_script(generator: random.Random, requests: list[ValidRequest]) -> ConnectionScript:
    """Return one to forty mutated requests, sometimes truncated or sent in small segments."""
    count = generator.choice((1, 1, 1, 2, 5, 40))
    content = b"".join(_random_request(generator, requests) for _ in range(count)) + FINAL_REQUEST
    if generator.random() < 0.1:
        content = content[: generator.randrange(len(content))]
    if generator.random() < 0.7:
        return ConnectionScript([content], 0, generator.random() < 0.95)
    n_cuts = generator.choice((1, 2, 5, 20))
    cuts = sorted(generator.randrange(len(content) + 1) for _ in range(n_cuts))
    bounds = zip([0, *cuts], [*cuts, len(content)], strict=True)
    segments = [content[start:end] for start, end in bounds]
    pause = generator.choice((0, 0.001, 0.02))
    return ConnectionScript([segment for segment in segments if segment], pause, True)


def _random_request(generator: random.Random, requests: list[ValidRequest]) -> bytes:
    path, content_type, body = generator.choice(requests)
    method = b"POST"
    if generator.random() < 0.25:
        method, path, body = generator.choice(METHODS), generator.choice(PATHS), b""
        if generator.random() < 0.2:
            path += "&".join(["?a=1"] * generator.choice((1, 50, 101, 500)))
    elif generator.random() < 0.8:
        body = mutate(generator, body)
    if generator.random() < 0.05:
        content_type = generator.choice((JSON, CSV, ARROW, PARQUET, "text/plain", ""))
    lines = [method + b" " + path.encode() + b" HTTP/1.1", b"host: here"]
    if body or method == b"POST":
        lines += [
            b"content-type: " + content_type.encode(),
            b"content-length: %d" % len(body),
        ]
        if generator.random() < 0.1:
            lines[-1], body = b"transfer-encoding: chunked", _encode_chunks(generator, body)
    if generator.random() < 0.2:
        lines.insert(generator.randrange(1, len(lines) + 1), generator.choice(HEADERS))
    headers = b"\r\n".join([*lines, b"", b""])
    return (mutate(generator, headers) if generator.random() < 0.1 else headers) + body


def mutate(generator: random.Random, content: bytes) -> bytes:
    """Return the content with some bytes replaced, flipped, inserted, removed or repeated."""
    mutated = bytearray(content)
    for _ in range(generator.choice((1, 1, 2, 3, 8))):
        start, length = generator.randrange(len(mutated) + 1), generator.choice((1, 2, 4, 8, 64))
        mutation = generator.randrange(6)
        if mutation == 0:
            mutated[start : start + 1] = bytes([generator.randrange(256)])
        elif mutation == 1 and start < len(mutated):
            mutated[start] ^= 1 << generator.randrange(8)
        elif mutation == 2:
            token = generator.choice(TOKENS)
            mutated[start : start + generator.choice((0, len(token)))] = token
        elif mutation == 3:
            del mutated[start : start + length]
        elif mutation == 4:
            repeats = generator.choice((1, 2, 50))
            mutated[start:start] = mutated[start : start + length] * repeats
        else:
            source = generator.randrange(len(mutated) + 1)
            mutated[start : start + length] = mutated[source : source + length]
    return bytes(mutated)


def _encode_chunks(generator: random.Random, body: bytes) -> bytes:
    """Return the body in chunked transfer encoding, often with a malformed last chunk."""
    size = generator.choice((1, 7, 100, 5_000))
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    last_chunk = generator.choice(
        (b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"0;a=b\r\n\r\n", b"0\r\n\r", b"00\r\n")
    )
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + last_chunk
