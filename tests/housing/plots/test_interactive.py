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
def dots():
    """Return positions, a text and two numbers of 300 dots."""
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


def draw(dots, formats=FORMATS):
    """Return the Axes with the dots drawn, and the interactive figure."""
    axes = plt.figure(figsize=(5, 4)).gca()
    axes.scatter(dots.x, dots.y, rasterized=True)
    axes.set_title("Dots")
    tooltip_data = dots.drop(columns=["x", "y"])
    return axes, build_interactive_figure(
        axes, dots.x, dots.y, tooltip_data, formats, "Three hundred dots"
    )


def html_of(dots):
    return draw(dots)[1].html


def read_payload(html):
    """Return the data that the script is called with."""
    script = html[html.rindex("<script>") : html.rindex("</script>")]
    return json.loads(re.search(r'\}\)\((\{.*\}), "figure-\w+"\);', script)[1])


def decode(packed):
    """Decode packed numbers as the script does."""
    codes = np.frombuffer(b64decode(packed["data"]), f"<u{packed['bytes']}")
    return (packed["offset"] + packed["step"] * codes.astype(float)) / 10 ** packed["decimals"]


def test_every_number_is_decoded_with_the_decimals_of_its_format(dots):
    location, error, share = read_payload(html_of(dots))["fields"]
    texts = [location["categories"][int(code)] for code in decode(location)]
    assert texts == list(dots[""])
    assert decode(error) == pytest.approx(dots["error"].to_numpy(), abs=1e-6)
    assert decode(share) == pytest.approx(dots["share"].to_numpy(), abs=0.005)
    assert (error["prefix"], error["sign"], share["suffix"]) == ("$", "+", " %")


def test_hundreds_of_dollars_take_two_bytes(dots):
    error = read_payload(html_of(dots))["fields"][1]
    assert (error["step"], error["bytes"]) == (100, 2)


def test_the_positions_are_where_the_dots_are_drawn(dots):
    axes, figure = draw(dots)
    payload = read_payload(figure.html)
    drawn = axes.transData.transform(dots[["x", "y"]].to_numpy())
    width, height = axes.figure.bbox.size
    assert decode(payload["x"]) / 65_535 * width == pytest.approx(drawn[:, 0], abs=0.01)
    assert (1 - decode(payload["y"]) / 65_535) * height == pytest.approx(drawn[:, 1], abs=0.01)


def test_the_same_dots_give_the_same_bytes_and_others_another_id(dots):
    html = html_of(dots)
    assert html_of(dots) == html
    other_html = html_of(dots.assign(error=0.0))
    first, second = (re.search(r'<div id="(figure-\w+)"', page)[1] for page in (html, other_html))
    assert first != second


def test_the_html_requests_nothing(dots):
    html = html_of(dots)
    urls = re.findall(r"[a-z]+://[^\"'\s<)]+", html)
    assert {url for url in urls if not url.startswith("http://www.w3.org/")} == set()
    assert not re.search(r"<(link|img|iframe)\b|@import|\bfetch\(|<script src|url\((?!#)", html)


def test_a_text_cannot_end_the_script(dots):
    html = html_of(dots.assign(**{"": "</script><b>"}))
    assert html.count("</script>") == 1


def test_the_figure_displays_as_html_with_a_png_as_fallback(dots):
    data, metadata = draw(dots)[1]._repr_mimebundle_()
    assert set(data) == {"text/html", "image/png", "text/plain"}
    image = Image.open(BytesIO(b64decode(data["image/png"])))
    assert image.size == (1000, 800)
    assert metadata["image/png"] == {"width": 500, "height": 400}
    assert data["text/plain"] == "Three hundred dots"


def test_a_format_that_cannot_be_packed_is_named(dots):
    with pytest.raises(ValueError, match=r"share has format '\{:e\}'"):
        draw(dots, FORMATS | {"share": "{:e}"})


def test_a_single_dot_can_be_packed(dots):
    payload = read_payload(html_of(dots.head(1)))
    assert decode(payload["fields"][1]) == dots["error"].head(1).to_numpy()


@pytest.fixture
def page(browser, dots, tmp_path):
    """Show the figure as a report does: in a frame that may run scripts and request nothing."""
    head = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    document = f"<!doctype html>{head}<body style='margin:0'>{html_of(dots)}"
    frame = f'<iframe sandbox="allow-scripts" srcdoc="{escape(document)}" width=500 height=460>'
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{frame}</iframe>")
    page = browser.new_page()
    page.messages = []
    page.on("console", lambda message: page.messages.append(message.text))
    page.on("pageerror", lambda error: page.messages.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    page.figure = page.frame_locator("iframe")
    page.figure.locator(".tooltip:not([hidden])").wait_for()
    yield page
    page.close()


def expected_tooltip(dot):
    error = dot["error"]
    sign = "\u2212" if error < 0 else "+" if error > 0 else ""
    return f"{dot['']}\nerror\n{sign}${abs(error):,.0f}\nshare\n{dot['share']:.2f} %"


@pytest.mark.slow
def test_pointing_at_a_dot_shows_its_data(page, dots):
    payload = read_payload(html_of(dots))
    x, y = decode(payload["x"]) / 65_535, decode(payload["y"]) / 65_535
    box = page.figure.locator("svg").bounding_box()
    for dot in (0, 17):
        page.mouse.move(box["x"] + box["width"] * x[dot], box["y"] + box["height"] * y[dot])
        tooltip = page.figure.locator(".tooltip").inner_text().replace("\n\n", "\n")
        assert tooltip == expected_tooltip(dots.iloc[dot])
        marker = page.figure.locator(".marker").bounding_box()
        center = marker["x"] + marker["width"] / 2
        assert center == pytest.approx(box["x"] + box["width"] * x[dot], abs=1)
    assert page.messages == []


@pytest.mark.slow
def test_clicking_a_dot_again_shows_the_next_one_at_the_same_place(browser, dots, tmp_path):
    coincident = dots.head(3).assign(x=5.0, y=5.0)
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{html_of(coincident)}")
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    box = page.locator("svg").bounding_box()
    payload = read_payload(html_of(coincident))
    x, y = decode(payload["x"])[0] / 65_535, decode(payload["y"])[0] / 65_535
    hints = []
    for _ in range(4):
        page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
        hints.append(page.locator(".hint").inner_text().partition(" at this place")[0])
    page.close()
    # the pointer selects the first dot when it arrives, so that the first click goes on
    assert hints == ["2 of 3", "3 of 3", "1 of 3", "2 of 3"]


@pytest.mark.slow
def test_arrow_keys_go_from_dot_to_dot(page):
    page.figure.locator(".plot").focus()
    positions = []
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Escape"):
        page.keyboard.press(key)
        marker = page.figure.locator(".marker").bounding_box()
        positions.append((marker["x"], marker["y"]) if marker else None)
    assert page.figure.locator(".marker").get_attribute("visibility") == "hidden"
    assert positions[1][0] > positions[0][0]
    assert positions[2][1] < positions[1][1]
    assert page.messages == []
