"""The service's own pages as a person uses them, in Chromium, asked of the real service."""

import json
import re

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from matplotlib.path import Path

from app.blueprints import outline
from housing.schema import FEATURES
from tests.support.processes import post_predict, running_service, wait_for_response

pytestmark = pytest.mark.slow
# what the pages have to live with: every script and style from a file, nothing from elsewhere
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
EXAMPLE = {name: feature.example for name, feature in FEATURES.items()}
LOOKS = [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]
TOO_SMALL = """() => [...document.querySelectorAll('nav a, main a, main button, main input')]
    .filter((one) => one.checkVisibility() && !one.closest('.lead, .notice'))
    .filter((one) => one.getBoundingClientRect().height < 40).map((one) => one.outerHTML)"""


class Seen:
    """An open page under the policy, what it has asked for and what its console said."""

    def __init__(self, browser, address, width=1440, scheme="light", path="/", ready=".value"):
        self.address = address
        self.page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.requests, self.said = [], []
        self.page.on("request", lambda one: self.requests.append(one))
        self.page.on("console", lambda one: self.said.append(one.text))
        self.page.on("pageerror", lambda one: self.said.append(str(one)))
        self.page.route(f"{address}{path}", self._under_the_policy)
        self.page.goto(f"{address}{path}")
        self.page.wait_for_selector(ready)

    @staticmethod
    def _under_the_policy(route):
        answer = route.fetch()
        route.fulfill(
            response=answer, headers={**answer.headers, "content-security-policy": POLICY}
        )

    def asked(self):
        """The bodies sent to /predict."""
        return [json.loads(one.post_data) for one in self.requests if one.method == "POST"]

    def asking(self, action):
        """Does it, and waits for the answer to be shown."""
        with self.page.expect_response("**/predict?explain=true"):
            action()
        self.page.wait_for_selector("body:not(.asking, .stale)")

    def number(self, name):
        return float(self.page.input_value(f"#{name}"))

    def press_ask(self):
        self.asking(self.page.get_by_role("button", name="Ask").click)

    def check(self, said=()):
        """Nothing is outside, too wide or unreadable, and the console says only that."""
        width = self.page.viewport_size["width"]
        assert {one.url.startswith((self.address, "data:")) for one in self.requests} == {True}
        assert [one for one in self.said if not any(part in one for part in said)] == []
        assert self.page.evaluate("document.documentElement.scrollWidth") <= width
        assert self.page.evaluate(TOO_SMALL) == []
        found = Axe().run(self.page).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


@pytest.fixture(scope="module")
def address(pipeline_home, tmp_path_factory):
    """The service, with a log of this module alone."""
    log = tmp_path_factory.mktemp("log")
    own = {"HOUSING_DATABASE": str(log / "logs.db"), "HOUSING_LOG_FILE": str(log / "api.log")}
    with running_service(pipeline_home, **own) as started:
        wait_for_response(f"{started}/ready")
        yield started


@pytest.fixture
def seen(browser, address):
    opened = Seen(browser, address)
    yield opened
    opened.page.close()


def dollars(text):
    return int(re.sub(r"[^\d-]", "", text.replace("−", "-")))


def test_the_example_is_answered_before_anything_is_asked(seen):
    assert seen.asked() == [EXAMPLE]
    low, high = re.findall(r"\$([\d,]+)", seen.page.inner_text("p.interval"))
    ends = [dollars(low), dollars(seen.page.inner_text(".value")), dollars(high)]
    assert ends == sorted(ends)
    picture = seen.page.get_by_role("img").get_attribute("aria-label")
    assert seen.page.inner_text(".value") in picture
    assert f"from ${low} to" in picture


def test_what_makes_the_value_sums_to_it(seen):
    rows = seen.page.locator("#why tbody tr").all()
    first, *steps, last = [dollars(one.locator(".dollars").inner_text()) for one in rows]
    assert len(steps) == 7
    assert first + sum(steps) == last == dollars(seen.page.inner_text(".value"))
    assert [abs(one) for one in steps] == pytest.approx(sorted(map(abs, steps))[::-1], abs=1)
    assert "Median household income" in seen.page.inner_text("#why")
    assert "$83,252 a year" in seen.page.inner_text("#why")
    ends = [one.locator("td.track span").last.bounding_box() for one in rows]
    assert ends[-1]["x"] - ends[0]["x"] != 0


def test_bars_lie_where_their_dollars_say(seen):
    left, right = (dollars(one) for one in seen.page.locator("th.track span").all_inner_texts())
    track = seen.page.locator("td.track").first.bounding_box()
    unit = track["width"] / ((right - left) * 1000)
    level = None
    for row in seen.page.locator("#why tbody tr").all()[:-1]:
        bar, moved = row.locator("td.track span").last.bounding_box(), row.locator(".dollars")
        value = dollars(moved.inner_text())
        if level is None:
            level = value
            continue
        low, high = sorted([level, level + value])
        assert bar["x"] == pytest.approx(track["x"] + (low - left * 1000) * unit, abs=1.5)
        assert bar["width"] == pytest.approx(max(2, (high - low) * unit), abs=1.5)
        level += value


def test_a_click_on_the_map_moves_there_and_asks(seen):
    seen.asking(lambda: seen.page.locator("[data-name='Los Angeles'] circle").click(force=True))
    there = seen.asked()[-1]
    assert there["Latitude"] == pytest.approx(34.05, abs=0.03)
    assert there["Longitude"] == pytest.approx(-118.24, abs=0.03)
    assert {**there, "Latitude": 37.88, "Longitude": -122.23} == EXAMPLE
    assert (seen.number("Latitude"), seen.number("Longitude")) == (
        there["Latitude"],
        there["Longitude"],
    )
    assert seen.page.inner_text("#place").endswith(": Los Angeles")


def test_a_click_at_sea_stays_within_what_is_accepted(seen):
    seen.asking(lambda: seen.page.locator("#map svg").click(position={"x": 2, "y": 300}))
    assert seen.number("Longitude") == FEATURES["Longitude"].low
    assert seen.page.locator(".value").count() == 1


def test_the_arrow_keys_move_the_place_and_ask_once(seen):
    seen.page.focus("#map")
    before = seen.page.evaluate("scrollY")
    for key in ("ArrowUp", "ArrowUp", "ArrowRight"):
        seen.page.keyboard.press(key)
    seen.asking(lambda: seen.page.keyboard.press("Shift+ArrowDown"))
    assert (seen.number("Latitude"), seen.number("Longitude")) == (37.48, -122.18)
    assert len(seen.asked()) == 2
    assert seen.page.evaluate("scrollY") == before
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.id") != "map"


def test_typed_numbers_move_the_mark_and_age_the_answer(seen):
    north, east, _ = outline.MAP_CITIES["Redding"]
    seen.page.fill("#Latitude", str(north))
    seen.page.fill("#Longitude", str(east))
    assert seen.page.inner_text("#place").endswith(": Redding")
    mark, city = (
        seen.page.locator(one).bounding_box()
        for one in ("#marker .pin", "[data-name='Redding'] circle")
    )
    for side, size in (("x", "width"), ("y", "height")):
        middle = mark[side] + mark[size] / 2
        assert middle == pytest.approx(city[side] + city[size] / 2, abs=1.5)
    assert seen.page.locator("body.stale").count() == 1
    assert len(seen.asked()) == 1
    seen.press_ask()
    assert seen.page.locator("body.stale").count() == 0


def test_a_bad_number_is_named_beside_its_field(seen):
    seen.page.route("**/predictions?*", lambda _: None)  # whatever is asked there has no answer
    seen.page.fill("#MedInc", "99")
    seen.page.fill("#AveRooms", "")
    seen.press_ask()
    assert "MedInc is 99, expected a number from 0 to 20" in seen.page.inner_text("#MedInc-problem")
    assert "AveRooms is missing" in seen.page.inner_text("#AveRooms-problem")
    assert seen.page.inner_text("#HouseAge-problem") == ""
    assert seen.page.evaluate("document.activeElement.id") == "MedInc"
    assert "2 of the numbers" in seen.page.inner_text("#answer")
    assert not seen.page.is_visible("#why")
    seen.check(said=["422"])
    seen.page.fill("#MedInc", "3")
    seen.page.fill("#AveRooms", "5")
    seen.press_ask()
    assert seen.page.locator("[aria-invalid], .problem:not(:empty)").count() == 0
    assert seen.page.is_visible("#why")


def test_a_recent_prediction_fills_the_form(browser, address):
    fresno = {**EXAMPLE, "MedInc": 2.5, "Latitude": 36.74, "Longitude": -119.79}
    made = post_predict(address, fresno)
    seen = Seen(browser, address)
    row = seen.page.locator("#recent tbody tr", has_text="Fresno").first
    assert f"${made['prediction_usd']:,.0f}" in row.inner_text()
    assert row.locator("a").get_attribute("href") == f"/predictions/{made['id']}"
    seen.asking(row.get_by_role("button").click)
    assert {name: seen.number(name) for name in FEATURES} == seen.asked()[-1] == fresno
    newest = seen.page.locator("#recent tbody tr").first
    newest.get_by_role("button", name="Fresno").wait_for()
    assert seen.page.evaluate("document.activeElement.id") == "answer"
    seen.page.close()


def test_a_refused_request_is_among_the_recent_ones(seen):
    seen.page.fill("#MedInc", "99")
    seen.press_ask()
    newest = seen.page.locator("#recent tbody tr").first
    newest.get_by_text("refused").wait_for()
    assert "MedInc is 99" in newest.inner_text()
    seen.asking(newest.get_by_role("button").click)
    assert seen.number("MedInc") == 99


def test_an_older_service_and_model_do_with_less(browser, address):
    page = browser.new_page()
    problem = {"field": None, "row": None, "problem": "registered without what explains"}
    page.route("**/predictions?*", lambda one: one.fulfill(status=404, json={}))
    page.route(
        "**/predict?explain=true", lambda one: one.fulfill(status=422, json={"errors": [problem]})
    )
    asked = []
    page.on("request", lambda one: asked.append(one.url.removeprefix(address)))
    page.goto(address)
    page.wait_for_selector(".value")
    with page.expect_response("**/predict"):
        page.get_by_role("button", name="Ask").click()
    page.wait_for_selector("body:not(.asking)")
    assert page.locator("p.interval").count() == 1
    assert not page.is_visible("#why")
    assert not page.is_visible("#recent")
    assert asked.count("/predict?explain=true") == asked.count("/predictions?limit=10") == 1
    assert asked.count("/predict") == 2
    page.close()


def test_a_service_that_is_gone_is_named(seen):
    seen.page.route("**/predict?*", lambda one: one.abort())
    seen.page.get_by_role("button", name="Ask").click()
    seen.page.locator("#answer .problem").wait_for()
    assert seen.page.inner_text("#answer").startswith("No answer came")


def test_without_a_champion_nothing_is_asked(browser, tmp_path):
    with running_service(tmp_path) as address:
        seen = Seen(browser, address, ready="[role=note]")
        assert "make run" in seen.page.inner_text("[role=note]")
        assert seen.asked() == []
        seen.press_ask()
        assert "make run" in seen.page.inner_text("#answer")
        seen.check(said=["503", "404"])
        seen.page.close()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_page_is_readable_and_asks_nothing_outside(browser, address, width, scheme):
    seen = Seen(browser, address, width, scheme)
    assert "GENERATED SAMPLE" in seen.page.inner_text("[role=note]").upper()
    seen.page.wait_for_selector("#recent tbody tr")
    seen.check()
    seen.page.fill("#AveRooms", "190")
    seen.press_ask()
    assert "AveRooms is 190, and the model has seen" in seen.page.inner_text("#warnings")
    seen.check()
    seen.page.close()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_how_to_call_it_is_readable_too(browser, address, width, scheme):
    seen = Seen(browser, address, width, scheme, "/docs", "table")
    command = seen.page.locator("pre").first.inner_text()
    assert json.loads(re.search(r"'(\{.*\})'", command)[1]) == EXAMPLE
    seen.check()
    seen.page.close()


def test_the_page_is_light(browser, address):
    seen = Seen(browser, address)
    files = [one for one in seen.requests if one.method == "GET" and "predictions" not in one.url]
    assert sum(len(one.response().body()) for one in files if one.url[:4] == "http") < 60_000
    seen.page.close()


def test_the_outline_holds_nearly_all_block_groups(real_data):
    corners = np.array([1.0, outline.MAP_LONGITUDE_SCALE])
    places = real_data.frame[["Latitude", "Longitude"]].to_numpy() * corners
    inside, away = np.zeros(len(places), bool), np.full(len(places), np.inf)
    for ring in [outline.MAINLAND, *outline.ISLANDS]:
        ends = np.array(ring) * corners
        inside |= Path(ends).contains_points(places)
        for one, other in zip(ends, np.roll(ends, -1, axis=0), strict=True):
            along = np.clip((places - one) @ (other - one) / ((other - one) @ (other - one)), 0, 1)
            apart = places - (one + along[:, None] * (other - one))
            away = np.minimum(away, np.hypot(*apart.T) * 111.2)
    assert inside.mean() > 0.98
    assert (inside | (away < 5)).mean() > 0.999
