"""Render a figure as SVG, small enough for a report; the same figure gives the same bytes."""

import re
from base64 import b64decode, b64encode
from io import BytesIO, StringIO
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType
from PIL import Image

RASTER_DPI = 200  # of the rasterized parts: sharp on screens of two pixels a point
# text stays text, and ids stay the same
SVG_RC_PARAMS: dict[RcKeyType, Any] = {"svg.fonttype": "none", "svg.hashsalt": "housing"}


def render(figure: Figure, bbox_inches: str | None = "tight") -> str:
    """Render the figure as an SVG document; `bbox_inches=None` keeps the figure's own size."""
    buffer = StringIO()
    with rc_context(SVG_RC_PARAMS):
        figure.savefig(
            buffer,
            format="svg",
            dpi=RASTER_DPI,
            bbox_inches=bbox_inches,
            metadata={"Date": None},
        )
    return _compress(buffer.getvalue())


def _compress(document: str) -> str:
    """Make the document smaller: coordinates in tenths of a point, images compressed losslessly."""
    document = re.sub(r"\s*<metadata>.*?</metadata>|<!--.*?-->", "", document, flags=re.DOTALL)
    document = re.sub(
        r'(?<= (?:d|x|y)=")[^"]+',
        lambda match: re.sub(r"\s*\n\s*", "", _round_coordinates(match[0])),
        document,
    )
    document = re.sub(
        r"data:image/png;base64,([^\"]+)", lambda match: _png_to_webp(match[1]), document
    )
    return re.sub(r">\s*\n\s*<", ">\n<", document)


def _round_coordinates(coordinates: str) -> str:
    return re.sub(
        r"\d+\.\d+", lambda match: f"{float(match[0]):.1f}".removesuffix(".0"), coordinates
    )


def _png_to_webp(png_base64: str) -> str:
    """Return the data URL of the image as lossless WebP."""
    buffer = BytesIO()
    # for lossless images quality is the effort: 100 takes 2.6 s for the value map instead of
    # 0.05 s, and makes it one per cent smaller
    Image.open(BytesIO(b64decode(png_base64))).save(
        buffer, "webp", lossless=True, quality=75, method=4
    )
    return f"data:image/webp;base64,{b64encode(buffer.getvalue()).decode()}"
