"""The service below a path prefix and for pages of another origin, as Chromium sees it."""

import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Error

from housing.schema import FEATURES
from tests.support.processes import running_service, wait_for_response

pytestmark = pytest.mark.slow
EXAMPLE = {name: feature.example for name, feature in FEATURES.items()}
FETCH_SCRIPT = """async ([url, body]) => {
  const headers = {"Content-Type": "application/json", "X-Request-ID": "mine"};
  const response = await fetch(url, {method: "POST", headers, body: JSON.stringify(body)});
  return [response.status, response.headers.get("X-Request-ID"), await response.json()];
}"""


class EmptyPage(BaseHTTPRequestHandler):
    """Answers with an empty page."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()


@pytest.fixture(scope="module")
def origins():
    """Two origins that have pages."""
    with ExitStack() as stack:
        urls = []
        for _ in range(2):
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage))
            threading.Thread(target=server.serve_forever).start()
            stack.callback(server.shutdown)
            urls.append(f"http://127.0.0.1:{server.server_port}")
        yield urls


@pytest.fixture(scope="module")
def address(shared_champion_home, origins):
    """The address of a service below a prefix, which pages of the first origin may use."""
    settings = {"HOUSING_PATH_PREFIX": "/housing", "HOUSING_CORS_ORIGINS": origins[0]}
    with running_service(shared_champion_home, **settings) as root:
        wait_for_response(f"{root}/ready")
        yield f"{root}/housing"


def test_the_pages_work_below_a_path_prefix(browser, address):
    page, urls, messages = browser.new_page(), [], []
    page.on("request", lambda request: urls.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.goto(f"{address}/")
    page.wait_for_selector(".value")
    page.get_by_role("link", name="this prediction in the log").click()
    page.wait_for_url(f"{address}/predictions/*")
    page.goto(f"{address}/docs")
    page.click("#operations-predictions-predict .opblock-summary-control")
    with page.expect_response("**/predict?explain=false") as predict:
        page.get_by_role("button", name="Execute").click()
    assert predict.value.status == 200
    assert {url.startswith((f"{address}/", "data:")) for url in urls} == {True}
    assert messages == []
    page.close()


def test_pages_of_an_allowed_origin_read_answers_and_errors_and_others_do_not(
    browser, address, origins
):
    page, url = browser.new_page(), f"{address}/predict"
    allowed, refused = origins
    page.goto(allowed)
    status, request_id, answer = page.evaluate(FETCH_SCRIPT, [url, EXAMPLE])
    assert (status, request_id) == (200, "mine")
    assert answer["prediction_usd"] > 0
    status, _, problem = page.evaluate(FETCH_SCRIPT, [url, EXAMPLE | {"MedInc": -1}])
    assert (status, problem["errors"][0]["field"]) == (422, "MedInc")
    page.goto(refused)
    with pytest.raises(Error, match="Failed to fetch"):
        page.evaluate(FETCH_SCRIPT, [url, EXAMPLE])
    page.close()
