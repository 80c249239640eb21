import re
from base64 import b64decode
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from housing.plots import svg


@pytest.fixture
def drawn():
    """Draws the same picture anew: a line, and a hundred dots that are rasterized."""

    def draw():
        axes = plt.figure(figsize=(4, 3)).gca()
        axes.scatter(*np.random.default_rng(0).random((2, 100)), c="C1", rasterized=True)
        axes.plot([0, 1], [0, 1])
        axes.set(title="Errors, $", xlabel="guess")
        plt.close(axes.figure)
        return axes.figure

    return draw


def test_the_same_figure_gives_the_same_bytes(drawn):
    assert svg.render(drawn()) == svg.render(drawn())


def test_it_holds_no_date_and_leads_nowhere(drawn):
    document = svg.render(drawn())
    assert "metadata" not in document
    links = set(re.findall(r"https?://[^\"'\s<]+", document))
    assert {one for one in links if not one.startswith("http://www.w3.org/")} == set()


def test_text_stays_text_in_a_font_that_any_machine_has(drawn):
    document = svg.render(drawn())
    assert re.search(r"<text [^>]*sans-serif[^>]*>Errors, \$</text>", document)


def test_rasterized_parts_are_dense_and_keep_every_pixel(drawn):
    document = svg.render(drawn())
    [packed] = re.findall(r"data:image/webp;base64,([^\"]+)", document)
    image = Image.open(BytesIO(b64decode(packed))).convert("RGBA")
    [points] = re.findall(r'<image [^>]*width="([\d.]+)"', document)
    assert image.width / (float(points) / 72) == pytest.approx(svg.RASTER_DPI, rel=0.01)
    orange = (255, 127, 14, 255)
    assert orange in {color for _, color in image.getcolors(100_000)}
