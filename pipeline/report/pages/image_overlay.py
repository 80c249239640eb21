"""Show where two figures differ."""

import base64
import io
from typing import Any

from PIL import Image, ImageChops, ImageFilter

MIN_VISIBLE_DIFFERENCE = 24  # of 255 gray levels; a smaller difference is not marked
HIGHLIGHT_COLOR = (214, 0, 147)
HIGHLIGHT_WIDTH_PX = 5  # so that a single pixel is visible too
FADED_SHARE = 0.6  # of white in the new figure, below the highlights


def highlight_differences(
    old_bundle: dict[str, Any], new_bundle: dict[str, Any]
) -> dict[str, Any] | None:
    """Return the new figure, faded, with its differences highlighted, as a MIME bundle.

    old_bundle, new_bundle: MIME bundles of outputs. None if either has no PNG to compare.
    """
    try:
        old_image, new_image = _decode_png(old_bundle), _decode_png(new_bundle)
    except (KeyError, ValueError, OSError):
        return None
    size = max(old_image.width, new_image.width), max(old_image.height, new_image.height)
    old_image, new_image = _pad_to_size(old_image, size), _pad_to_size(new_image, size)
    difference = ImageChops.difference(old_image, new_image).convert("L")
    mask = difference.point(lambda level: 255 if level > MIN_VISIBLE_DIFFERENCE else 0)
    mask = mask.filter(ImageFilter.MaxFilter(HIGHLIGHT_WIDTH_PX))
    white = Image.new("RGB", size, "white")
    overlay = Image.blend(new_image.convert("L").convert("RGB"), white, FADED_SHARE)
    overlay.paste(Image.new("RGB", size, HIGHLIGHT_COLOR), mask=mask)
    buffer = io.BytesIO()
    overlay.save(buffer, "PNG")
    return {"image/png": base64.b64encode(buffer.getvalue()).decode()}


def changed_pixel_share(old_bundle: dict[str, Any], new_bundle: dict[str, Any]) -> float:
    """Return the share of the pixels that differ visibly, from 0 to 1.

    1 if the sizes differ. Bundles without a PNG give 0 if they are equal, else 1.
    """
    try:
        old_image, new_image = _decode_png(old_bundle), _decode_png(new_bundle)
    except (KeyError, ValueError, OSError):
        return float(old_bundle != new_bundle)
    if old_image.size != new_image.size:
        return 1.0
    pixel_counts = ImageChops.difference(old_image, new_image).convert("L").histogram()
    return sum(pixel_counts[MIN_VISIBLE_DIFFERENCE + 1 :]) / sum(pixel_counts)


def _decode_png(mime_bundle: dict[str, Any]) -> Image.Image:
    """Return the bundle's PNG on a white background.

    Raises KeyError without a PNG, ValueError or OSError if it cannot be decoded.
    """
    png_bytes = base64.b64decode(mime_bundle["image/png"])
    with Image.open(io.BytesIO(png_bytes)) as image:
        background = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(background, image.convert("RGBA")).convert("RGB")


def _pad_to_size(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the image with white below and to the right, up to the size."""
    padded = Image.new("RGB", size, "white")
    padded.paste(image)
    return padded
