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

COLOURS = 256
# of its size that a PNG kept when it lost colours, in any of our figures: 0.33 to 0.42; a drawing
# that is smaller still wins without a try
LEAST = 0.3
GREY = 24  # a colour whose channels differ by no more is ink or paper, not data
BEST_FIRST = ("image/png", "image/jpeg", "image/webp", "image/gif")
COLOUR = re.compile(r"(fill|stroke|stop-color): ?(#[0-9a-f]{6}|#[0-9a-f]{3}|white|black)\b", re.I)
SAFE = "/:;,=+()'!*?&@$[]{}|^~` \n"  # needs no escape in a quoted data: address


class Figure(NamedTuple):
    """A picture, ready for <img>."""

    source: str  # a data: address
    name: str  # to save it by: png, svg, ...
    width: int | None  # in CSS pixels, if it says
    title: str  # what it calls itself, if it does


def figure(data: Mapping[str, Any], metadata: Mapping[str, Any]) -> Figure | None:
    """The picture among an output's forms; None if there is none, or it cannot be read."""
    found = list(_drawing(data))
    if not (found and len(found[0].source) < LEAST * len(data.get("image/png", ""))):
        found += _image(data, metadata)
    if not found:
        return None
    smallest = min(found, key=lambda one: len(one.source))
    title = next((one.title for one in found if one.title), "")
    width = next((one.width for one in found[::-1] if one.width), None)
    return smallest._replace(title=title, width=width)


def _drawing(data: Mapping[str, Any]) -> Iterator[Figure]:
    text = data.get("image/svg+xml")
    if text:
        text = "".join(text)
        start = text.find("<svg")
        if start >= 0:
            drawing = for_the_dark(_slim(text[start:]))
            address = "data:image/svg+xml," + quote(drawing, safe=SAFE)
            yield Figure(address, "svg", _points(drawing), _said(drawing))


def _slim(drawing: str) -> str:
    """Without what only an editor of drawings wants to know."""
    drawing = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r">\s+<", "><", drawing)
    return drawing.replace("\n", " ").replace('"', "'") if "'" not in drawing else drawing


def _points(drawing: str) -> int | None:
    """The width in CSS pixels; drawings are measured in points, 72 to the inch of 96 pixels."""
    found = re.search(r"<svg[^>]*?\bwidth=[\"']([\d.]+)(pt|px|)[\"']", drawing)
    return round(float(found[1]) * (4 / 3 if found[2] == "pt" else 1)) if found else None


def _said(drawing: str) -> str:
    """The title drawn in it: what is set in bold."""
    bold = re.findall(
        r"<text[^>]*font(?:-weight)?:[^\"';]*?\b(?:bold|[6-9]00)\b[^>]*>(.*?)</text>",
        drawing,
        re.DOTALL,
    )
    words = (re.sub(r"<[^>]+>", " ", one).split() for one in bold[:12])
    return "; ".join(" ".join(one) for one in words)


def for_the_dark(drawing: str) -> str:
    """The drawing with a second set of greys, for a dark page: ink turns light, paper dark."""
    rules = []
    for name, colour in sorted({(one[0].lower(), one[1]) for one in COLOUR.findall(drawing)}):
        dark = _turned(colour)
        if dark:
            spelt = f"[style*='{name}: {colour}'],[style*='{name}:{colour}'],[{name}='{colour}']"
            rules.append(f"{spelt}{{{name}:{dark}!important}}")
    if not rules:
        return drawing
    rules.append("text:not([style*='fill']){fill:#dfe3ea}")
    # > stays as it is in a style element; a drawing's own quotes may be of either kind
    style = f"<style>@media (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"
    return re.sub(r"(<svg[^>]*>)", lambda one: one[1] + style, drawing, count=1)


def _turned(colour: str) -> str:
    """The grey's counterpart on a dark page; empty for what is no grey."""
    text = {"white": "ffffff", "black": "000000"}.get(colour.lower(), colour.lstrip("#"))
    text = "".join(one * 2 for one in text) if len(text) == 3 else text
    channels = [int(text[one : one + 2], 16) for one in (0, 2, 4)]
    if max(channels) - min(channels) > GREY:
        return ""
    light = sum(channels) / 3 / 255
    shade = round(18 + (1 - light) * 215)  # white becomes the page's own dark
    return f"#{shade:02x}{min(255, shade + 3):02x}{min(255, shade + 10):02x}"


def _image(data: Mapping[str, Any], metadata: Mapping[str, Any]) -> Iterator[Figure]:
    for kind in BEST_FIRST:
        if kind in data:
            try:
                raw = base64.b64decode("".join(data[kind]))
            except (binascii.Error, ValueError):
                continue
            small = compressed(raw) if kind == "image/png" else raw
            width = metadata.get(kind, {}).get("width") if metadata else None
            address = f"data:{kind};base64,{base64.b64encode(small).decode()}"
            yield Figure(address, kind.partition("/")[2], width, "")
            return


@lru_cache(maxsize=64)  # a live page is written again and again
def compressed(raw: bytes) -> bytes:
    """The PNG with at most 256 colours, if that is smaller and looks the same."""
    try:
        with Image.open(io.BytesIO(raw)) as opened:
            if opened.width * opened.height < 4096 or opened.mode == "P":
                return raw
            image = opened.convert("RGBA") if "A" in opened.mode else opened.convert("RGB")
        if image.mode == "RGBA" and image.getextrema()[3][0] == 255:
            image = image.convert("RGB")
        for method in (Image.Quantize.FASTOCTREE, Image.Quantize.MEDIANCUT):  # quick, then exact
            flat = image if method == Image.Quantize.FASTOCTREE else image.convert("RGB")
            reduced = flat.quantize(COLOURS, method=method, dither=0)
            if alike(image, reduced):
                break
        else:
            return raw
    except (OSError, ValueError, SyntaxError):  # no image at all: the browser will say so
        return raw
    written = io.BytesIO()
    reduced.save(written, "PNG")
    return min(raw, written.getvalue(), key=len)


def alike(image: Image.Image, reduced: Image.Image) -> bool:
    """As an eye sees it: not even a small pale area has lost its colour."""
    from PIL import ImageChops

    difference = ImageChops.difference(image.convert("RGB"), reduced.convert("RGB")).convert("L")
    counts = difference.histogram()
    return all(
        sum(counts[off:]) < share * sum(counts)
        for off, share in ((5, 0.03), (9, 0.01), (48, 0.001))
    )
