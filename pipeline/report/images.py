"""Embed figures at the smallest size: the SVG or the compressed image, whichever is smaller."""

import base64
import binascii
import io
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

from PIL import Image, ImageChops

MAX_PNG_COLORS = 256
# The least share of its size that a PNG of our figures kept when its colors were reduced: measured
# 0.33 to 0.42. An SVG that is smaller still wins, so the PNG need not be compressed at all.
MIN_PNG_SIZE_RATIO = 0.3
MIN_COMPRESSED_PIXELS = 4096  # a smaller image gains nothing
# a color whose channels differ by no more belongs to text, axes or background, not to the data
MAX_GRAY_CHANNEL_SPREAD = 24
RASTER_MIME_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
SVG_COLOR_PATTERN = re.compile(
    r"(fill|stroke|stop-color): ?(#[0-9a-f]{6}|#[0-9a-f]{3}|white|black)\b", re.I
)
UNESCAPED_URL_CHARS = "/:;,=+()'!*?&@$[]{}|^~` \n"  # need no escape in a quoted data: URL
CSS_PIXELS_PER_POINT = 96 / 72
MAX_TITLE_TEXTS = 12  # bold texts of an SVG that become its title
# (gray level, share): less than this share of the pixels may differ by this much or more
IDENTITY_LIMITS = ((5, 0.03), (9, 0.01), (48, 0.001))


class Figure(NamedTuple):
    """A figure to show in an <img> element."""

    data_uri: str
    file_extension: str  # of the file that it is saved as: png, svg, ...
    width: int | None  # in CSS pixels; None if the notebook does not say
    title: str  # the title drawn in it; empty if it has none


def extract_figure(mime_bundle: Mapping[str, Any], metadata: Mapping[str, Any]) -> Figure | None:
    """Return the smallest figure of an output; None if it has none that can be decoded."""
    figures = list(_svg_figures(mime_bundle))
    max_svg_size = MIN_PNG_SIZE_RATIO * len(mime_bundle.get("image/png", ""))
    if not figures or len(figures[0].data_uri) >= max_svg_size:
        figures += _raster_figures(mime_bundle, metadata)
    if not figures:
        return None
    smallest = min(figures, key=lambda figure: len(figure.data_uri))
    title = next((figure.title for figure in figures if figure.title), "")
    width = next((figure.width for figure in figures[::-1] if figure.width), None)
    return smallest._replace(title=title, width=width)


def _svg_figures(mime_bundle: Mapping[str, Any]) -> Iterator[Figure]:
    text = "".join(mime_bundle.get("image/svg+xml") or "")
    start = text.find("<svg")
    if start >= 0:
        svg = add_dark_mode(_minify_svg(text[start:]))
        data_uri = "data:image/svg+xml," + quote(svg, safe=UNESCAPED_URL_CHARS)
        yield Figure(data_uri, "svg", _svg_width(svg), _svg_title(svg))


def _minify_svg(svg: str) -> str:
    """Return the SVG without metadata, comments and white space between its elements."""
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r">\s+<", "><", svg)
    return svg.replace("\n", " ").replace('"', "'") if "'" not in svg else svg


def _svg_width(svg: str) -> int | None:
    """Return the width in CSS pixels; None if the SVG states none."""
    match = re.search(r"<svg[^>]*?\bwidth=[\"']([\d.]+)(pt|px|)[\"']", svg)
    if not match:
        return None
    return round(float(match[1]) * (CSS_PIXELS_PER_POINT if match[2] == "pt" else 1))


def _svg_title(svg: str) -> str:
    """Return the title drawn in the SVG: its bold texts."""
    bold_texts = re.findall(
        r"<text[^>]*font(?:-weight)?:[^\"';]*?\b(?:bold|[6-9]00)\b[^>]*>(.*?)</text>",
        svg,
        re.DOTALL,
    )
    texts = (re.sub(r"<[^>]+>", " ", text).split() for text in bold_texts[:MAX_TITLE_TEXTS])
    return "; ".join(" ".join(words) for words in texts)


def add_dark_mode(svg: str) -> str:
    """Return the SVG with a second set of grays for a dark page: light text, dark background."""
    rules = []
    for attribute, color in sorted(
        {(attribute.lower(), color) for attribute, color in SVG_COLOR_PATTERN.findall(svg)}
    ):
        dark_color = _dark_mode_gray(color)
        if dark_color:
            selectors = (
                f"[style*='{attribute}: {color}'],[style*='{attribute}:{color}'],"
                f"[{attribute}='{color}']"
            )
            rules.append(f"{selectors}{{{attribute}:{dark_color}!important}}")
    if not rules:
        return svg
    rules.append("text:not([style*='fill']){fill:#dfe3ea}")
    # within a style element neither > nor quotes of either kind need an escape
    style = f"<style>@media (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"
    return re.sub(r"(<svg[^>]*>)", lambda match: match[1] + style, svg, count=1)


def _dark_mode_gray(color: str) -> str:
    """Return the counterpart of a gray on a dark page; empty if the color is no gray."""
    digits = {"white": "ffffff", "black": "000000"}.get(color.lower(), color.lstrip("#"))
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[start : start + 2], 16) for start in (0, 2, 4)]
    if max(channels) - min(channels) > MAX_GRAY_CHANNEL_SPREAD:
        return ""
    lightness = sum(channels) / 3 / 255
    shade = round(18 + (1 - lightness) * 215)  # white becomes the page's own dark background
    return f"#{shade:02x}{min(255, shade + 3):02x}{min(255, shade + 10):02x}"


def _raster_figures(
    mime_bundle: Mapping[str, Any], metadata: Mapping[str, Any]
) -> Iterator[Figure]:
    """Yield the first raster image that can be decoded, if there is one."""
    for mime_type in RASTER_MIME_TYPES:
        if mime_type in mime_bundle:
            try:
                image_bytes = base64.b64decode("".join(mime_bundle[mime_type]))
            except (binascii.Error, ValueError):
                continue
            if mime_type == "image/png":
                image_bytes = compress_png(image_bytes)
            width = metadata.get(mime_type, {}).get("width") if metadata else None
            data_uri = f"data:{mime_type};base64,{base64.b64encode(image_bytes).decode()}"
            yield Figure(data_uri, mime_type.partition("/")[2], width, "")
            return


@lru_cache(maxsize=64)  # a live page is written again and again
def compress_png(png_bytes: bytes) -> bytes:
    """Return the PNG with at most 256 colors if that is smaller and looks the same.

    Anything else is returned unchanged, bytes that are no image too.
    """
    try:
        reduced = _reduce_colors(png_bytes)
    except (OSError, ValueError, SyntaxError):  # no image: the browser shows the alternative text
        return png_bytes
    if reduced is None:
        return png_bytes
    buffer = io.BytesIO()
    reduced.save(buffer, "PNG")
    return min(png_bytes, buffer.getvalue(), key=len)


def _reduce_colors(png_bytes: bytes) -> Image.Image | None:
    """Return the image with at most 256 colors; None if it is small or would look different."""
    with Image.open(io.BytesIO(png_bytes)) as original:
        if original.width * original.height < MIN_COMPRESSED_PIXELS or original.mode == "P":
            return None
        image = original.convert("RGBA" if "A" in original.mode else "RGB")
    if image.mode == "RGBA" and image.getchannel("A").getextrema()[0] == 255:
        image = image.convert("RGB")
    for method in (Image.Quantize.FASTOCTREE, Image.Quantize.MEDIANCUT):  # the faster one first
        source = image if method == Image.Quantize.FASTOCTREE else image.convert("RGB")
        reduced = source.quantize(MAX_PNG_COLORS, method=method, dither=Image.Dither.NONE)
        if looks_identical(image, reduced):
            return reduced
    return None


def looks_identical(image: Image.Image, reduced_image: Image.Image) -> bool:
    """Return whether an eye sees no difference: not even a small pale area has lost its color."""
    difference = ImageChops.difference(image.convert("RGB"), reduced_image.convert("RGB"))
    pixel_counts = difference.convert("L").histogram()
    return all(
        sum(pixel_counts[level:]) < share * sum(pixel_counts) for level, share in IDENTITY_LIMITS
    )
