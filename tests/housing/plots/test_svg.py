import re
from base64 import b64decode
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from housing.plots import svg


@pytest.fixture
def draw():
    """Return a function that draws the same figure anew: a line, and a hundred rasterized dots."""

    def draw_figure():
        axes = plt.figure(figsize=(4, 3)).gca()
        axes.scatter(*np.random.default_rng(0).random((2, 100)), c="C1", rasterized=True)
        axes.plot([0, 1], [0, 1])
        axes.set(title="Errors, $", xlabel="prediction")
        plt.close(axes.figure)
        return axes.figure

    return draw_figure


def test_the_same_figure_gives_the_same_bytes(draw):
    assert svg.render(draw()) == svg.render(draw())


def test_the_document_has_no_date_and_no_links(draw):
    document = svg.render(draw())
    assert "metadata" not in document
    links = set(re.findall(r"https?://[^\"'\s<]+", document))
    assert {link for link in links if not link.startswith("http://www.w3.org/")} == set()


def test_text_stays_text_in_a_generic_font(draw):
    document = svg.render(draw())
    assert re.search(r"<text [^>]*sans-serif[^>]*>Errors, \$</text>", document)


def test_rasterized_parts_have_the_raster_dpi_and_are_lossless(draw):
    document = svg.render(draw())
    [webp_base64] = re.findall(r"data:image/webp;base64,([^\"]+)", document)
    image = Image.open(BytesIO(b64decode(webp_base64))).convert("RGBA")
    [width_points] = re.findall(r'<image [^>]*width="([\d.]+)"', document)
    assert image.width / (float(width_points) / 72) == pytest.approx(svg.RASTER_DPI, rel=0.01)
    orange = (255, 127, 14, 255)
    assert orange in {color for _, color in image.getcolors(100_000)}
