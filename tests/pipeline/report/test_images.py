import base64
from urllib.parse import unquote

from pipeline.report import images
from tests.pipeline.report.conftest import encode_png

TITLE = '<text style="fill: #333333; font-weight: 700; font-size: 12px">Where it is</text>'
DATA = '<path style="fill: #d55e00; stroke: #808080" d="M 0 0"/>'
SVG = f'<svg width="72pt" height="36pt" xmlns="http://www.w3.org/2000/svg">{TITLE}{DATA}</svg>'


def test_the_smaller_format_is_shown():
    small_png, large_png = encode_png(size=(2, 2)), base64.b64encode(bytes(9_000)).decode()
    for png, file_extension in ((large_png, "svg"), (small_png, "png")):
        figure = images.figure_html({"image/svg+xml": SVG, "image/png": png}, {})
        assert f'data-kind="{file_extension}"' in figure


def test_an_svg_is_embedded_as_it_is_and_adapts_to_a_dark_page():
    figure = images.figure_html({"image/svg+xml": f"<?xml version='1.0'?>{SVG}"}, {})
    assert unquote(figure.split('src="data:image/svg+xml,')[1].split('"')[0]) == SVG
    assert 'class="adaptive"' in figure
    assert "adaptive" not in images.figure_html({"image/png": encode_png()}, {})


def test_a_figure_is_described_by_its_title():
    assert 'alt="Where it is"' in images.figure_html({"image/svg+xml": SVG}, {}, "The part")
    assert 'alt="a figure: The part"' in images.figure_html(
        {"image/png": encode_png()}, {}, "The part"
    )
    metadata = {"image/png": {"alt": "a <map>", "width": 200}}
    figure = images.figure_html({"image/svg+xml": SVG, "image/png": "AA=="}, metadata)
    assert 'alt="a &lt;map&gt;"' in figure
    assert 'width="200"' in figure


def test_an_output_without_an_image_has_no_figure():
    assert images.figure_html({"text/plain": "x"}, {}) is None
    assert images.figure_html({"image/svg+xml": "<p>no svg"}, {}) is None
