"""Embed figures: the SVG or the raster image of an output, whichever is smaller."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

RASTER_MIME_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
UNESCAPED_URL_CHARS = "/:;,=+()'!*?@$[]{}|^~` \n"  # need no escape in a quoted data: URL
BOLD_TEXT_PATTERN = re.compile(
    r"<text[^>]*font(?:-weight)?:[^\"';]*?\b(?:bold|[6-9]00)\b[^>]*>(.*?)</text>", re.DOTALL
)
MAX_TITLE_TEXTS = 12  # bold texts of an SVG that become its title


class Figure(NamedTuple):
    """A figure to show in an <img> element."""

    data_uri: str
    file_extension: str  # of the file that it is saved as: png, svg, ...
    title: str = ""  # the title drawn in it; empty if it has none
    width: int | None = None  # in CSS pixels, if the notebook says it


def figure_html(
    mime_bundle: Mapping[str, Any], metadata: Mapping[str, Any], section: str = ""
) -> Markup | None:
    """Return the smallest figure of an output as HTML; None if it has no figure.

    section: the heading above, which describes a figure without a title.
    """
    figures = list(_figures(mime_bundle, metadata))
    if not figures:
        return None
    figure = min(figures, key=lambda each: len(each.data_uri))
    descriptions = [
        *(entry.get("alt") for entry in metadata.values() if isinstance(entry, Mapping)),
        *(each.title for each in figures),
        f"a figure: {section or 'see the text'}",
    ]
    # the style sheet inverts an adaptive image on a dark page
    attributes = Markup(' class="adaptive"') if figure.file_extension == "svg" else Markup("")
    if figure.width:
        attributes += Markup(' width="{}"').format(figure.width)
    return Markup('<figure data-kind="{}"><img src="{}"{} alt="{}"></figure>').format(
        figure.file_extension, figure.data_uri, attributes, next(filter(None, descriptions))
    )


def _figures(mime_bundle: Mapping[str, Any], metadata: Mapping[str, Any]) -> Iterator[Figure]:
    """Yield the SVG and the first raster image, those that there are."""
    _, tag, svg = mime_bundle.get("image/svg+xml", "").partition("<svg")
    if tag:
        uri = f"data:image/svg+xml,{quote(tag + svg, safe=UNESCAPED_URL_CHARS)}"
        yield Figure(uri, "svg", _svg_title(svg))
    for mime_type in RASTER_MIME_TYPES:
        if mime_type in mime_bundle:
            width = metadata.get(mime_type, {}).get("width")
            content = "".join(mime_bundle[mime_type].split())
            extension = mime_type.removeprefix("image/")
            yield Figure(f"data:{mime_type};base64,{content}", extension, width=width)
            return


def _svg_title(svg: str) -> str:
    """Return the title drawn in the SVG: its bold texts."""
    bold_texts = BOLD_TEXT_PATTERN.findall(svg)[:MAX_TITLE_TEXTS]
    return "; ".join(Markup(text).striptags() for text in bold_texts)
