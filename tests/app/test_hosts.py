"""A request gets the same response and the same log row from the Flask app and from the server.

What belongs to a server and not to a WSGI app is not compared: the headers Date and Connection, and
responses to what is no complete HTTP request (a body that is late, or longer than its length says).
"""

import gzip
import io
import json
import re
import zlib
from contextlib import ExitStack, closing
from typing import NamedTuple
from wsgiref.util import is_hop_by_hop
from wsgiref.validate import validator

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from werkzeug.test import Client

from app import create_app
from app.auth.api_keys import hash_key
from app.codecs.tables import ARROW_MEDIA_TYPE, CSV_MEDIA_TYPE, PARQUET_MEDIA_TYPE
from housing.schema import FEATURES
from tests.support.api_client import FlaskApi, ServerApi, run_server, state_settings

JSON = "application/json"
TRACEPARENT = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
MAX_BODY_BYTES, MAX_ROWS, MAX_TABLE_ROWS = 100_000, 20, 30
LIMITS = {
    "MAX_CONTENT_LENGTH": MAX_BODY_BYTES,
    "MAX_ROWS": MAX_ROWS,
    "MAX_TABLE_ROWS": MAX_TABLE_ROWS,
}
REQUESTS_PER_MINUTE = {"ann": 0, "bob": 2}  # of each API key; here a key is its own name
SERVER_HEADERS = {"date", "connection", "content-length"}  # the length of ids and times varies
VARIABLE_FIELDS = {"id", "request_id", "asked_at", "latency_ms"}  # of the log
COUNTERS_OF_REQUESTS = (
    "housing_requests_total",
    "housing_request_seconds_count",
    "housing_shed_requests_total",
    "housing_unusual_rows_total",
    "housing_prediction_usd_count",
    "housing_input_decile_total",
    "housing_log_commit_seconds_count",
)
# what differs between two responses to the same request
VARIABLE_TEXTS = {
    rb"[0-9a-f]{32}(?=-\d)": b"<id>",  # of a row; in an Arrow column no space separates them
    rb"\b[0-9a-f]{32}\b": b"<id>",
    rb"-[0-9a-f]{16}-01\b": b"<span>",
    rb'"latency_ms": [0-9.]+': b"<latency>",
    rb"\d{4}-\d{2}-\d{2}T[\d:.]+\+00:00": b"<time>",
}

BLOCK_GROUP = {name: feature.example for name, feature in FEATURES.items()}
ROW = json.dumps(BLOCK_GROUP).encode()
TABLE = pa.Table.from_pylist([BLOCK_GROUP] * 3)


class Case(NamedTuple):
    """A request."""

    method: str
    path: str
    body: bytes = b""
    content_type: str | None = None
    headers: dict[str, str] | None = None
    key: str | None = "ann"


def post_json(content, path="/predict", **fields):
    """Return the case of a POST request. content: the body, or the value of the body."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Case("POST", path, body, JSON, **fields)


def encode_table(media_type, table=TABLE):
    file = io.BytesIO()
    if media_type == ARROW_MEDIA_TYPE:
        with pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    elif media_type == PARQUET_MEDIA_TYPE:
        pyarrow.parquet.write_table(table, file)
    else:
        pyarrow.csv.write_csv(table, file)
    return file.getvalue()


def table_case(media_type, path="/predict", table=TABLE, **fields):
    return Case("POST", path, encode_table(media_type, table), media_type, **fields)


INVALID_ROWS = [BLOCK_GROUP, BLOCK_GROUP | {"MedInc": -1}, 4, {"HouseAg": 1}]
SPLIT = {"columns": list(BLOCK_GROUP), "data": [list(BLOCK_GROUP.values())]}
CASES = {
    # predictions
    "one row": post_json(BLOCK_GROUP),
    "a list": post_json([BLOCK_GROUP] * 3),
    "a list of one": post_json([BLOCK_GROUP]),
    "an unusual row": post_json(BLOCK_GROUP | {"MedInc": 19.5, "Latitude": 32.1}),
    "space around a row": post_json(b" \n" + ROW + b"\n"),
    "an explained row": post_json(BLOCK_GROUP, "/predict?explain=true"),
    "an explained list": post_json([BLOCK_GROUP] * 2, "/predict?explain=true"),
    "an explain flag of another value": post_json(BLOCK_GROUP, "/predict?explain=maybe"),
    "an explain flag given twice": post_json(BLOCK_GROUP, "/predict?explain=true&explain=false"),
    "an unknown query": post_json(BLOCK_GROUP, "/predict?a=1&b=%C3%A9&c"),
    "a query of 101 fields": post_json(BLOCK_GROUP, "/predict?" + "a=1&" * 101),
    "CSV": table_case(CSV_MEDIA_TYPE),
    "Parquet": table_case(PARQUET_MEDIA_TYPE),
    "Arrow": table_case(ARROW_MEDIA_TYPE),
    "explained Arrow": table_case(ARROW_MEDIA_TYPE, "/predict?explain=true"),
    "CSV for JSON": post_json(BLOCK_GROUP, headers={"Accept": "text/csv"}),
    "JSON for CSV": table_case(CSV_MEDIA_TYPE, headers={"Accept": JSON}),
    "an Accept header of nothing known": post_json(BLOCK_GROUP, headers={"Accept": "image/png"}),
    "a content type with a parameter": Case("POST", "/predict", ROW, f"{JSON}; charset=utf-8"),
    "a content type in upper case": Case("POST", "/predict", ROW, JSON.upper()),
    "ids of the client": post_json(
        BLOCK_GROUP, headers={"X-Request-ID": "mine/1", "traceparent": TRACEPARENT}
    ),
    "invalid ids of the client": post_json(
        BLOCK_GROUP, headers={"X-Request-ID": "a b", "traceparent": "00-1-2-3"}
    ),
    "headers of a browser": post_json(
        BLOCK_GROUP,
        headers={"Origin": "http://elsewhere", "Cookie": "a=b", "Accept-Encoding": "gzip, br"},
    ),
    "an offer of another protocol": post_json(BLOCK_GROUP, headers={"Upgrade": "h2c"}),
    # other encodings
    "a packed row": post_json(gzip.compress(ROW), headers={"Content-Encoding": "gzip"}),
    "a packed list": post_json(
        gzip.compress(json.dumps([BLOCK_GROUP] * 20).encode()),
        headers={"Content-Encoding": "gzip"},
    ),
    "a deflated row": post_json(zlib.compress(ROW), headers={"Content-Encoding": "deflate"}),
    "a packed row of a wrong value": post_json(
        gzip.compress(b'{"MedInc": "much"}'), headers={"Content-Encoding": "x-gzip"}
    ),
    "a row packed for MLflow": post_json(
        gzip.compress(b'{"instances": [%b]}' % ROW),
        "/invocations",
        headers={"Content-Encoding": "gzip"},
    ),
    "a damaged packed row": post_json(
        gzip.compress(ROW)[:-10], headers={"Content-Encoding": "gzip"}
    ),
    "a row that is not packed": post_json(ROW, headers={"Content-Encoding": "gzip"}),
    "an unknown coding": post_json(ROW, headers={"Content-Encoding": "br"}),
    "an unknown coding for MLflow": post_json(
        ROW, "/invocations", headers={"Content-Encoding": "zstd"}
    ),
    "too many bytes when unpacked": post_json(
        gzip.compress(b" " * (MAX_BODY_BYTES + 1)), headers={"Content-Encoding": "gzip"}
    ),
    "a long packed answer": table_case(
        CSV_MEDIA_TYPE,
        table=pa.Table.from_pylist([BLOCK_GROUP] * MAX_TABLE_ROWS),
        headers={"Accept": "application/json", "Accept-Encoding": "gzip"},
    ),
    "a row in UTF-16": post_json(ROW.decode().encode("utf-16")),
    "a refused row in UTF-16": post_json("{}".encode("utf-16")),
    "a charset of another encoding": Case("POST", "/predict", ROW, f"{JSON}; charset=utf-16"),
    "an unknown charset": Case("POST", "/predict", ROW, f"{JSON}; charset=x"),
    "an Accept header of weights": post_json(
        BLOCK_GROUP, headers={"Accept": "text/csv;q=0.2, application/json;q=0.1"}
    ),
    "an Accept header that excludes all": post_json(BLOCK_GROUP, headers={"Accept": "*/*;q=0"}),
    # refused bodies
    "no body": post_json(b""),
    "no JSON": post_json(b"[nonsense"),
    "bytes that are no text": post_json(b"{\xff\xfe}"),
    "a deep body": post_json(b"[" * 1_000 + b"]" * 1_000),
    "a number": post_json(b"4"),
    "an empty list": post_json([]),
    "invalid rows": post_json(INVALID_ROWS),
    "a field twice": post_json(ROW[:-1] + b', "MedInc": 1}'),
    "a value that is no number": post_json(BLOCK_GROUP | {"MedInc": "8.3"}),
    "NaN": post_json(BLOCK_GROUP | {"MedInc": float("nan")}),
    "too many rows": post_json([BLOCK_GROUP] * (MAX_ROWS + 1)),
    "too many rows of a table": table_case(
        CSV_MEDIA_TYPE, table=pa.Table.from_pylist([BLOCK_GROUP] * (MAX_TABLE_ROWS + 1))
    ),
    "too many bytes": post_json(b" " * (MAX_BODY_BYTES + 1)),
    "too many bytes for another path": post_json(b" " * (MAX_BODY_BYTES + 1), "/nothing"),
    "too many bytes without a key": post_json(b" " * (MAX_BODY_BYTES + 1), key=None),
    "as many bytes as may be": post_json(ROW + b" " * (MAX_BODY_BYTES - len(ROW))),
    "no content type": Case("POST", "/predict", ROW),
    "an unknown content type": Case("POST", "/predict", ROW, "text/plain; charset=é"),
    "a form": Case("POST", "/predict", b"MedInc=8.3", "application/x-www-form-urlencoded"),
    "a multipart form": Case("POST", "/predict", b"--x--", "multipart/form-data; boundary=x"),
    "CSV without a column": table_case(CSV_MEDIA_TYPE, table=TABLE.drop_columns("MedInc")),
    "a damaged Parquet file": Case("POST", "/predict", b"PAR1", PARQUET_MEDIA_TYPE),
    "a damaged stream": Case("POST", "/predict", b"\xff" * 30, ARROW_MEDIA_TYPE),
    # MLflow's protocol
    "MLflow's split": post_json({"dataframe_split": SPLIT}, "/invocations"),
    "MLflow's records": post_json({"dataframe_records": [BLOCK_GROUP]}, "/invocations"),
    "MLflow's instances": post_json({"instances": [BLOCK_GROUP] * 2}, "/invocations"),
    "MLflow's inputs": post_json({"inputs": BLOCK_GROUP}, "/invocations"),
    "MLflow's CSV": table_case(CSV_MEDIA_TYPE, "/invocations"),
    "MLflow's Parquet": table_case(PARQUET_MEDIA_TYPE, "/invocations"),
    "MLflow with a query": post_json({"inputs": BLOCK_GROUP}, "/invocations?explain=maybe"),
    "MLflow with an unknown input": post_json({"rows": [BLOCK_GROUP]}, "/invocations"),
    "MLflow with an invalid value": post_json(
        {"instances": [BLOCK_GROUP | {"MedInc": -1}]}, "/invocations"
    ),
    "MLflow with no JSON": post_json(b"\xff", "/invocations"),
    "MLflow with another type": Case("POST", "/invocations", ROW, "text/plain"),
    "MLflow with too many bytes": post_json(b" " * (MAX_BODY_BYTES + 1), "/invocations"),
    # keys
    "no key": post_json(BLOCK_GROUP, key=None),
    "no key for MLflow": post_json({"inputs": BLOCK_GROUP}, "/invocations", key=None),
    "no key for a page": Case("GET", "/model", key=None),
    "no key for an unknown page": Case("GET", "/nothing", key=None),
    "an unknown key": post_json(BLOCK_GROUP, key=None, headers={"X-API-Key": "x"}),
    "a key that is no ASCII": post_json(BLOCK_GROUP, key=None, headers={"X-API-Key": "é"}),
    "credentials that are no base64": post_json(
        BLOCK_GROUP, key=None, headers={"Authorization": "Basic ="}
    ),
    "a public page without a key": Case("GET", "/health", key=None),
    "a public page with a large body": Case("GET", "/health", b" " * (MAX_BODY_BYTES + 1)),
    # other routes
    "the model": Case("GET", "/model"),
    "readiness": Case("GET", "/ready"),
    "MLflow's health": Case("GET", "/ping"),
    "MLflow's version": Case("GET", "/version"),
    "the OpenAPI document": Case("GET", "/openapi.json"),
    "the map": Case("GET", "/"),
    "the description": Case("GET", "/docs"),
    "a style": Case("GET", "/static/page.css"),
    "a part of a style": Case("GET", "/static/page.css", headers={"Range": "bytes=0-9"}),
    "an unchanged style": Case(
        "GET", "/static/page.css", headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    ),
    "compression": Case("GET", "/openapi.json", headers={"Accept-Encoding": "gzip"}),
    "no report": Case("GET", "/reports/"),
    "refused requests": Case("GET", "/predictions?status=422&limit=2"),
    "a limit that is no number": Case("GET", "/predictions?limit=%D9%A3"),
    "a query with a plus sign": Case("GET", "/predictions?request_id=a+b&limit=1"),
    "an unknown prediction": Case("GET", "/predictions/unknown"),
    "a prediction with a name in UTF-8": Case("GET", "/predictions/%C3%A9%F0%9F%98%80"),
    "a prediction with a name that is no text": Case("GET", "/predictions/%FF%00"),
    "a path of Unicode": Case("GET", "/r%C3%A9sum%C3%A9?%C3%A9=%FF"),
    "a path with a slash at its end": post_json(BLOCK_GROUP, "/predict/"),
    "a path with two slashes": Case("GET", "//model"),
    "a path in upper case": post_json(BLOCK_GROUP, "/PREDICT"),
    "an encoded path": post_json(BLOCK_GROUP, "/%70redict"),
    "a path out of a folder": Case("GET", "/static/..%2F..%2Fsettings.py"),
    "a long path": Case("GET", "/" + "a" * 5_000),
    # methods
    "GET for predictions": Case("GET", "/predict"),
    "PUT with a body": Case("PUT", "/predict", ROW, JSON),
    "DELETE": Case("DELETE", "/predictions"),
    "HEAD": Case("HEAD", "/model"),
    "HEAD of a page": Case("HEAD", "/"),
    "HEAD for predictions": Case("HEAD", "/predict"),
    "OPTIONS": Case("OPTIONS", "/predict"),
    "OPTIONS of a page": Case("OPTIONS", "/model"),
    "TRACE": Case("TRACE", "/model"),
    "a method of WebDAV": Case("PROPFIND", "/model"),
}


def test_each_response_conforms_to_wsgi(served_champion, tmp_path):
    """As PEP 3333 wants it, which any WSGI server relies on."""
    app = create_app(state_settings(tmp_path, served_champion.folder) | LIMITS)
    client = Client(validator(app.wsgi_app))
    for name, case in CASES.items():
        response = client.open(
            case.path,
            method=case.method,
            data=case.body,
            content_type=case.content_type,
            headers=case.headers,
        )
        assert response.status_code < 500, name
        hop_by_hop_headers = [header for header, _ in response.headers if is_hop_by_hop(header)]
        assert not hop_by_hop_headers, name
        response.close()


class Hosts(NamedTuple):
    """The API on both of its hosts."""

    flask: FlaskApi
    server: ServerApi


@pytest.fixture(scope="module")
def start_hosts(served_champion, tmp_path_factory):
    """Return a function that starts the API on both hosts, with the same keys and limits."""
    records = [
        {"name": name, "sha256": hash_key(name), "per_minute": per_minute}
        for name, per_minute in REQUESTS_PER_MINUTE.items()
    ]
    with ExitStack() as stack:

        def start(**settings):
            folders = [tmp_path_factory.mktemp(name) for name in Hosts._fields]
            for folder in folders:
                (folder / "keys.json").write_text(json.dumps(records))
            flask_settings, server_settings = (
                state_settings(folder, served_champion.folder) | LIMITS | settings
                for folder in folders
            )
            started_settings = stack.enter_context(run_server(server_settings))
            return Hosts(
                stack.enter_context(closing(FlaskApi(flask_settings))),
                stack.enter_context(closing(ServerApi(started_settings))),
            )

        yield start


@pytest.fixture(scope="module")
def hosts(start_hosts):
    """Both hosts, shared by the requests that change nothing for others."""
    return start_hosts()


def observe(api, case):
    """Send a request; return the response and the new rows of the log as they can be compared."""
    row_count, line_count = len(api.log_rows()), len(api.log_lines())
    headers = {"Content-Type": case.content_type, "X-API-Key": case.key} | (case.headers or {})
    response = api.request(
        case.method,
        case.path,
        case.body,
        {name: value for name, value in headers.items() if value is not None},
    )
    size = response.headers.get("content-length")
    assert case.method == "HEAD" or size is None or int(size) == len(response.data)
    return {
        "status": response.status_code,
        "headers": sorted(
            (name.lower(), sorted(without_variable_texts(value.encode()).split(b", ")))
            for name, value in response.headers
            if name.lower() not in SERVER_HEADERS
        ),
        "body": without_variable_texts(readable_body(response)),
        "rows": without_variable_fields(api.log_rows()[row_count:]),
        "lines": without_variable_fields(api.log_lines()[line_count:]),
    }


def without_variable_fields(records):
    """Return rows or lines of the log without the fields that each request has anew."""
    return [
        {name: value for name, value in record.items() if name not in VARIABLE_FIELDS}
        for record in records
    ]


def readable_body(response):
    """Return the body as it was before it was packed; of a Parquet file what it holds."""
    if response.headers.get("content-encoding") == "gzip":
        return gzip.decompress(response.data)
    if response.mimetype != PARQUET_MEDIA_TYPE:
        return response.data
    return json.dumps(pyarrow.parquet.read_table(io.BytesIO(response.data)).to_pylist()).encode()


def without_variable_texts(content):
    """Replace the ids and the times in some bytes."""
    for pattern, replacement in VARIABLE_TEXTS.items():
        content = re.sub(pattern, replacement, content)
    return content


def request_counts(api):
    """Return the samples of the metrics that count requests, by name and labels."""
    page = api.get("/metrics", headers={"X-API-Key": "ann"}).text
    samples = [line.rpartition(" ") for line in page.splitlines()]
    return {
        name: float(value) for name, _, value in samples if name.startswith(COUNTERS_OF_REQUESTS)
    }


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_both_hosts_answer_and_log_the_same(hosts, case):
    assert observe(hosts.server, case) == observe(hosts.flask, case)


@pytest.mark.slow
def test_both_hosts_refuse_the_same_requests_over_a_limit(start_hosts):
    hosts = start_hosts()
    cases = [
        post_json(BLOCK_GROUP, key="bob"),
        post_json({"inputs": BLOCK_GROUP}, "/invocations", key="bob"),
        post_json(BLOCK_GROUP, key="bob"),
        post_json({"inputs": BLOCK_GROUP}, "/invocations", key="bob"),
        Case("GET", "/model", key="bob"),
    ]
    for case, status in zip(cases, [200, 200, 429, 429, 429], strict=True):
        flask, server = (observe(host, case) for host in hosts)
        assert flask["status"] == status
        assert without_waits(server) == without_waits(flask)


def without_waits(observation):
    """Replace the seconds that a message tells the client to wait."""
    return observation | {"body": re.sub(rb"in [0-9.]+ s", b"in <seconds>", observation["body"])}


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"LOG_FILE": "/dev/full"}, {"LOG_FILE": "/dev/full", "LOG_POLICY": "available"}]
)
def test_both_hosts_do_the_same_without_a_log(start_hosts, settings):
    hosts = start_hosts(**settings)
    for case in (post_json(BLOCK_GROUP), post_json([]), Case("GET", "/ready"), Case("GET", "/")):
        assert observe(hosts.server, case) == observe(hosts.flask, case)


@pytest.mark.slow
def test_both_hosts_count_the_same(start_hosts):
    """Each request once, as an endpoint of the same name."""
    hosts = start_hosts()
    before = [request_counts(host) for host in hosts]
    for case in CASES.values():
        for host in hosts:
            observe(host, case)
    flask, server = (
        {name: value - counts.get(name, 0) for name, value in request_counts(host).items()}
        for host, counts in zip(hosts, before, strict=True)
    )
    assert server == flask
