"""An interactive figure: a tooltip shows the data of the dot nearest to the pointer.

One piece of HTML without dependencies: the figure as SVG, compressed data, and a script. It works
as a notebook's output and inside `<iframe sandbox="allow-scripts" srcdoc>` under a content security
policy that forbids every request.
"""

import hashlib
import json
import re
import zlib
from base64 import b64encode
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from housing.plots import svg

ASSETS_FOLDER = Path(__file__).parent
POINTS_PER_INCH = 72  # the unit of the SVG markup


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
    axes: Axes, x: pd.Series, y: pd.Series, tooltip_texts: pd.DataFrame, alt_text: str
) -> InteractiveFigure:
    """Turn the axes' figure into one with a tooltip for the dot nearest to the pointer.

    x, y: (n,) positions of the dots, in the axes' data coordinates. tooltip_texts: (n, m); a column
    without a name is shown as a heading. alt_text: what the figure shows, for screen readers. The
    figure is closed, so that the cell does not show it twice.
    """
    figure = _figure_of(axes)
    figure.canvas.draw()
    figure.set_layout_engine("none")  # the layout stays as it was drawn
    positions = figure.transFigure.inverted().transform(
        axes.transData.transform(np.column_stack([x, y]))
    )
    width, height = figure.get_size_inches() * POINTS_PER_INCH
    data = {
        "x": np.round(positions[:, 0] * width, 2).tolist(),
        "y": np.round((1 - positions[:, 1]) * height, 2).tolist(),
        "texts": tooltip_texts.to_dict("list"),
        "tooltip_style": _tooltip_position(axes),
    }
    payload = b64encode(zlib.compress(json.dumps(data, separators=(",", ":")).encode(), 9)).decode()
    png = _render_png(figure)
    figure.patch.set_visible(False)  # the page's background shows through
    svg_markup = svg.render(figure, bbox_inches=None)
    figure.patch.set_visible(True)
    plt.close(figure)
    digest = hashlib.sha256((svg_markup + payload).encode()).hexdigest()[:12]
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


def _render_png(figure: Figure) -> bytes:
    """Render the figure without its tooltip, for viewers that show no HTML."""
    rendered, compressed = BytesIO(), BytesIO()
    figure.savefig(rendered, format="png", dpi=svg.RASTER_DPI, facecolor="white")
    Image.open(rendered).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        compressed, "png", optimize=True, dpi=(svg.RASTER_DPI, svg.RASTER_DPI)
    )
    return compressed.getvalue()


def _render_html(element_id: str, svg_markup: str, payload: str, alt_text: str) -> str:
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
        f'<script>\n({script})("{payload}", "{element_id}");\n</script>\n</div>'
    )
