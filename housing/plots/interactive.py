"""An interactive figure: a tooltip shows the data of the dot nearest to the pointer.

One piece of HTML without dependencies: the figure as SVG, the data as packed numbers, and a script.
It works as a notebook's output and inside `<iframe sandbox="allow-scripts" srcdoc>` under a content
security policy that forbids every request.
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
from matplotlib.figure import Figure
from PIL import Image

from housing.plots import svg

ASSETS_FOLDER = Path(__file__).parent
# the formats that interactive.js can apply: prefix, sign, decimals, suffix
NUMBER_FORMAT_PATTERN = re.compile(r"([^{]*)\{:(\+?),?\.(\d)f\}(.*)")
MAX_COORDINATE_CODE = 65_535  # the width and the height of the figure in codes of two bytes
CODE_DTYPES = ("<u1", "<u2", "<u4")


class InteractiveFigure:
    """A drawn figure with the data of its dots; displays itself at the end of a notebook cell."""

    def __init__(self, html: str, png: bytes, alt_text: str) -> None:
        self.html, self.png, self.alt_text = html, png, alt_text

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        width, height = (side // 2 for side in Image.open(BytesIO(self.png)).size)
        data = {
            "text/html": self.html,
            "image/png": b64encode(self.png).decode(),
            "text/plain": self.alt_text,
        }
        return data, {"image/png": {"width": width, "height": height}}


def build_interactive_figure(
    axes: Axes,
    x: pd.Series,
    y: pd.Series,
    tooltip_data: pd.DataFrame,
    formats: Mapping[str, str],
    alt_text: str,
) -> InteractiveFigure:
    """Turn the axes' figure into one with a tooltip for the dot nearest to the pointer.

    x, y: (n,) positions of the dots, in the axes' data coordinates. tooltip_data: (n, m); a text
    column is shown as it is, a column of numbers by its entry in `formats` ("${:,.0f}"), packed
    with as many decimals. alt_text: what the figure shows, for screen readers. The figure is
    closed, so that the cell does not show it twice. Raises ValueError for a format that cannot be
    packed, or a number column without one.
    """
    figure = _figure_of(axes)
    figure.canvas.draw()
    positions = figure.transFigure.inverted().transform(
        axes.transData.transform(np.column_stack([x, y]))
    )
    payload = {
        "x": _encode_numbers(np.round(positions[:, 0] * MAX_COORDINATE_CODE), 0),
        "y": _encode_numbers(np.round((1 - positions[:, 1]) * MAX_COORDINATE_CODE), 0),
        "tooltip_style": _tooltip_position(axes),
        "fields": [
            {"label": name, **_encode_column(tooltip_data[name], formats)} for name in tooltip_data
        ],
    }
    figure.patch.set_visible(False)  # the page's background shows through
    svg_markup, png = svg.render(figure, bbox_inches=None), _render_png(figure)
    figure.patch.set_visible(True)
    plt.close(figure)
    digest = hashlib.sha256((svg_markup + json.dumps(payload)).encode()).hexdigest()[:12]
    html = _render_html(f"figure-{digest}", svg_markup, payload, alt_text)
    return InteractiveFigure(html, png, alt_text)


def _figure_of(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("the axes belong to no figure: they were removed from it")
    return figure


def _tooltip_position(axes: Axes) -> str:
    """Return the CSS that places the tooltip in the axes' upper right corner."""
    box = axes.get_position()
    return f"right: {102 - 100 * box.x1:.1f}%; top: {102 - 100 * box.y1:.1f}%"


def _encode_column(column: pd.Series, formats: Mapping[str, str]) -> dict[str, Any]:
    """Encode a column of texts as categories, a column of numbers with its format."""
    if not pd.api.types.is_numeric_dtype(column):
        codes, categories = pd.factorize(column.astype(str), sort=True)
        return {"categories": list(categories), **_encode_numbers(codes.astype(float), 0)}
    number_format = formats.get(str(column.name), "")
    match = NUMBER_FORMAT_PATTERN.fullmatch(number_format)
    if not match:
        raise ValueError(
            f"{column.name} has format {number_format!r}, expected one like '${{:,.0f}}'"
        )
    prefix, sign, decimals, suffix = match.groups()
    packed = _encode_numbers(column.to_numpy(float), int(decimals))
    return {"prefix": prefix, "sign": sign, "suffix": suffix, **packed}


def _encode_numbers(values: np.ndarray, decimals: int) -> dict[str, Any]:
    """Encode numbers as (offset + step * code) / 10**decimals, in codes of the fewest bytes."""
    integers = np.round(values * 10**decimals).astype(np.int64)
    offset = int(integers.min())
    step = int(np.gcd.reduce(integers - offset)) or 1
    codes = (integers - offset) // step
    dtype = next(dtype for dtype in CODE_DTYPES if codes.max() <= np.iinfo(dtype).max)
    return {
        "decimals": decimals,
        "offset": offset,
        "step": step,
        "bytes": np.dtype(dtype).itemsize,
        "data": b64encode(codes.astype(dtype).tobytes()).decode(),
    }


def _render_png(figure: Figure) -> bytes:
    """Render the figure without its tooltip, for viewers that show no HTML."""
    rendered, compressed = BytesIO(), BytesIO()
    with rc_context({"savefig.facecolor": "white"}):
        figure.savefig(rendered, format="png", dpi=svg.RASTER_DPI)
    image = Image.open(rendered)
    background = Image.new("RGBA", image.size, "white")
    background.alpha_composite(image.convert("RGBA"))
    background.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        compressed, "png", optimize=True, dpi=(svg.RASTER_DPI, svg.RASTER_DPI)
    )
    return compressed.getvalue()


def _render_html(element_id: str, svg_markup: str, payload: dict[str, Any], alt_text: str) -> str:
    """Render figure, data, style and script as one element of that id."""
    view_box = re.search(r'viewBox="([^"]*)"', svg_markup)
    if view_box is None:
        raise ValueError("the SVG markup has no viewBox")
    svg_markup = re.sub(
        r"^.*?<svg[^>]*>|<defs>\s*<style.*?</defs>", "", svg_markup, flags=re.DOTALL
    )
    svg_markup = re.sub(r'((?: id="|href="#|url\(#))', rf"\1{element_id}-", svg_markup)
    # the text takes the color of the page that shows it
    svg_markup = re.sub(r"(?<=: )#(?:333333|555555)", "currentColor", svg_markup)
    style = (ASSETS_FOLDER / "interactive.css").read_text().replace("#figure-id", f"#{element_id}")
    script = (ASSETS_FOLDER / "interactive.js").read_text().strip().removesuffix(";")
    data = json.dumps(payload, separators=(",", ":")).replace("</", "<\\/")
    label = escape(alt_text)
    return (
        f'<div id="{element_id}" class="interactive-figure" role="group" aria-label="{label}">\n'
        f"<style>\n{style}</style>\n"
        '<div class="plot" role="application" tabindex="0" aria-roledescription="map" '
        'aria-label="Arrow keys go from dot to dot, Enter to the next one at the same place">\n'
        f'<svg viewBox="{view_box[1]}" role="img" aria-label="{label}" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f"{svg_markup.strip().removesuffix('</svg>')}"
        '<circle class="marker" r="6" visibility="hidden"/></svg>\n'
        '<div class="tooltip" role="status" aria-live="polite" hidden></div>\n</div>\n'
        f'<script>\n({script})({data}, "{element_id}");\n</script>\n</div>'
    )
