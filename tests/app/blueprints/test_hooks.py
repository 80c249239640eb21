"""What holds for every route: who is let in, how much is read, and how errors are answered."""

import json
import re

import pytest

from app.auth.api_keys import hash_key
from benchmarks.support.local_service import sum_metric
from tests.app.blueprints.strict_json import parse_strict_json

in_this_process = pytest.mark.parametrize("api_host", ["flask"], indirect=True)


def test_unknown_pages_and_methods_are_answered_as_problems(api):
    assert api.get("/nothing").status_code == 404
    assert api.get("/nothing").content_type == "application/problem+json"
    response = api.get("/predict")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


@pytest.fixture
def write_key(home):
    """Return a function that makes `ann` the only API key, with a number of requests a minute."""

    def write(per_minute=0):
        (home / "var").mkdir(exist_ok=True)
        record = {"name": "ann", "sha256": hash_key("ann"), "per_minute": per_minute}
        (home / "var" / "keys.json").write_text(json.dumps([record]))

    return write


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/model", "/nothing"])
def test_a_request_without_a_key_is_answered_counted_and_not_logged(start_api, write_key, path):
    write_key()
    api = start_api()
    send = api.post if path in ("/predict", "/invocations") else api.get
    response = send(path, headers={"X-Request-ID": "mine"})
    assert (response.status_code, response.headers["X-Request-ID"]) == (401, "mine")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    message = "needs an API key"
    assert message in response.json["message" if path == "/invocations" else "detail"]
    page = api.get("/metrics", headers={"X-API-Key": "ann"}).data
    endpoint = "unknown" if path == "/nothing" else path
    assert sum_metric(page, "housing_requests_total", endpoint=endpoint, status="401") == 1
    assert api.log_rows() == []


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_a_key_over_its_limit_is_refused_in_the_protocol_s_own_form(start_api, write_key, path):
    write_key(per_minute=1)
    api = start_api()
    statuses = [api.post(path, headers={"X-API-Key": "ann"}).status_code for _ in range(2)]
    assert statuses[1] == 429
    response = api.post(path, headers={"X-API-Key": "ann"})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-ID"])
    assert int(response.headers["Retry-After"]) > 50
    assert "may send 1 requests a minute" in response.text
    assert ("error_code" in response.json) == (path == "/invocations")
    assert len(api.log_rows()) == 1  # the first, whose body is empty


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/nothing", "/health"])
def test_a_body_over_the_limit_is_refused_wherever_it_is_sent(start_api, path):
    api = start_api(MAX_CONTENT_LENGTH=10_000)
    response = api.post(path, b" " * 10_001, "application/json")
    assert response.status_code == 413
    assert "the body is larger than 10,000 bytes" in response.text
    logged_statuses = [row["status"] for row in api.log_rows()]
    assert logged_statuses == ([413] if path in ("/predict", "/invocations") else [])


@in_this_process
@pytest.mark.parametrize(
    ("environ", "status", "message"),
    [
        ({"CONTENT_LENGTH": "100"}, 400, "the body ends before its Content-Length"),
        (
            {"CONTENT_LENGTH": "", "wsgi.input_terminated": True},  # a body in chunks
            413,
            "the body is larger than 30 bytes; send the rows in several requests",
        ),
    ],
)
def test_a_body_that_a_wsgi_server_cannot_read_is_refused_and_logged(
    start_api, environ, status, message
):
    api = start_api(MAX_CONTENT_LENGTH=30 if status == 413 else 1_000)
    response = api.app.test_client().post(
        "/predict", data=b" " * 40, content_type="application/json", environ_overrides=environ
    )
    assert (response.status_code, response.json["detail"]) == (status, message)
    [row] = api.log_rows()
    assert (row["status"], row["problem"], row["input"]) == (status, message, None)
    assert row["id"] == response.headers["X-Request-ID"]


@in_this_process  # an error that no file can cause
def test_an_unexpected_error_shows_no_traceback(api, block_group):
    api.app.extensions["champion"].champion = "broken"
    response = api.post("/predict", json=block_group)
    assert response.status_code == 500
    assert response.json["detail"].startswith("the service failed; its log has the reason under")
    assert "Traceback" not in response.text


@pytest.mark.parametrize("path", [
    "/reports/" + "a" * 400, "/reports/" + "a/" * 5_000, "/reports/%00", "/reports/a%00b/",
    "/reports/%ED%A0%80", "/reports/..%2F..%2Fetc%2Fpasswd", "/reports/%2e%2e/x", "/static/%00",
    "/static/" + "a" * 400, "/static/" + "a/" * 5_000, "/predictions/" + "a" * 5_000,
    "/predictions/%00", "/predictions/%ED%A0%80", "/predictions/%F0%9F%98%80", "/" + "a" * 5_000,
])  # fmt: skip
def test_an_impossible_path_is_not_found(api, path):
    response = api.get(path)
    assert response.status_code == 404, response.text
    parse_strict_json(response.text)
    assert api.get(f"/predictions?request_id={path[-300:]}").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/metrics", 200),
        ("GET", "/nothing?secret=1", 404),
        ("DELETE", "/predict", 405),
    ],
)
def test_each_request_is_a_line_without_its_query(api, method, path, status):
    headers = {"X-Request-ID": "mine", "X-Secret": "hush"}
    response = api.request(method, path, headers=headers)
    [line] = api.log_lines()
    assert response.status_code == line["status"] == status
    assert (line["method"], line["path"]) == (method, path.partition("?")[0])
    assert (line["client"], line["caller_id"], line["caller"]) == ("127.0.0.1", "mine", None)
    assert line["latency_ms"] > 0
    assert "secret" not in json.dumps(line).lower()


def test_the_line_of_a_page_names_its_caller(start_api, home):
    keys = home / "keys.json"
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  # of "test"
    keys.write_text(json.dumps([{"name": "ann", "sha256": digest, "per_minute": 0}]))
    api = start_api(KEYS=str(keys))
    statuses = [
        api.get("/model", headers={"X-API-Key": key}).status_code for key in ("test", "wrong")
    ]
    assert statuses == [200, 401]
    refused = api.post("/predict", json={}).status_code
    lines = [(line["path"], line["status"], line["caller"]) for line in api.log_lines()]
    assert lines == [("/model", 200, "ann"), ("/model", 401, None), ("/predict", refused, None)]


def test_health_is_reported_while_the_log_cannot_be_written(start_api, home):
    file = home / "full.log"
    file.symlink_to("/dev/full")
    assert start_api(LOG_FILE=str(file)).get("/health").status_code == 200
