"""Errors of any route are answered as problem details."""

import json

import pytest

from app import create_app
from tests.app.blueprints.strict_json import parse_strict_json


def test_unknown_pages_and_methods_are_answered_as_problems(client):
    assert client.get("/nothing").status_code == 404
    assert client.get("/nothing").content_type == "application/problem+json"
    response = client.get("/predict")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


def test_an_unexpected_error_shows_no_traceback(app, block_group):
    app.extensions["champion"].champion = "broken"
    response = app.test_client().post("/predict", json=block_group)
    assert response.status_code == 500
    assert response.json["detail"].startswith("the service failed; its log has the reason under")
    assert "Traceback" not in response.text


@pytest.mark.parametrize("path", [
    "/reports/" + "a" * 400, "/reports/" + "a/" * 5_000, "/reports/%00", "/reports/a%00b/",
    "/reports/%ED%A0%80", "/reports/..%2F..%2Fetc%2Fpasswd", "/reports/%2e%2e/x", "/static/%00",
    "/static/" + "a" * 400, "/static/" + "a/" * 5_000, "/predictions/" + "a" * 5_000,
    "/predictions/%00", "/predictions/%ED%A0%80", "/predictions/%F0%9F%98%80", "/" + "a" * 5_000,
])  # fmt: skip
def test_an_impossible_path_is_not_found(client, path):
    response = client.get(path)
    assert response.status_code == 404, response.text
    parse_strict_json(response.text)
    assert client.get(f"/predictions?request_id={path[-300:]}").status_code == 200


def read_lines(home):
    return [json.loads(line) for line in (home / "var" / "api.log").read_text().splitlines()]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/metrics", 200),
        ("GET", "/nothing?secret=1", 404),
        ("DELETE", "/predict", 405),
    ],
)
def test_each_request_is_a_line_without_its_query(client, champion_home, method, path, status):
    headers = {"X-Request-ID": "mine", "X-Secret": "hush"}
    response = client.open(path, method=method, headers=headers)
    [line] = read_lines(champion_home)
    assert response.status_code == line["status"] == status
    assert (line["method"], line["path"]) == (method, path.partition("?")[0])
    assert (line["client"], line["caller_id"], line["caller"]) == ("127.0.0.1", "mine", None)
    assert line["latency_ms"] > 0
    assert "secret" not in json.dumps(line).lower()


def test_the_line_of_a_page_names_its_caller(app, champion_home):
    keys = champion_home / "var" / "keys.json"
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  # of "test"
    keys.write_text(json.dumps([{"name": "ann", "sha256": digest, "per_minute": 0}]))
    client = create_app().test_client()
    statuses = [
        client.get("/model", headers={"X-API-Key": key}).status_code for key in ("test", "wrong")
    ]
    assert statuses == [200, 401]
    refused = client.post("/predict", json={}).status_code
    lines = [(line["path"], line["status"], line["caller"]) for line in read_lines(champion_home)]
    assert lines == [("/model", 200, "ann"), ("/model", 401, None), ("/predict", refused, None)]


def test_health_is_reported_while_the_log_cannot_be_written(champion_home):
    file = champion_home / "full.log"
    file.symlink_to("/dev/full")
    client = create_app({"LOG_FILE": str(file)}).test_client()
    assert client.get("/health").status_code == 200
