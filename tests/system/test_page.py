"""The service's own pages as a person uses them: in Chromium, with a running service."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from matplotlib.path import Path

from app.blueprints import outline
from housing.monitoring.verdict import write_verdict
from housing.schema import FEATURES
from tests.support.monitoring_verdicts import RETRAIN
from tests.support.processes import free_port, post_predict, running_service, wait_for_response

pytestmark = pytest.mark.slow
# the strict policy the pages must work under: scripts and styles from files of this host only
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
EXAMPLE = {name: feature.example for name, feature in FEATURES.items()}
WIDTHS_AND_SCHEMES = [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]
SMALL_TARGETS_SCRIPT = """() =>
    [...document.querySelectorAll('nav a, main a, main button, main input')]
    .filter((element) => element.checkVisibility() && !element.closest('.lead, .notice'))
    .filter((element) => element.getBoundingClientRect().height < 40)
    .map((element) => element.outerHTML)"""


class OpenPage:
    """An open page under the policy, with the requests it has sent and its console messages."""

    def __init__(self, browser, address, width=1440, scheme="light", path="/", ready=".value"):
        self.address = address
        self.page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.requests, self.console_messages = [], []
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("console", lambda message: self.console_messages.append(message.text))
        self.page.on("pageerror", lambda error: self.console_messages.append(str(error)))
        self.page.route(f"{address}{path}", self._add_policy)
        self.page.goto(f"{address}{path}")
        self.page.wait_for_selector(ready)

    @staticmethod
    def _add_policy(route):
        response = route.fetch()
        route.fulfill(
            response=response, headers={**response.headers, "content-security-policy": POLICY}
        )

    def predict_bodies(self):
        """The bodies sent to /predict."""
        return [
            json.loads(request.post_data) for request in self.requests if request.method == "POST"
        ]

    def wait_for_prediction(self, action):
        """Do the action, and wait until the prediction it causes is shown."""
        with self.page.expect_response("**/predict?explain=true"):
            action()
        self.page.wait_for_selector("body:not(.asking, .stale)")

    def input_number(self, name):
        return float(self.page.input_value(f"#{name}"))

    def press_ask(self):
        self.wait_for_prediction(self.page.get_by_role("button", name="Ask").click)

    def check(self, allowed_messages=()):
        """Assert that nothing comes from other hosts, is too wide or hard to read.

        allowed_messages: parts of the console messages that may occur.
        """
        width = self.page.viewport_size["width"]
        urls = [request.url for request in self.requests]
        assert {url.startswith((self.address, "data:")) for url in urls} == {True}
        assert [
            message
            for message in self.console_messages
            if not any(allowed in message for allowed in allowed_messages)
        ] == []
        assert self.page.evaluate("document.documentElement.scrollWidth") <= width
        assert self.page.evaluate(SMALL_TARGETS_SCRIPT) == []
        violations = Axe().run(self.page).response["violations"]
        assert [
            (violation["id"], [node["html"] for node in violation["nodes"]])
            for violation in violations
        ] == []


@pytest.fixture(scope="module")
def address(pipeline_home, tmp_path_factory):
    """The address of a service whose log is this module's own, and whose model is out of date."""
    log_dir = tmp_path_factory.mktemp("log")
    run = (pipeline_home / "reports" / "latest").resolve().name
    write_verdict(log_dir / "verdict.json", replace(RETRAIN, run=run))
    settings = {
        "HOUSING_DATABASE": str(log_dir / "logs.db"),
        "HOUSING_LOG_FILE": str(log_dir / "api.log"),
        "HOUSING_VERDICT": str(log_dir / "verdict.json"),
    }
    with running_service(pipeline_home, **settings) as base_url:
        wait_for_response(f"{base_url}/ready")
        yield base_url


@pytest.fixture
def open_page(browser, address):
    opened = OpenPage(browser, address)
    yield opened
    opened.page.close()


def parse_dollars(text):
    return int(re.sub(r"[^\d-]", "", text.replace("−", "-")))


def test_the_example_is_predicted_when_the_page_opens(open_page):
    assert open_page.predict_bodies() == [EXAMPLE]
    low, high = re.findall(r"\$([\d,]+)", open_page.page.inner_text("p.interval"))
    ends = [
        parse_dollars(low),
        parse_dollars(open_page.page.inner_text(".value")),
        parse_dollars(high),
    ]
    assert ends == sorted(ends)
    picture = open_page.page.get_by_role("img").get_attribute("aria-label")
    assert open_page.page.inner_text(".value") in picture
    assert f"from ${low} to" in picture


def test_the_monitoring_s_verdict_leads_to_its_report(open_page):
    line = open_page.page.locator(".monitoring")
    assert RETRAIN.sentence in line.inner_text()
    line.get_by_role("link", name="report").click()
    open_page.page.wait_for_url("**/reports/*/index.html")


def test_the_contributions_sum_to_the_value(open_page):
    rows = open_page.page.locator("#why tbody tr").all()
    first, *steps, last = [parse_dollars(row.locator(".dollars").inner_text()) for row in rows]
    assert len(steps) == 7
    assert first + sum(steps) == last == parse_dollars(open_page.page.inner_text(".value"))
    assert [abs(step) for step in steps] == pytest.approx(sorted(map(abs, steps))[::-1], abs=1)
    assert "Median household income" in open_page.page.inner_text("#why")
    assert "$83,252 a year" in open_page.page.inner_text("#why")
    ends = [row.locator("td.track span").last.bounding_box() for row in rows]
    assert ends[-1]["x"] - ends[0]["x"] != 0


def test_bars_are_drawn_to_the_scale_of_their_dollars(open_page):
    scale_start, scale_end = (
        parse_dollars(text) for text in open_page.page.locator("th.track span").all_inner_texts()
    )
    track = open_page.page.locator("td.track").first.bounding_box()
    pixels_per_dollar = track["width"] / ((scale_end - scale_start) * 1000)
    level = None
    for row in open_page.page.locator("#why tbody tr").all()[:-1]:
        bar = row.locator("td.track span").last.bounding_box()
        value = parse_dollars(row.locator(".dollars").inner_text())
        if level is None:
            level = value
            continue
        low, high = sorted([level, level + value])
        assert bar["x"] == pytest.approx(
            track["x"] + (low - scale_start * 1000) * pixels_per_dollar, abs=1.5
        )
        assert bar["width"] == pytest.approx(max(2, (high - low) * pixels_per_dollar), abs=1.5)
        level += value


def test_a_click_on_the_map_predicts_for_that_location(open_page):
    open_page.wait_for_prediction(
        lambda: open_page.page.locator("[data-name='Los Angeles'] circle").click(force=True)
    )
    row = open_page.predict_bodies()[-1]
    assert row["Latitude"] == pytest.approx(34.05, abs=0.03)
    assert row["Longitude"] == pytest.approx(-118.24, abs=0.03)
    assert {**row, "Latitude": 37.88, "Longitude": -122.23} == EXAMPLE
    assert (open_page.input_number("Latitude"), open_page.input_number("Longitude")) == (
        row["Latitude"],
        row["Longitude"],
    )
    assert open_page.page.inner_text("#place").endswith(": Los Angeles")


def test_a_click_at_sea_stays_within_what_is_accepted(open_page):
    open_page.wait_for_prediction(
        lambda: open_page.page.locator("#map svg").click(position={"x": 2, "y": 300})
    )
    assert open_page.input_number("Longitude") == FEATURES["Longitude"].low
    assert open_page.page.locator(".value").count() == 1


def test_the_arrow_keys_move_the_location_and_send_one_request(open_page):
    open_page.page.focus("#map")
    scroll_position = open_page.page.evaluate("scrollY")
    for key in ("ArrowUp", "ArrowUp", "ArrowRight"):
        open_page.page.keyboard.press(key)
    open_page.wait_for_prediction(lambda: open_page.page.keyboard.press("Shift+ArrowDown"))
    assert (open_page.input_number("Latitude"), open_page.input_number("Longitude")) == (
        37.48,
        -122.18,
    )
    assert len(open_page.predict_bodies()) == 2
    assert open_page.page.evaluate("scrollY") == scroll_position
    open_page.page.keyboard.press("Tab")
    assert open_page.page.evaluate("document.activeElement.id") != "map"


def test_typed_numbers_move_the_marker_and_mark_the_prediction_as_stale(open_page):
    latitude, longitude = outline.TOWNS["Redding"]
    open_page.page.fill("#Latitude", str(latitude))
    open_page.page.fill("#Longitude", str(longitude))
    assert open_page.page.inner_text("#place").endswith(": Redding")
    marker, city = (
        open_page.page.locator(selector).bounding_box()
        for selector in ("#marker .pin", "[data-name='Redding'] circle")
    )
    for side, size in (("x", "width"), ("y", "height")):
        marker_center = marker[side] + marker[size] / 2
        assert marker_center == pytest.approx(city[side] + city[size] / 2, abs=1.5)
    assert open_page.page.locator("body.stale").count() == 1
    assert len(open_page.predict_bodies()) == 1
    open_page.press_ask()
    assert open_page.page.locator("body.stale").count() == 0


def test_a_bad_number_is_named_beside_its_field(open_page):
    open_page.page.route("**/predictions?*", lambda _: None)  # never answered
    open_page.page.fill("#MedInc", "99")
    open_page.page.fill("#AveRooms", "")
    open_page.press_ask()
    assert "MedInc is 99, expected a number from 0 to 20" in open_page.page.inner_text(
        "#MedInc-problem"
    )
    assert "AveRooms is missing" in open_page.page.inner_text("#AveRooms-problem")
    assert open_page.page.inner_text("#HouseAge-problem") == ""
    assert open_page.page.evaluate("document.activeElement.id") == "MedInc"
    assert "2 of the numbers" in open_page.page.inner_text("#answer")
    assert not open_page.page.is_visible("#why")
    open_page.check(allowed_messages=["422"])
    open_page.page.fill("#MedInc", "3")
    open_page.page.fill("#AveRooms", "5")
    open_page.press_ask()
    assert open_page.page.locator("[aria-invalid], .problem:not(:empty)").count() == 0
    assert open_page.page.is_visible("#why")


def test_a_recent_prediction_fills_the_form(browser, address):
    fresno = {**EXAMPLE, "MedInc": 2.5, "Latitude": 36.74, "Longitude": -119.79}
    prediction = post_predict(address, fresno)
    open_page = OpenPage(browser, address)
    row = open_page.page.locator("#recent tbody tr", has_text="Fresno").first
    assert f"${prediction['prediction_usd']:,.0f}" in row.inner_text()
    assert row.locator("a").get_attribute("href") == f"/predictions/{prediction['id']}"
    open_page.wait_for_prediction(row.get_by_role("button", name="Fresno").click)
    assert (
        {name: open_page.input_number(name) for name in FEATURES}
        == open_page.predict_bodies()[-1]
        == fresno
    )
    newest = open_page.page.locator("#recent tbody tr").first
    newest.get_by_role("button", name="Fresno").wait_for()
    assert open_page.page.evaluate("document.activeElement.id") == "answer"
    open_page.page.close()


@pytest.mark.parametrize(("width", "scheme"), WIDTHS_AND_SCHEMES)
def test_a_logged_prediction_gets_its_true_value(browser, address, width, scheme):
    open_page = OpenPage(browser, address, width, scheme)
    page = open_page.page
    page.locator("#recent .truth").first.click()
    assert page.evaluate("document.activeElement.id") == "truth"
    page.keyboard.type("4.5")
    page.keyboard.press("Enter")
    assert page.inner_text("#truth-problem") == "Expected dollars from $1,000 to $5,000,000."
    assert page.get_attribute("#truth", "aria-invalid") == "true"
    open_page.check()
    page.fill("#truth", "$452,600")
    page.keyboard.press("Enter")
    saved_button = page.locator("#recent .truth:focus")
    saved_button.wait_for()
    assert saved_button.inner_text() == "$452,600"
    prediction_id = saved_button.get_attribute("data-id")
    assert page.request.get(f"{address}/predictions/{prediction_id}").json()["truth"] == 4.526
    page.keyboard.press("Enter")
    assert page.input_value("#truth") == "452600"
    page.keyboard.press("Escape")
    assert page.locator("#recent form").count() == 0
    open_page.check()
    page.close()


def test_a_true_value_that_the_service_refuses_is_named_beside_its_field(open_page):
    page = open_page.page
    page.route(
        "**/feedback", lambda route: route.fulfill(status=503, json={"detail": "the log is full"})
    )
    page.locator("#recent .truth").first.click()
    page.fill("#truth", "452600")
    page.keyboard.press("Enter")
    page.get_by_text("The log is full.").wait_for()
    assert page.evaluate("document.activeElement.id") == "truth"
    page.get_by_role("button", name="Cancel").click()
    page.locator("#recent form").wait_for(state="detached")


def test_a_refused_request_is_among_the_recent_ones(open_page):
    open_page.page.fill("#MedInc", "99")
    open_page.press_ask()
    newest = open_page.page.locator("#recent tbody tr").first
    newest.get_by_text("refused").wait_for()
    assert "MedInc is 99" in newest.inner_text()
    open_page.wait_for_prediction(newest.get_by_role("button").click)
    assert open_page.input_number("MedInc") == 99


def test_the_page_works_with_an_older_service_and_model(browser, address):
    page = browser.new_page()
    problem = {"field": None, "row": None, "problem": "registered without explanations"}
    page.route("**/predictions?*", lambda route: route.fulfill(status=404, json={}))
    page.route(
        "**/predict?explain=true",
        lambda route: route.fulfill(status=422, json={"errors": [problem]}),
    )
    requested_paths = []
    page.on("request", lambda request: requested_paths.append(request.url.removeprefix(address)))
    page.goto(address)
    page.wait_for_selector(".value")
    with page.expect_response("**/predict"):
        page.get_by_role("button", name="Ask").click()
    page.wait_for_selector("body:not(.asking)")
    assert page.locator("p.interval").count() == 1
    assert not page.is_visible("#why")
    assert not page.is_visible("#recent")
    assert requested_paths.count("/predict?explain=true") == 1
    assert requested_paths.count("/predictions?limit=10") == 1
    assert requested_paths.count("/predict") == 2
    page.close()


def test_a_service_that_does_not_answer_is_reported(open_page):
    open_page.page.route("**/predict?*", lambda route: route.abort())
    open_page.page.get_by_role("button", name="Ask").click()
    open_page.page.locator("#answer .problem").wait_for()
    assert open_page.page.inner_text("#answer").startswith("No answer came")


@pytest.fixture
def changeable_home(pipeline_home, tmp_path):
    """A home in which nothing was trained yet, and a function that brings what was trained."""
    home = tmp_path / "home"
    home.mkdir()

    def bring_store():
        (home / "var").mkdir(exist_ok=True)
        shutil.copytree(pipeline_home / "var" / "artifacts", home / "var" / "artifacts")
        shutil.copy(pipeline_home / "var" / "mlflow.db", home / "var" / "new.db")
        (home / "var" / "new.db").rename(home / "var" / "mlflow.db")

    return home, bring_store


def test_the_page_of_a_service_without_a_model_heals_when_there_is_one_and_after_a_restart(
    browser, changeable_home
):
    home, bring_store = changeable_home
    port = str(free_port())
    with running_service(home, HOUSING_PORT=port) as address:
        open_page = OpenPage(browser, address, ready="[role=note]")
        page = open_page.page
        page.evaluate("window.isFirstDocument = true")
        page.get_by_role("note").get_by_text("`make run` trains").wait_for()
        assert page.get_by_role("button", name="Ask").is_disabled()
        page.fill("#MedInc", "5")
        page.press("#MedInc", "Enter")
        assert open_page.predict_bodies() == []
        open_page.check(allowed_messages=["503", "404"])
        bring_store()
        page.wait_for_selector(".value", timeout=60_000)
        assert page.get_by_role("button", name="Ask").is_enabled()
        assert open_page.predict_bodies()[0] == {**EXAMPLE, "MedInc": 5}
        assert "california-housing-sample version 1" in page.inner_text("#model")
        assert "GENERATED SAMPLE" in page.inner_text("[role=note]").upper()
        assert page.locator(".training-density").count() == 3
        assert page.is_visible(".legend")
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("note").get_by_text("The service does not answer").wait_for()
    assert page.get_by_role("button", name="Ask").is_disabled()
    requests_before = len(open_page.predict_bodies())
    with running_service(home, HOUSING_PORT=port):
        page.wait_for_selector("#ask button[type=submit]:enabled", timeout=60_000)
        page.wait_for_selector("#answer .value")
        assert len(open_page.predict_bodies()) > requests_before
        assert page.evaluate("window.isFirstDocument")
        assert "version 1" in page.inner_text("#model")
    page.close()


@pytest.mark.parametrize(("width", "scheme"), WIDTHS_AND_SCHEMES)
def test_the_page_is_readable_and_loads_nothing_from_other_hosts(browser, address, width, scheme):
    open_page = OpenPage(browser, address, width, scheme)
    assert "GENERATED SAMPLE" in open_page.page.inner_text("[role=note]").upper()
    open_page.page.wait_for_selector("#recent tbody tr")
    open_page.check()
    open_page.page.fill("#AveRooms", "190")
    open_page.press_ask()
    assert "AveRooms is 190, and the model has seen" in open_page.page.inner_text("#warnings")
    assert "nine of ten" not in open_page.page.inner_text("#answer").lower()
    assert "is unknown for a block group unlike those" in open_page.page.inner_text("p.interval")
    assert "an interval that may not hold" in open_page.page.get_attribute(".scale", "aria-label")
    assert open_page.page.locator(".range.uncalibrated").count() == 1
    open_page.check()
    open_page.page.close()


def test_the_page_is_small(browser, address):
    open_page = OpenPage(browser, address)
    files = [
        request
        for request in open_page.requests
        if request.method == "GET"
        and request.url.startswith("http")
        and "predictions" not in request.url
    ]
    assert sum(len(request.response().body()) for request in files) < 60_000
    open_page.page.close()


def test_the_outline_contains_nearly_all_block_groups(real_data):
    scale = np.array([1.0, outline.MAP_LONGITUDE_SCALE])
    points = real_data.frame[["Latitude", "Longitude"]].to_numpy() * scale
    is_inside, coast_km = np.zeros(len(points), bool), np.full(len(points), np.inf)
    for ring in [outline.MAINLAND, *outline.ISLANDS]:
        corners = np.array(ring) * scale
        is_inside |= Path(corners).contains_points(points)
        for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            edge = end - start
            fraction = np.clip((points - start) @ edge / (edge @ edge), 0, 1)
            offsets = points - (start + fraction[:, None] * edge)
            coast_km = np.minimum(coast_km, np.hypot(*offsets.T) * 111.2)
    assert is_inside.mean() > 0.98
    assert (is_inside | (coast_km < 5)).mean() > 0.999
