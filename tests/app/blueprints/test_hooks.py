"""Errors of any route are answered as problem details."""

import pytest

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
