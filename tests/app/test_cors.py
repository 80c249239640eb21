"""Pages of other origins: which may use the API, and what a browser is told."""

import json

import pytest

from app import cors
from app.auth.api_keys import hash_key

PAGE = "https://maps.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST"}


def cors_headers(response):
    return {
        name.lower(): value
        for name, value in response.headers
        if name.lower().startswith("access-control-")
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", {"*"}),
        ("https://maps.example", {"https://maps.example"}),
        ("https://maps.example/, http://localhost:3000", {PAGE, "http://localhost:3000"}),
        ("HTTPS://Maps.Example:443 http://a:80", {PAGE, "http://a"}),
        ("http://[::1]:3000", {"http://[::1]:3000"}),
    ],
)
def test_origins_are_compared_as_browsers_send_them(text, expected):
    assert cors.parse_origins(text).origins == expected


@pytest.mark.parametrize(
    "text", ["maps.example", "https://*.example", "https://a/b", "null", "ftp://a", "https://a:b"]
)
def test_what_is_no_origin_is_refused(text):
    with pytest.raises(ValueError, match=r"origins such as"):
        cors.parse_origins(text)


def test_by_default_no_page_may(api, block_group):
    headers = {"Origin": PAGE}
    assert cors_headers(api.post("/predict", json=block_group, headers=headers)) == {}
    response = api.request("OPTIONS", "/predict", headers=headers | PREFLIGHT)
    assert (cors_headers(response), response.headers.get("Vary")) == ({}, None)


@pytest.fixture
def start_with_key(start_api, home):
    """Return a function that starts the API with a key `ann` for 3 requests a minute."""

    def start(**settings):
        record = {"name": "ann", "sha256": hash_key("ann"), "per_minute": 3}
        (home / "var" / "keys.json").write_text(json.dumps([record]))
        return start_api(**settings)

    return start


def test_every_answer_to_a_page_says_that_it_may_read_it(start_with_key, block_group):
    api = start_with_key(CORS_ORIGINS=f"{PAGE}, http://localhost:3000", MAX_CONTENT_LENGTH=1_000)
    headers = {"Origin": PAGE, "X-API-Key": "ann"}
    responses = [
        api.post("/predict", json=block_group, headers=headers),
        api.get("/nothing", headers=headers),
        api.post("/predict", json=block_group | {"MedInc": -1}, headers=headers),
        api.post("/predict", json=block_group, headers=headers),  # over the limit
        api.post("/invocations", b"{}", "application/json", headers={"Origin": PAGE}),
        api.get("/model", headers={"Origin": PAGE}),
        api.post("/health", b" " * 1_001, headers={"Origin": PAGE}),
        api.get("/health", headers={"Origin": PAGE}),
    ]
    statuses = [200, 404, 422, 429, 401, 401, 413, 200]
    assert [response.status_code for response in responses] == statuses
    for response in responses:
        assert cors_headers(response) == {
            "access-control-allow-origin": PAGE,
            "access-control-expose-headers": cors.EXPOSED_HEADERS,
        }
        assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/predictions", "/model", "/"])
def test_a_preflight_request_needs_no_key(start_with_key, path):
    api = start_with_key(CORS_ORIGINS=PAGE)
    for _ in range(5):
        response = api.request("OPTIONS", path, headers={"Origin": PAGE} | PREFLIGHT)
        assert (response.status_code, response.data) == (204, b"")
        headers = cors_headers(response)
        assert headers["access-control-allow-origin"] == PAGE
        assert headers["access-control-allow-methods"] == "GET, HEAD, POST"
        for name in ("Content-Type", "Content-Encoding", "X-API-Key", "Authorization"):
            assert name in headers["access-control-allow-headers"].split(", ")
        assert headers["access-control-max-age"] == "600"
    for headers in ({"Origin": "https://evil.example"} | PREFLIGHT, {"Origin": PAGE}, PREFLIGHT):
        assert api.request("OPTIONS", path, headers=headers).status_code == 401


def test_a_page_of_another_origin_gets_no_permission(start_api, block_group):
    api = start_api(CORS_ORIGINS=PAGE)
    for origin in ("https://evil.example", "http://maps.example", f"{PAGE}.evil", "null", ""):
        response = api.post("/predict", json=block_group, headers={"Origin": origin})
        assert (response.status_code, cors_headers(response)) == (200, {})
        assert response.headers["Vary"] == "Origin"  # for a cache
    assert api.get("/", {}).headers["Vary"] == "Accept-Encoding, Origin"


def test_all_pages_may_if_the_setting_says_so(start_api, block_group):
    api = start_api(CORS_ORIGINS="*")
    for origin in (PAGE, "null", None):
        headers = {"Origin": origin} if origin else {}
        response = api.post("/predict", json=block_group, headers=headers)
        assert cors_headers(response)["access-control-allow-origin"] == "*"
        assert response.headers.get("Vary") is None
    response = api.request("OPTIONS", "/predict", headers={"Origin": "null"} | PREFLIGHT)
    assert response.status_code == 204
