"""Pages, files and other answers that are packed by gzip."""

import gzip
import shutil
from pathlib import Path

import pytest

GZIP = {"Accept-Encoding": "gzip"}
REPORT = "<!doctype html><title>a report</title>" + "<p>the same again</p>" * 500


@pytest.fixture
def report(api):
    """The path of a report's page; beside it are a short page and a picture."""
    folder = Path(api.settings["REPORTS"]) / "run"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(REPORT)
    (folder / "short.html").write_text("short")
    (folder / "picture.png").write_bytes(bytes(5_000))
    yield "/reports/run/index.html"
    shutil.rmtree(folder.parent)


@pytest.mark.parametrize(
    "path",
    ["/", "/openapi.json", "/metrics", "/static/page.css", "/static/swagger-ui/swagger-ui.css"],
)
def test_long_answers_are_packed_for_clients_that_take_it(api, path):
    plain, packed = api.get(path), api.get(path, GZIP)
    assert (plain.status_code, packed.status_code) == (200, 200)
    assert "content-encoding" not in {name.lower() for name, _ in plain.headers}
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data)
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert packed.headers["Vary"] == plain.headers["Vary"]
    assert packed.content_type == plain.content_type
    if path != "/metrics":  # which counts these requests
        assert gzip.decompress(packed.data) == plain.data


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip;q=0, *", "*;q=0"])
def test_other_clients_get_plain_answers(api, accepted):
    response = api.get("/openapi.json", {"Accept-Encoding": accepted})
    assert response.json["openapi"]
    assert response.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", ["/health", "/nothing", "/predict"])
def test_short_answers_are_not_packed(api, path):
    response = api.get(path, GZIP)
    assert not {"content-encoding", "vary"} & {name.lower() for name, _ in response.headers}


def test_a_report_is_packed_and_revalidated(api, report):
    plain, packed = api.get(report), api.get(report, GZIP)
    assert gzip.decompress(packed.data).decode() == plain.text == REPORT
    # the same content, not the same bytes
    assert packed.headers["ETag"] == f"W/{plain.headers['ETag']}"
    assert packed.headers.get("Accept-Ranges") is None
    for etag in (plain.headers["ETag"], packed.headers["ETag"]):
        for headers in (GZIP, {}):
            unchanged = api.get(report, headers | {"If-None-Match": etag})
            assert (unchanged.status_code, unchanged.data) == (304, b"")
            assert unchanged.headers["ETag"] == etag
            assert unchanged.headers["Vary"] == "Accept-Encoding"
    assert api.get(report, GZIP | {"If-None-Match": '"other"'}).status_code == 200
    assert api.get(report, GZIP | {"If-Match": packed.headers["ETag"]}).status_code == 412


def test_what_is_short_or_packed_already_is_left_as_it_is(api, report):
    for name in ("short.html", "picture.png"):
        response = api.get(report.replace("index.html", name), GZIP)
        assert response.status_code == 200
        assert "content-encoding" not in {name.lower() for name, _ in response.headers}


def test_a_part_of_a_report_is_not_packed(api, report):
    response = api.get(report, GZIP | {"Range": "bytes=0-1999"})
    assert (response.status_code, response.text) == (206, REPORT[:2_000])
    assert "content-encoding" not in {name.lower() for name, _ in response.headers}


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/static/page.css"])
def test_the_headers_of_head_are_those_of_get(api, path):
    for headers in (GZIP, {}):
        get, head = (api.request(method, path, headers=headers) for method in ("GET", "HEAD"))
        assert head.data == b""
        varying = {"date", "x-request-id"}
        get_headers, head_headers = (
            {name.lower(): value for name, value in response.headers if name.lower() not in varying}
            for response in (get, head)
        )
        assert head_headers == get_headers
