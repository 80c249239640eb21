"""Pictures as light as they can be: the drawing or the compressed image, whichever is smaller."""

import base64
import binascii
import io
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

from PIL import Image

MAX_PNG_COLORS = 256
# of its size that a PNG kept when it lost colours, in any of our figures: 0.33 to 0.42; a drawing
# that is smaller still wins without a try
MIN_PNG_SIZE_RATIO = 0.3
MAX_GRAY_CHANNEL_SPREAD = 24  # a colour whose channels differ by no more is ink or paper, not data
RASTER_MIME_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
SVG_COLOR_PATTERN = re.compile(
    r"(fill|stroke|stop-color): ?(#[0-9a-f]{6}|#[0-9a-f]{3}|white|black)\b", re.I
)
UNESCAPED_URL_CHARS = "/:;,=+()'!*?&@$[]{}|^~` \n"  # needs no escape in a quoted data: address


class Figure(NamedTuple):
    """A picture, ready for <img>."""

    data_uri: str  # a data: address
    file_extension: str  # to save it by: png, svg, ...
    width: int | None  # in CSS pixels, if it says
    title: str  # what it calls itself, if it does


def extract_figure(mime_bundle: Mapping[str, Any], metadata: Mapping[str, Any]) -> Figure | None:
    """The picture among an output's forms; None if there is none, or it cannot be read."""
    found = list(_svg_figures(mime_bundle))
    if not (
        found
        and len(found[0].data_uri) < MIN_PNG_SIZE_RATIO * len(mime_bundle.get("image/png", ""))
    ):
        found += _raster_figures(mime_bundle, metadata)
    if not found:
        return None
    smallest = min(found, key=lambda one: len(one.data_uri))
    title = next((one.title for one in found if one.title), "")
    width = next((one.width for one in found[::-1] if one.width), None)
    return smallest._replace(title=title, width=width)


def _svg_figures(mime_bundle: Mapping[str, Any]) -> Iterator[Figure]:
    text = mime_bundle.get("image/svg+xml")
    if text:
        text = "".join(text)
        start = text.find("<svg")
        if start >= 0:
            drawing = add_dark_mode(_minify_svg(text[start:]))
            address = "data:image/svg+xml," + quote(drawing, safe=UNESCAPED_URL_CHARS)
            yield Figure(address, "svg", _svg_width(drawing), _svg_title(drawing))


def _minify_svg(svg: str) -> str:
    """Without what only an editor of drawings wants to know."""
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r">\s+<", "><", svg)
    return svg.replace("\n", " ").replace('"', "'") if "'" not in svg else svg


def _svg_width(svg: str) -> int | None:
    """The width in CSS pixels; drawings are measured in points, 72 to the inch of 96 pixels."""
    found = re.search(r"<svg[^>]*?\bwidth=[\"']([\d.]+)(pt|px|)[\"']", svg)
    return round(float(found[1]) * (4 / 3 if found[2] == "pt" else 1)) if found else None


def _svg_title(svg: str) -> str:
    """The title drawn in it: what is set in bold."""
    bold = re.findall(
        r"<text[^>]*font(?:-weight)?:[^\"';]*?\b(?:bold|[6-9]00)\b[^>]*>(.*?)</text>",
        svg,
        re.DOTALL,
    )
    words = (re.sub(r"<[^>]+>", " ", one).split() for one in bold[:12])
    return "; ".join(" ".join(one) for one in words)


def add_dark_mode(svg: str) -> str:
    """The drawing with a second set of greys, for a dark page: ink turns light, paper dark."""
    rules = []
    for name, colour in sorted(
        {(one[0].lower(), one[1]) for one in SVG_COLOR_PATTERN.findall(svg)}
    ):
        dark = _dark_mode_gray(colour)
        if dark:
            spelt = f"[style*='{name}: {colour}'],[style*='{name}:{colour}'],[{name}='{colour}']"
            rules.append(f"{spelt}{{{name}:{dark}!important}}")
    if not rules:
        return svg
    rules.append("text:not([style*='fill']){fill:#dfe3ea}")
    # > stays as it is in a style element; a drawing's own quotes may be of either kind
    style = f"<style>@media (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"
    return re.sub(r"(<svg[^>]*>)", lambda one: one[1] + style, svg, count=1)


def _dark_mode_gray(color: str) -> str:
    """The grey's counterpart on a dark page; empty for what is no grey."""
    text = {"white": "ffffff", "black": "000000"}.get(color.lower(), color.lstrip("#"))
    text = "".join(one * 2 for one in text) if len(text) == 3 else text
    channels = [int(text[one : one + 2], 16) for one in (0, 2, 4)]
    if max(channels) - min(channels) > MAX_GRAY_CHANNEL_SPREAD:
        return ""
    light = sum(channels) / 3 / 255
    shade = round(18 + (1 - light) * 215)  # white becomes the page's own dark
    return f"#{shade:02x}{min(255, shade + 3):02x}{min(255, shade + 10):02x}"


def _raster_figures(
    mime_bundle: Mapping[str, Any], metadata: Mapping[str, Any]
) -> Iterator[Figure]:
    for kind in RASTER_MIME_TYPES:
        if kind in mime_bundle:
            try:
                raw = base64.b64decode("".join(mime_bundle[kind]))
            except (binascii.Error, ValueError):
                continue
            small = compress_png(raw) if kind == "image/png" else raw
            width = metadata.get(kind, {}).get("width") if metadata else None
            address = f"data:{kind};base64,{base64.b64encode(small).decode()}"
            yield Figure(address, kind.partition("/")[2], width, "")
            return


@lru_cache(maxsize=64)  # a live page is written again and again
def compress_png(png_bytes: bytes) -> bytes:
    """The PNG with at most 256 colours, if that is smaller and looks the same."""
    try:
        with Image.open(io.BytesIO(png_bytes)) as opened:
            if opened.width * opened.height < 4096 or opened.mode == "P":
                return png_bytes
            image = opened.convert("RGBA") if "A" in opened.mode else opened.convert("RGB")
        if image.mode == "RGBA" and image.getextrema()[3][0] == 255:
            image = image.convert("RGB")
        for method in (Image.Quantize.FASTOCTREE, Image.Quantize.MEDIANCUT):  # quick, then exact
            flat = image if method == Image.Quantize.FASTOCTREE else image.convert("RGB")
            reduced = flat.quantize(MAX_PNG_COLORS, method=method, dither=0)
            if looks_identical(image, reduced):
                break
        else:
            return png_bytes
    except (OSError, ValueError, SyntaxError):  # no image at all: the browser will say so
        return png_bytes
    written = io.BytesIO()
    reduced.save(written, "PNG")
    return min(png_bytes, written.getvalue(), key=len)


def looks_identical(image: Image.Image, reduced_image: Image.Image) -> bool:
    """As an eye sees it: not even a small pale area has lost its colour."""
    from PIL import ImageChops

    difference = ImageChops.difference(image.convert("RGB"), reduced_image.convert("RGB")).convert(
        "L"
    )
    counts = difference.histogram()
    return all(
        sum(counts[off:]) < share * sum(counts)
        for off, share in ((5, 0.03), (9, 0.01), (48, 0.001))
    )
