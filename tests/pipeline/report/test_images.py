import base64
import io
import random
from urllib.parse import unquote

from PIL import Image

from pipeline.report import images

TITLE = '<text style="fill: #333333; font-weight: 700; font-size: 12px">Where it is</text>'
DATA = '<path style="fill: #d55e00; stroke: #808080" d="M 0 0"/>'
SVG = f'<svg width="72pt" height="36pt" xmlns="http://www.w3.org/2000/svg">{TITLE}{DATA}</svg>'


def encode(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def noise_png(color_count):
    """Return a PNG of random pixels in the given number of colors."""
    generator = random.Random(1)
    image = Image.new("RGB", (200, 100))
    palette = [tuple(generator.randrange(256) for _ in range(3)) for _ in range(color_count)]
    image.putdata([generator.choice(palette) for _ in range(20_000)])
    return encode(image)


def gradient():
    return Image.linear_gradient("L").convert("RGB").resize((400, 400))


def test_the_smaller_format_is_shown():
    large_png = base64.b64encode(noise_png(4)).decode()
    small_png = base64.b64encode(encode(gradient(), compress_level=0)[:60]).decode()
    for png, file_extension in ((large_png, "svg"), (small_png, "png")):
        figure = images.extract_figure({"image/svg+xml": SVG, "image/png": png}, {})
        assert figure.file_extension == file_extension


def test_a_png_gets_smaller_and_looks_the_same():
    image = gradient()
    png_bytes = encode(image, compress_level=0)
    compressed = images.compress_png(png_bytes)
    assert len(compressed) < len(png_bytes) / 4
    assert images.looks_identical(image, Image.open(io.BytesIO(compressed)))


def test_a_pale_area_keeps_its_color():
    image = gradient()
    image.paste((244, 246, 249), (300, 0, 360, 60))
    image.paste((255, 255, 255), (300, 60, 360, 120))
    png_bytes = images.compress_png(encode(image, compress_level=0))
    compressed = Image.open(io.BytesIO(png_bytes)).convert("RGB")
    pale, white = compressed.getpixel((330, 30)), compressed.getpixel((330, 90))
    differences = [
        abs(channel - expected) for channel, expected in zip(pale, (244, 246, 249), strict=True)
    ]
    assert max(differences) <= 4
    assert min(white) >= 251


def test_an_image_that_would_look_worse_is_not_compressed():
    png_bytes = noise_png(20_000)
    assert images.compress_png(png_bytes) == png_bytes
    assert images.compress_png(b"no image") == b"no image"


def test_text_turns_light_on_a_dark_page_and_data_keeps_its_color():
    svg = unquote(images.extract_figure({"image/svg+xml": SVG}, {}).data_uri)
    dark_style = svg.split("@media (prefers-color-scheme:dark)")[1].split("</style>")[0]
    assert "[style*='fill: #333333']" in dark_style
    assert "#808080" in dark_style
    assert "d55e00" not in dark_style
    shade = int(dark_style.split("#333333']{fill:#")[1][:2], 16)
    assert shade > 0xA0


def test_an_svg_states_its_size_and_title():
    figure = images.extract_figure({"image/svg+xml": SVG}, {})
    assert (figure.width, figure.title) == (96, "Where it is")


def test_an_output_without_a_readable_image_has_no_figure():
    assert images.extract_figure({"text/plain": "x"}, {}) is None
    assert images.extract_figure({"image/svg+xml": "<p>no svg"}, {}) is None
