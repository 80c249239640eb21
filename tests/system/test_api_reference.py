"""The API reference as a person uses it: in Chromium, with a service that needs a key."""

import json
import os
import subprocess
import sys

import pytest
from axe_playwright_python.sync_playwright import Axe

from app.response_headers import PAGE_CSP
from housing.schema import FEATURES
from tests.support.processes import running_service, wait_for_response

pytestmark = pytest.mark.slow
DARK_LUMINANCE = 80  # of 255; a page of the dark scheme is darker


@pytest.fixture
def api_key(champion_home):
    """The only API key of the service in the home."""
    command = [sys.executable, "-m", "app.cli.keys", "add", "ann"]
    environment = {**os.environ, "HOUSING_HOME": str(champion_home)}
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return completed.stdout.split()[-1]


def check_layout(page, scheme):
    """Fail if the page is wider than the screen, or not of the scheme, or its frame is flawed."""
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    color = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    channels = [int(part) for part in color.strip("rgba()").split(",")[:3]]
    assert (sum(channels) / 3 < DARK_LUMINANCE and channels != [0, 0, 0]) == (scheme == "dark")
    assert Axe().run(page, context="header").response["violations"] == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_prediction_is_tried_out_with_an_api_key_and_nothing_comes_from_other_hosts(
    browser, champion_home, api_key, width, scheme
):
    with (
        running_service(champion_home) as address,
        browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            http_credentials={"username": "ann", "password": api_key},  # as if typed
        ) as context,
    ):
        wait_for_response(f"{address}/ready")
        page, urls, messages = context.new_page(), [], []
        page.on("request", lambda request: urls.append(request.url))
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        response = page.goto(f"{address}/docs")
        assert response.headers["content-security-policy"] == PAGE_CSP
        assert "unsafe" not in PAGE_CSP
        page.wait_for_selector(".opblock")
        check_layout(page, scheme)
        page.get_by_role("button", name="Authorize").first.click()
        page.get_by_label("Value:").first.fill(api_key)
        page.get_by_role("button", name="Apply credentials").first.click()
        page.get_by_role("button", name="Close").first.click()
        page.click("#operations-predictions-predict .opblock-summary-control")
        with page.expect_response("**/predict?explain=false") as predict:
            page.get_by_role("button", name="Execute").click()
        assert predict.value.request.headers["x-api-key"] == api_key
        assert json.loads(predict.value.request.post_data) == {
            name: feature.example for name, feature in FEATURES.items()
        }
        prediction = predict.value.json()
        assert prediction["prediction_usd"] > 0
        page.get_by_text(prediction["id"]).first.wait_for()
        check_layout(page, scheme)
        assert {url.startswith((address, "data:")) for url in urls} == {True}
        assert messages == []
