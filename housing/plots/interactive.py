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

HERE = Path(__file__).parent
FORMAT = re.compile(r"([^{]*)\{:(\+?),?\.(\d)f\}(.*)")  # what a number may look like


class Hover:
    """A drawn picture and what to say of its dots; shows itself where it ends a cell."""

    def __init__(self, html: str, png: bytes, alt: str) -> None:
        self.html, self.png, self.alt = html, png, alt

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        shown = {"text/html": self.html, "image/png": b64encode(self.png).decode()}
        width, height = (side // 2 for side in Image.open(BytesIO(self.png)).size)
        return shown | {"text/plain": self.alt}, {"image/png": {"width": width, "height": height}}


def hover(
    axes: Axes,
    x: pd.Series,
    y: pd.Series,
    facts: pd.DataFrame,
    formats: Mapping[str, str],
    alt: str,
) -> Hover:
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
        "x": _packed(np.round(places[:, 0] * 65_535), 0),
        "y": _packed(np.round((1 - places[:, 1]) * 65_535), 0),
        "card": _corner(axes),
        "facts": [{"label": name, **_fact(facts[name], formats)} for name in facts],
    }
    figure.patch.set_visible(False)  # the page shows through
    picture, png = svg.draw(figure, margin=None), _png(axes)
    figure.patch.set_visible(True)
    plt.close(figure)
    name = "hover-" + hashlib.sha256((picture + json.dumps(told)).encode()).hexdigest()[:12]
    return Hover(_html(name, picture, told, alt), png, alt)


def _corner(axes: Axes) -> str:
    """Where the facts stand: in the axes' upper right corner."""
    box = axes.get_position()
    return f"right: {102 - 100 * box.x1:.1f}%; top: {102 - 100 * box.y1:.1f}%"


def _fact(column: pd.Series, formats: Mapping[str, str]) -> dict[str, Any]:
    if not pd.api.types.is_numeric_dtype(column):
        codes, words = pd.factorize(column.astype(str), sort=True)
        return {"words": list(words), **_packed(codes.astype(float), 0)}
    written = formats.get(column.name, "")
    parts = FORMAT.fullmatch(written)
    if not parts:
        raise ValueError(f"{column.name} has format {written!r}, expected one like '${{:,.0f}}'")
    before, sign, decimals, after = parts.groups()
    packed = _packed(column.to_numpy(float), int(decimals))
    return {"before": before, "sign": sign, "after": after, **packed}


def _packed(values: np.ndarray, decimals: int) -> dict[str, Any]:
    """Numbers as (low + step * code) / 10**decimals, the codes in as few bytes as they need."""
    whole = np.round(values * 10**decimals).astype(np.int64)
    low = int(whole.min())
    step = int(np.gcd.reduce(whole - low)) or 1
    codes = (whole - low) // step
    kind = next(one for one in ("<u1", "<u2", "<u4") if codes.max() <= np.iinfo(one).max)
    data = b64encode(codes.astype(kind).tobytes()).decode()
    return {"decimals": decimals, "low": low, "step": step, "bytes": int(kind[2]), "data": data}


def _png(axes: Axes) -> bytes:
    """The plain picture, for whoever shows no HTML."""
    full, small = BytesIO(), BytesIO()
    with rc_context({"savefig.facecolor": "white"}):
        axes.figure.savefig(full, format="png", dpi=svg.DENSITY)
    on_white = Image.open(full)
    paper = Image.new("RGBA", on_white.size, "white")
    paper.alpha_composite(on_white.convert("RGBA"))
    paper.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        small, "png", optimize=True, dpi=(svg.DENSITY, svg.DENSITY)
    )
    return small.getvalue()


def _html(name: str, picture: str, told: dict[str, Any], alt: str) -> str:
    width, height = re.search(r'viewBox="0 0 (\S+) (\S+)"', picture).groups()
    picture = re.sub(r"^.*?<svg[^>]*>|<defs>\s*<style.*?</defs>", "", picture, flags=re.DOTALL)
    picture = re.sub(r'((?: id="|href="#|url\(#))', rf"\1{name}-", picture)
    picture = re.sub(r"(?<=: )#(?:333333|555555)", "currentColor", picture)  # text, on any page
    style = (HERE / "interactive.css").read_text().replace("#hover", f"#{name}")
    script = (HERE / "interactive.js").read_text()
    data = json.dumps(told, separators=(",", ":")).replace("</", "<\\/")
    pixels = float(width) / 72 * 96, float(height) / 72 * 96
    return (
        f'<div id="{name}" class="hover-map" role="group" aria-label="{escape(alt)}" '
        f'data-width="{pixels[0]:.0f}" data-height="{pixels[1]:.0f}">\n'
        f"<style>\n{style}</style>\n"
        '<div class="stage" role="application" tabindex="0" aria-roledescription="map" '
        'aria-label="Arrow keys go from dot to dot, Enter to the next one at the same place">\n'
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(alt)}" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f"{picture.strip().removesuffix('</svg>')}"
        '<circle class="mark" r="6" visibility="hidden"/></svg>\n'
        '<div class="card" role="status" aria-live="polite" hidden></div>\n</div>\n'
        f'<script>\n({script.strip().removesuffix(";")})({data}, "{name}");\n</script>\n</div>'
    )
