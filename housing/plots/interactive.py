"""A picture that answers when pointed at: the nearest dot says what it stands for.

One piece of HTML that needs nothing else: the figure as SVG, the facts as packed numbers, a script
of its own. Works as a notebook's output and inside `<iframe sandbox="allow-scripts" srcdoc>` under
a content security policy that forbids every request.
"""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from PIL import Image

from housing.plots import svg

ASSETS_FOLDER = Path(__file__).parent
NUMBER_FORMAT_PATTERN = re.compile(r"([^{]*)\{:(\+?),?\.(\d)f\}(.*)")  # what a number may look like


class InteractiveFigure:
    """A drawn picture and what to say of its dots; shows itself where it ends a cell."""

    def __init__(self, html: str, png: bytes, alt_text: str) -> None:
        self.html, self.png, self.alt_text = html, png, alt_text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        shown = {"text/html": self.html, "image/png": b64encode(self.png).decode()}
        width, height = (side // 2 for side in Image.open(BytesIO(self.png)).size)
        return shown | {"text/plain": self.alt_text}, {
            "image/png": {"width": width, "height": height}
        }


def build_interactive_figure(
    axes: Axes,
    x: pd.Series,
    y: pd.Series,
    tooltip_data: pd.DataFrame,
    formats: Mapping[str, str],
    alt_text: str,
) -> InteractiveFigure:
    """The axes' figure as a picture that says the facts of the dot nearest to the pointer.

    x, y: (n,) where the dots are, in the axes' data coordinates. facts: (n, m), a column of texts
    is said as it is, a column of numbers as its entry in `formats` says ("${:,.0f}"), to as many
    decimals and no more. alt: what the picture shows, for those who do not see it. The figure is
    closed, so that the cell does not show it twice. Raises ValueError for a format or a text column
    that cannot be packed.
    """
    figure = axes.figure
    figure.canvas.draw()
    places = figure.transFigure.inverted().transform(
        axes.transData.transform(np.column_stack([x, y]))
    )
    told = {
        "x": _encode_numbers(np.round(places[:, 0] * 65_535), 0),
        "y": _encode_numbers(np.round((1 - places[:, 1]) * 65_535), 0),
        "card": _tooltip_position(axes),
        "facts": [
            {"label": name, **_encode_column(tooltip_data[name], formats)} for name in tooltip_data
        ],
    }
    figure.patch.set_visible(False)  # the page shows through
    picture, png = svg.render(figure, bbox_inches=None), _render_png(axes)
    figure.patch.set_visible(True)
    plt.close(figure)
    name = "hover-" + hashlib.sha256((picture + json.dumps(told)).encode()).hexdigest()[:12]
    return InteractiveFigure(_render_html(name, picture, told, alt_text), png, alt_text)


def _tooltip_position(axes: Axes) -> str:
    """Where the facts stand: in the axes' upper right corner."""
    box = axes.get_position()
    return f"right: {102 - 100 * box.x1:.1f}%; top: {102 - 100 * box.y1:.1f}%"


def _encode_column(column: pd.Series, formats: Mapping[str, str]) -> dict[str, Any]:
    if not pd.api.types.is_numeric_dtype(column):
        codes, words = pd.factorize(column.astype(str), sort=True)
        return {"words": list(words), **_encode_numbers(codes.astype(float), 0)}
    written = formats.get(column.name, "")
    parts = NUMBER_FORMAT_PATTERN.fullmatch(written)
    if not parts:
        raise ValueError(f"{column.name} has format {written!r}, expected one like '${{:,.0f}}'")
    before, sign, decimals, after = parts.groups()
    packed = _encode_numbers(column.to_numpy(float), int(decimals))
    return {"before": before, "sign": sign, "after": after, **packed}


def _encode_numbers(values: np.ndarray, decimals: int) -> dict[str, Any]:
    """Numbers as (low + step * code) / 10**decimals, the codes in as few bytes as they need."""
    whole = np.round(values * 10**decimals).astype(np.int64)
    low = int(whole.min())
    step = int(np.gcd.reduce(whole - low)) or 1
    codes = (whole - low) // step
    kind = next(one for one in ("<u1", "<u2", "<u4") if codes.max() <= np.iinfo(one).max)
    data = b64encode(codes.astype(kind).tobytes()).decode()
    return {"decimals": decimals, "low": low, "step": step, "bytes": int(kind[2]), "data": data}


def _render_png(axes: Axes) -> bytes:
    """The plain picture, for whoever shows no HTML."""
    full, small = BytesIO(), BytesIO()
    with rc_context({"savefig.facecolor": "white"}):
        axes.figure.savefig(full, format="png", dpi=svg.RASTER_DPI)
    on_white = Image.open(full)
    paper = Image.new("RGBA", on_white.size, "white")
    paper.alpha_composite(on_white.convert("RGBA"))
    paper.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        small, "png", optimize=True, dpi=(svg.RASTER_DPI, svg.RASTER_DPI)
    )
    return small.getvalue()


def _render_html(element_id: str, svg_markup: str, payload: dict[str, Any], alt_text: str) -> str:
    width, height = re.search(r'viewBox="0 0 (\S+) (\S+)"', svg_markup).groups()
    svg_markup = re.sub(
        r"^.*?<svg[^>]*>|<defs>\s*<style.*?</defs>", "", svg_markup, flags=re.DOTALL
    )
    svg_markup = re.sub(r'((?: id="|href="#|url\(#))', rf"\1{element_id}-", svg_markup)
    svg_markup = re.sub(
        r"(?<=: )#(?:333333|555555)", "currentColor", svg_markup
    )  # text, on any page
    style = (ASSETS_FOLDER / "interactive.css").read_text().replace("#hover", f"#{element_id}")
    script = (ASSETS_FOLDER / "interactive.js").read_text()
    data = json.dumps(payload, separators=(",", ":")).replace("</", "<\\/")
    pixels = float(width) / 72 * 96, float(height) / 72 * 96
    return (
        f'<div id="{element_id}" class="hover-map" role="group" aria-label="{escape(alt_text)}" '
        f'data-width="{pixels[0]:.0f}" data-height="{pixels[1]:.0f}">\n'
        f"<style>\n{style}</style>\n"
        '<div class="stage" role="application" tabindex="0" aria-roledescription="map" '
        'aria-label="Arrow keys go from dot to dot, Enter to the next one at the same place">\n'
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(alt_text)}" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f"{svg_markup.strip().removesuffix('</svg>')}"
        '<circle class="mark" r="6" visibility="hidden"/></svg>\n'
        '<div class="card" role="status" aria-live="polite" hidden></div>\n</div>\n'
        f'<script>\n({script.strip().removesuffix(";")})({data}, "{element_id}");\n</script>\n</div>'
    )
