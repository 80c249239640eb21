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
from tests.support.interactive_payload import read_payload

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


@pytest.fixture
def dots():
    """Return positions and three texts of 300 dots."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": rng.uniform(0, 10, 300),
            "y": rng.uniform(0, 10, 300),
            "": rng.choice(["near Fresno", "near <Chico> & co"], 300),
            "error": [f"${error:,.0f}" for error in rng.normal(0, 60_000, 300).round(-2)],
            "share": [f"{share:.2f} %" for share in rng.uniform(0, 100, 300)],
        }
    )


def draw(dots):
    """Return the Axes with the dots drawn, and the interactive figure."""
    axes = plt.figure(figsize=(5, 4)).gca()
    axes.scatter(dots.x, dots.y, rasterized=True)
    axes.set_title("Dots")
    tooltip_texts = dots.drop(columns=["x", "y"])
    return axes, build_interactive_figure(axes, dots.x, dots.y, tooltip_texts, "Three hundred dots")


def html_of(dots):
    return draw(dots)[1].html


def view_box_size(html):
    """Return width and height of the figure, the units of the positions."""
    return [float(side) for side in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', html).groups()]


def test_the_data_has_the_texts_of_each_dot(dots):
    texts = read_payload(html_of(dots))["texts"]
    assert list(texts) == ["", "error", "share"]
    for name in texts:
        assert texts[name] == list(dots[name])


def test_the_data_is_smaller_than_its_texts(dots):
    many_dots = pd.concat([dots] * 10)
    html_sizes = [len(html_of(frame)) for frame in (many_dots, many_dots.head(1))]
    n_characters = many_dots[["", "error", "share"]].map(len).sum().sum()
    assert html_sizes[0] - html_sizes[1] < 0.5 * n_characters


def test_the_positions_are_where_the_dots_are_drawn(dots):
    axes, figure = draw(dots)
    payload = read_payload(figure.html)
    width, height = view_box_size(figure.html)
    drawn = axes.transData.transform(dots[["x", "y"]].to_numpy()) / axes.figure.bbox.size
    assert payload["x"] == pytest.approx(drawn[:, 0] * width, abs=0.01)
    assert payload["y"] == pytest.approx((1 - drawn[:, 1]) * height, abs=0.01)


def test_the_same_dots_give_the_same_bytes_and_others_another_id(dots):
    html = html_of(dots)
    assert html_of(dots) == html
    other_html = html_of(dots.assign(error="$0"))
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


def test_a_single_dot_has_a_tooltip_too(dots):
    payload = read_payload(html_of(dots.head(1)))
    assert payload["texts"]["error"] == list(dots["error"].head(1))


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
    return f"{dot['']}\nerror\n{dot['error']}\nshare\n{dot['share']}"


@pytest.mark.slow
def test_pointing_at_a_dot_shows_its_data(page, dots):
    payload = read_payload(html_of(dots))
    box = page.figure.locator("svg").bounding_box()
    scale = box["width"] / view_box_size(html_of(dots))[0]
    for dot in (0, 17):
        x, y = payload["x"][dot] * scale, payload["y"][dot] * scale
        page.mouse.move(box["x"] + x, box["y"] + y)
        tooltip = page.figure.locator(".tooltip").inner_text().replace("\n\n", "\n")
        assert tooltip == expected_tooltip(dots.iloc[dot])
        marker = page.figure.locator(".marker").bounding_box()
        center = marker["x"] + marker["width"] / 2
        assert center == pytest.approx(box["x"] + x, abs=1)
    assert page.messages == []


@pytest.mark.slow
def test_clicking_a_dot_again_shows_the_next_one_at_the_same_place(browser, dots, tmp_path):
    coincident = dots.head(3).assign(x=5.0, y=5.0)
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{html_of(coincident)}")
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    box = page.locator("svg").bounding_box()
    payload = read_payload(html_of(coincident))
    scale = box["width"] / view_box_size(html_of(coincident))[0]
    x, y = payload["x"][0] * scale, payload["y"][0] * scale
    hints = []
    for _ in range(4):
        page.mouse.click(box["x"] + x, box["y"] + y)
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
