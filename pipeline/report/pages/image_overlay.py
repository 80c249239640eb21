"""Where two pictures differ."""

import base64
import io
from typing import Any

from PIL import Image, ImageChops, ImageFilter

MIN_VISIBLE_DIFFERENCE = 24  # of 255: a smaller difference is not marked
HIGHLIGHT_COLOR = (214, 0, 147)


def highlight_differences(
    old_bundle: dict[str, Any], new_bundle: dict[str, Any]
) -> dict[str, Any] | None:
    """The new picture, pale, with what is not as it was in a strong colour; an output's forms.

    None if either has no PNG to compare.
    """
    try:
        old, new = (_decode_png(one["image/png"]) for one in (old_bundle, new_bundle))
    except (KeyError, ValueError, OSError):
        return None
    size = max(old.width, new.width), max(old.height, new.height)
    old, new = (_pad_to_size(one, size) for one in (old, new))
    difference = ImageChops.difference(old, new).convert("L")
    mask = difference.point(lambda it: 255 if it > MIN_VISIBLE_DIFFERENCE else 0).filter(
        ImageFilter.MaxFilter(5)
    )
    pale = Image.blend(new.convert("L").convert("RGB"), Image.new("RGB", size, "white"), 0.6)
    pale.paste(Image.new("RGB", size, HIGHLIGHT_COLOR), mask=mask)
    written = io.BytesIO()
    pale.save(written, "PNG")
    return {"image/png": base64.b64encode(written.getvalue()).decode()}


def changed_pixel_share(old_bundle: dict[str, Any], new_bundle: dict[str, Any]) -> float:
    """The share of the picture that differs; 1 if the sizes do, or there is nothing to compare."""
    try:
        old, new = (_decode_png(one["image/png"]) for one in (old_bundle, new_bundle))
    except (KeyError, ValueError, OSError):
        return float(old_bundle != new_bundle)
    if old.size != new.size:
        return 1.0
    counts = ImageChops.difference(old, new).convert("L").histogram()
    return sum(counts[MIN_VISIBLE_DIFFERENCE + 1 :]) / sum(counts)


def _decode_png(png_base64: str) -> Image.Image:
    with Image.open(io.BytesIO(base64.b64decode(png_base64))) as opened:
        paper = Image.new("RGBA", opened.size, "white")
        return Image.alpha_composite(paper, opened.convert("RGBA")).convert("RGB")


def _pad_to_size(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    made = Image.new("RGB", size, "white")
    made.paste(image)
    return made
