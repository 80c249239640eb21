"""The service behind proxies: its paths, links and the client's address."""

import re

import pytest
from werkzeug.test import create_environ

from app import forwarding
from app.forwarding import ProxySettings, split_prefix


@pytest.mark.parametrize(
    ("path", "configured", "forwarded", "expected"),
    [
        ("/model", "", "", ("", "/model")),
        ("/housing/model", "", "", ("", "/housing/model")),
        ("/housing/model", "/housing", "", ("/housing", "/model")),  # a proxy that strips nothing
        ("/model", "/housing", "", ("/housing", "/model")),  # one that does
        ("/model", "", "/housing", ("/housing", "/model")),
        ("/housing/model", "", "/housing", ("/housing", "/model")),
        ("/model", "/housing", "/housing", ("/housing", "/model")),
        ("/housing/model", "/housing", "/housing", ("/housing", "/model")),
        ("/housing/model", "/housing", "/outer", ("/outer/housing", "/model")),
        ("/housing/model", "/housing", "/outer/housing", ("/outer/housing", "/model")),
        ("/model", "/housing", "/elsewhere", ("/elsewhere", "/model")),
        ("/housing", "/housing", "", ("/housing", "/")),
        ("/housing/", "/housing", "", ("/housing", "/")),
        ("/housings", "/housing", "", ("/housing", "/housings")),
        ("//housing/model", "/housing", "", ("/housing", "/model")),
        ("/", "/housing", "", ("/housing", "/")),
        ("", "/housing", "", ("/housing", "/")),
        ("/a/b/model", "/a/b", "", ("/a/b", "/model")),
    ],
)
def test_a_prefix_is_split_from_the_path(path, configured, forwarded, expected):
    assert split_prefix(path, configured, forwarded) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""), ("/", ""), ("housing", "/housing"), ("/housing/", "/housing"),
        (" /a/b-c_d.e~f ", "/a/b-c_d.e~f"), ("//evil.example", "/evil.example"),
    ],
)  # fmt: skip
def test_a_prefix_has_one_spelling(text, expected):
    assert forwarding.normalize_prefix(text) == expected


@pytest.mark.parametrize(
    "text", ["/a b", "/a//b", "/a?b", "/a#b", "/a/../b", "/.", "/%61", "/é", '/"', "/<", "/a;b"]
)
def test_a_prefix_that_is_no_path_is_refused(text):
    with pytest.raises(ValueError, match="a path "):
        forwarding.normalize_prefix(text)


@pytest.mark.parametrize(
    ("trusted_count", "header", "expected"),
    [
        (0, "203.0.113.7", "127.0.0.1"),
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "6.6.6.6, 203.0.113.7", "203.0.113.7"),  # the client has sent the first itself
        (2, "6.6.6.6, 203.0.113.7, 10.0.0.1", "203.0.113.7"),
        (2, "203.0.113.7", "127.0.0.1"),  # it came past one of the proxies
        (1, "203.0.113.7:4711", "203.0.113.7"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "[2001:db8::1]:4711", "2001:db8::1"),
        (1, '"[2001:db8::1]"', "2001:db8::1"),
        (1, "unknown", "127.0.0.1"),
        (1, "", "127.0.0.1"),
        (1, '"},{"a', "127.0.0.1"),
    ],
)
def test_the_client_is_who_the_outermost_trusted_proxy_has_seen(trusted_count, header, expected):
    settings = ProxySettings("", trusted_count)
    headers = {"x-forwarded-for": header}
    original = forwarding.resolve_request(settings, "/", headers, "127.0.0.1", "http")
    assert original.client == expected


def test_only_valid_values_of_other_headers_are_believed():
    headers = {"host": "inner", "x-forwarded-host": "maps.example", "x-forwarded-proto": "HTTPS"}
    settings = ProxySettings("", 1)
    original = forwarding.resolve_request(settings, "/", headers, "", "http")
    assert (original.scheme, original.host) == ("https", "maps.example")
    headers |= {"x-forwarded-host": "a/b", "x-forwarded-proto": "javascript"}
    headers["x-forwarded-prefix"] = "/<script>"
    original = forwarding.resolve_request(settings, "/", headers, "", "http")
    assert (original.scheme, original.host, original.path_prefix) == ("http", "inner", "")


@pytest.mark.parametrize(
    ("script_name", "settings", "expected"),
    [
        ("", ProxySettings("/housing", 0), "/housing"),
        ("/housing", ProxySettings("/housing", 0), "/housing"),
        ("/housing", ProxySettings("", 0), "/housing"),
        ("/api", ProxySettings("/housing", 0), "/housing/api"),
        ("/api", ProxySettings("", 1), "/outer/api"),
    ],
)
def test_the_mount_point_of_a_wsgi_server_follows_the_prefix(script_name, settings, expected):
    environ = create_environ("/model", headers={"X-Forwarded-Prefix": "/outer"})
    environ["SCRIPT_NAME"] = script_name
    app = forwarding.wrap_wsgi_app(lambda environ, start_response: [], settings)
    app(environ, None)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (expected, "/model")


BEHIND_PROXIES = {  # settings, the path that the proxy sends for /housing/, and its headers
    "a prefix, stripped": ({"PATH_PREFIX": "/housing"}, "", {}),
    "a prefix, not stripped": ({"PATH_PREFIX": "/housing"}, "/housing", {}),
    "a forwarded prefix": ({"TRUSTED_PROXIES": 1}, "", {"X-Forwarded-Prefix": "/housing"}),
    "a forwarded prefix, not stripped": (
        {"TRUSTED_PROXIES": 1},
        "/housing",
        {"X-Forwarded-Prefix": "/housing/"},
    ),
    "both": (
        {"PATH_PREFIX": "housing/", "TRUSTED_PROXIES": 1},
        "",
        {"X-Forwarded-Prefix": "/housing"},
    ),
    "several proxies": (
        {"TRUSTED_PROXIES": 3},
        "",
        {"X-Forwarded-Prefix": "/housing", "X-Forwarded-For": "203.0.113.7, 10.0.0.2, 10.0.0.1"},
    ),
}


@pytest.mark.parametrize("name", BEHIND_PROXIES)
def test_links_redirects_and_problems_have_the_prefix(start_api, home, block_group, name):
    settings, path_start, headers = BEHIND_PROXIES[name]
    headers = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Host": "maps.example"} | headers
    reports = home / "var" / "reports" / "run"
    reports.mkdir(parents=True)
    (reports / "index.html").write_text("the run")
    api = start_api(**settings)

    for page in ("/", "/docs"):
        html = api.get(f"{path_start}{page}", headers).text
        links = re.findall(r'(?:href|src)="(/[^"]*)"', html)
        assert len(links) >= 5
        assert {link for link in links if not link.startswith("/housing/")} == set()
        assert 'data-root="/housing"' in html
    for link in links:
        assert api.get(path_start + link.removeprefix("/housing"), headers).status_code in (
            200, 404, 503,
        )  # fmt: skip
    assert api.get(f"{path_start}/static/page.css", headers).status_code == 200
    assert api.get(f"{path_start}/openapi.json", headers).json["servers"] == [{"url": "/housing"}]
    for path in ("/reports", "/reports/run"):
        response = api.get(path_start + path, headers)
        assert response.status_code in (302, 308)
        assert response.headers["Location"] == f"/housing{path}/"
    assert api.get(f"{path_start}/reports/run/", headers).text == "the run"
    refused = api.post(f"{path_start}/predict", json=block_group | {"MedInc": -1}, headers=headers)
    assert refused.json["instance"] == f"/housing/predictions/{refused.json['id']}"
    assert api.get(f"{path_start}/nothing", headers).json["instance"].startswith("/housing/")
    answer = api.post(f"{path_start}/predict", json=block_group, headers=headers)
    assert answer.status_code == 200
    assert api.get(f"{path_start}/predictions/{answer.json['id']}", headers).status_code == 200
    expected_client = "203.0.113.7" if settings.get("TRUSTED_PROXIES") else "127.0.0.1"
    lines = api.log_lines()
    assert {line["client"] for line in lines} == {expected_client}
    assert {line["path"] for line in lines if "housing" in line["path"]} == set()


def test_without_a_setting_the_headers_of_proxies_change_nothing(api, block_group):
    headers = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/evil",
    }
    assert "evil" not in api.get("/", headers).text
    assert api.get("/reports", headers).headers["Location"] == "/reports/"
    assert "servers" not in api.get("/openapi.json", headers).json
    refused = api.post("/predict", b"", "application/json", headers)
    assert refused.json["instance"].startswith("/predictions/")
    assert api.get("/evil/model", headers).status_code == 404
    assert {line["client"] for line in api.log_lines()} == {"127.0.0.1"}
