import json
import re
from base64 import b64decode
from html import escape
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from housing.plots.interactive import build_interactive_figure

FORMATS = {"error": "${:+,.0f}", "share": "{:.2f} %"}
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


@pytest.fixture
def facts():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": rng.uniform(0, 10, 300),
            "y": rng.uniform(0, 10, 300),
            "": rng.choice(["near Fresno", "near <Chico> & co"], 300),
            "error": rng.normal(0, 60_000, 300).round(-2),
            "share": rng.uniform(0, 100, 300),
        }
    )


def make(facts, formats=FORMATS):
    axes = plt.figure(figsize=(5, 4)).gca()
    axes.scatter(facts.x, facts.y, rasterized=True)
    axes.set_title("Dots")
    told = facts.drop(columns=["x", "y"])
    return axes, build_interactive_figure(
        axes, facts.x, facts.y, told, formats, "Three hundred dots"
    )


def told(html):
    """What the script is given, as it unpacks it."""
    script = html[html.rindex("<script>") : html.rindex("</script>")]
    given = json.loads(re.search(r'\}\)\((\{.*\}), "hover-\w+"\);', script)[1])

    def unpack(one):
        codes = np.frombuffer(b64decode(one["data"]), f"<u{one['bytes']}")
        return (one["low"] + one["step"] * codes.astype(float)) / 10 ** one["decimals"]

    return given, unpack


def test_every_number_comes_back_as_it_would_be_written(facts):
    given, unpack = told(make(facts)[1].html)
    place, error, share = given["facts"]
    words = [place["words"][int(code)] for code in unpack(place)]
    assert words == list(facts[""])
    assert unpack(error) == pytest.approx(facts["error"].to_numpy(), abs=1e-6)
    assert unpack(share) == pytest.approx(facts["share"].to_numpy(), abs=0.005)
    assert (error["before"], error["sign"], share["after"]) == ("$", "+", " %")


def test_hundreds_of_dollars_take_two_bytes(facts):
    given, _ = told(make(facts)[1].html)
    assert (given["facts"][1]["step"], given["facts"][1]["bytes"]) == (100, 2)


def test_places_come_back_to_where_the_dots_are_drawn(facts):
    axes, made = make(facts)
    given, unpack = told(made.html)
    drawn = axes.transData.transform(facts[["x", "y"]].to_numpy())
    size = axes.figure.bbox.size
    assert unpack(given["x"]) / 65_535 * size[0] == pytest.approx(drawn[:, 0], abs=0.01)
    assert (1 - unpack(given["y"]) / 65_535) * size[1] == pytest.approx(drawn[:, 1], abs=0.01)


def test_the_same_dots_give_the_same_bytes_and_others_another_id(facts):
    assert make(facts)[1].html == make(facts)[1].html
    other = make(facts.assign(error=0.0))[1].html
    ids = [re.search(r'<div id="(hover-\w+)"', one)[1] for one in (make(facts)[1].html, other)]
    assert ids[0] != ids[1]


def test_it_asks_for_nothing_from_outside(facts):
    html = make(facts)[1].html
    addresses = re.findall(r"[a-z]+://[^\"'\s<)]+", html)
    assert {one for one in addresses if not one.startswith("http://www.w3.org/")} == set()
    assert not re.search(r"<(link|img|iframe)\b|@import|\bfetch\(|<script src|url\((?!#)", html)


def test_a_text_cannot_end_the_script(facts):
    html = make(facts.assign(**{"": "</script><b>"}))[1].html
    assert html.count("</script>") == 1


def test_it_shows_itself_as_a_widget_and_else_as_a_plain_picture(facts):
    data, metadata = make(facts)[1]._repr_mimebundle_()
    assert set(data) == {"text/html", "image/png", "text/plain"}
    image = Image.open(BytesIO(b64decode(data["image/png"])))
    assert image.size == (1000, 800)
    assert metadata["image/png"] == {"width": 500, "height": 400}
    assert data["text/plain"] == "Three hundred dots"


def test_a_format_that_cannot_be_packed_is_named(facts):
    with pytest.raises(ValueError, match=r"share has format '\{:e\}'"):
        make(facts, FORMATS | {"share": "{:e}"})


def test_a_single_dot_can_be_packed(facts):
    given, unpack = told(make(facts.head(1))[1].html)
    assert unpack(given["facts"][1]) == facts["error"].head(1).to_numpy()


@pytest.fixture
def page(browser, facts, tmp_path):
    """The widget as a report holds it: in a frame that may run scripts and ask for nothing."""
    head = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    inner = f"<!doctype html>{head}<body style='margin:0'>{make(facts)[1].html}"
    frame = f'<iframe sandbox="allow-scripts" srcdoc="{escape(inner)}" width=500 height=460>'
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{frame}</iframe>")
    page = browser.new_page()
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    page.widget = page.frame_locator("iframe")
    page.widget.locator(".card:not([hidden])").wait_for()
    yield page
    page.close()


def written(row):
    value = row["error"]
    sign = "\u2212" if value < 0 else "+" if value > 0 else ""
    return f"{row['']}\nerror\n{sign}${abs(value):,.0f}\nshare\n{row['share']:.2f} %"


@pytest.mark.slow
def test_pointing_at_a_dot_says_what_it_is(page, facts):
    given, unpack = told(make(facts)[1].html)
    x, y = unpack(given["x"]) / 65_535, unpack(given["y"]) / 65_535
    box = page.widget.locator("svg").bounding_box()
    for dot in (0, 17):
        page.mouse.move(box["x"] + box["width"] * x[dot], box["y"] + box["height"] * y[dot])
        said = page.widget.locator(".card").inner_text().replace("\n\n", "\n")
        assert said == written(facts.iloc[dot])
        mark = page.widget.locator(".mark").bounding_box()
        middle = mark["x"] + mark["width"] / 2
        assert middle == pytest.approx(box["x"] + box["width"] * x[dot], abs=1)
    assert page.said == []


@pytest.mark.slow
def test_arrow_keys_go_from_dot_to_dot(page):
    page.widget.locator(".stage").focus()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Escape"):
        page.keyboard.press(key)
        mark = page.widget.locator(".mark").bounding_box()
        seen.append((mark["x"], mark["y"]) if mark else None)
    assert page.widget.locator(".mark").get_attribute("visibility") == "hidden"
    assert seen[1][0] > seen[0][0]
    assert seen[2][1] < seen[1][1]
    assert page.said == []
