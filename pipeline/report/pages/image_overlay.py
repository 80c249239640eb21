"""Where two pictures differ."""

import base64
import io
from typing import Any

from PIL import Image, ImageChops, ImageFilter

SEEN = 24  # of 255: a smaller difference is not marked
MARK = (214, 0, 147)


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any] | None:
    """The new picture, pale, with what is not as it was in a strong colour; an output's forms.

    None if either has no PNG to compare.
    """
    try:
        old, new = (_image(one["image/png"]) for one in (before, after))
    except (KeyError, ValueError, OSError):
        return None
    size = max(old.width, new.width), max(old.height, new.height)
    old, new = (_on_paper(one, size) for one in (old, new))
    difference = ImageChops.difference(old, new).convert("L")
    mask = difference.point(lambda it: 255 if it > SEEN else 0).filter(ImageFilter.MaxFilter(5))
    pale = Image.blend(new.convert("L").convert("RGB"), Image.new("RGB", size, "white"), 0.6)
    pale.paste(Image.new("RGB", size, MARK), mask=mask)
    written = io.BytesIO()
    pale.save(written, "PNG")
    return {"image/png": base64.b64encode(written.getvalue()).decode()}


def share(before: dict[str, Any], after: dict[str, Any]) -> float:
    """The share of the picture that differs; 1 if the sizes do, or there is nothing to compare."""
    try:
        old, new = (_image(one["image/png"]) for one in (before, after))
    except (KeyError, ValueError, OSError):
        return float(before != after)
    if old.size != new.size:
        return 1.0
    counts = ImageChops.difference(old, new).convert("L").histogram()
    return sum(counts[SEEN + 1 :]) / sum(counts)


def _image(encoded: str) -> Image.Image:
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as opened:
        paper = Image.new("RGBA", opened.size, "white")
        return Image.alpha_composite(paper, opened.convert("RGBA")).convert("RGB")


def _on_paper(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    made = Image.new("RGB", size, "white")
    made.paste(image)
    return made
