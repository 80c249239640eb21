import base64
import io
import random
from urllib.parse import unquote

from PIL import Image

from pipeline.report import images

INK = '<text style="fill: #333333; font-weight: 700; font-size: 12px">Where it is</text>'
DATA = '<path style="fill: #d55e00; stroke: #808080" d="M 0 0"/>'
DRAWING = f'<svg width="72pt" height="36pt" xmlns="http://www.w3.org/2000/svg">{INK}{DATA}</svg>'


def noisy(colours):
    source = random.Random(1)
    image = Image.new("RGB", (200, 100))
    palette = [tuple(source.randrange(256) for _ in range(3)) for _ in range(colours)]
    image.putdata([source.choice(palette) for _ in range(20_000)])
    written = io.BytesIO()
    image.save(written, "PNG")
    return image, written.getvalue()


def smooth():
    image = Image.linear_gradient("L").convert("RGB").resize((400, 400))
    written = io.BytesIO()
    image.save(written, "PNG", compress_level=0)
    return image, written.getvalue()


def test_the_smaller_form_is_shown():
    large = base64.b64encode(noisy(4)[1]).decode()
    small = base64.b64encode(smooth()[1][:60]).decode()
    assert (
        images.extract_figure({"image/svg+xml": DRAWING, "image/png": large}, {}).file_extension
        == "svg"
    )
    assert (
        images.extract_figure({"image/svg+xml": DRAWING, "image/png": small}, {}).file_extension
        == "png"
    )


def test_a_png_gets_smaller_and_looks_the_same():
    image, raw = smooth()
    small = images.compress_png(raw)
    assert len(small) < len(raw) / 4
    assert images.looks_identical(image, Image.open(io.BytesIO(small)))


def test_a_pale_area_keeps_its_colour():
    image = smooth()[0]
    image.paste((244, 246, 249), (300, 0, 360, 60))
    image.paste((255, 255, 255), (300, 60, 360, 120))
    written = io.BytesIO()
    image.save(written, "PNG", compress_level=0)
    small = Image.open(io.BytesIO(images.compress_png(written.getvalue()))).convert("RGB")
    pale, white = small.getpixel((330, 30)), small.getpixel((330, 90))
    assert max(abs(one - other) for one, other in zip(pale, (244, 246, 249), strict=True)) <= 4
    assert min(white) >= 251


def test_a_picture_that_would_suffer_stays_as_it_is():
    _, raw = noisy(20_000)
    assert images.compress_png(raw) == raw
    assert images.compress_png(b"no picture") == b"no picture"


def test_ink_turns_light_on_a_dark_page_and_data_keeps_its_colour():
    made = unquote(images.extract_figure({"image/svg+xml": DRAWING}, {}).data_uri)
    dark = made.split("@media (prefers-color-scheme:dark)")[1].split("</style>")[0]
    assert "[style*='fill: #333333']" in dark
    assert "#808080" in dark
    assert "d55e00" not in dark
    shade = int(dark.split("#333333']{fill:#")[1][:2], 16)
    assert shade > 0xA0


def test_a_drawing_tells_its_size_and_title():
    found = images.extract_figure({"image/svg+xml": DRAWING}, {})
    assert (found.width, found.title) == (96, "Where it is")


def test_what_cannot_be_read_is_no_picture():
    assert images.extract_figure({"text/plain": "x"}, {}) is None
    assert images.extract_figure({"image/svg+xml": "<p>no drawing"}, {}) is None
