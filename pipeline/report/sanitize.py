"""Clean the HTML of a notebook, so that it cannot affect the page around it.

Text is escaped by Jinja and markupsafe; HTML goes through `sanitize`, or into a sandbox.
"""

import html
import re
from urllib.parse import quote, unquote, urlsplit

import nh3
from pygments.token import STANDARD_TYPES

from pipeline.report.local_files import NO_FILES, LocalFiles

MATHML_TAGS = {
    "math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mfrac", "msqrt", "mroot",
    "mstyle", "merror", "mpadded", "mphantom", "menclose", "msub", "msup", "msubsup", "munder",
    "mover", "munderover", "mtable", "mtr", "mtd",
}  # fmt: skip
ALLOWED_TAGS = nh3.ALLOWED_TAGS | MATHML_TAGS | {"progress", "section", "tfoot"}
ALLOWED_ATTRIBUTES = {
    **nh3.ALLOWED_ATTRIBUTES,
    "*": {"class", "id", "style", "title", "lang", "dir", "role", "aria-label"},
    "a": {"href", "hreflang", "name"},
    "math": {"alttext", "display", "xmlns"},
    "mo": {"stretchy", "fence", "form", "movablelimits", "lspace", "rspace", "minsize", "maxsize"},
    "mspace": {"width"},
    "mstyle": {"displaystyle", "mathcolor", "scriptlevel"},
    "mtable": {"displaystyle", "rowspacing", "columnspacing", "columnalign"},
    "mtd": {"columnalign"},
    "mfrac": {"linethickness"},
    "mi": {"mathvariant"},
    "mn": {"mathvariant"},
    "progress": {"value", "max"},
    "details": {"open"},
}  # fmt: skip
ALLOWED_STYLE_PROPERTIES = {
    "background", "background-color", "border", "border-bottom", "border-collapse",
    "border-left", "border-right", "border-top", "color", "display", "font-family",
    "font-size", "font-style", "font-weight", "height", "margin", "margin-bottom",
    "margin-left", "margin-right", "margin-top", "max-width", "min-width", "opacity",
    "padding", "text-align", "text-decoration", "vertical-align", "white-space", "width",
}  # fmt: skip
# functions that a style may call; others load something, such as url() and image-set()
ALLOWED_STYLE_FUNCTIONS = {
    "calc", "clamp", "color-mix", "hsl", "hsla", "light-dark", "linear-gradient", "max", "min",
    "oklch", "radial-gradient", "rgb", "rgba", "var",
}  # fmt: skip
# any other class could be one of the page's own, which the style sheet and the script look for
ALLOWED_CLASSES = {"wide", "highlight", "dataframe", *STANDARD_TYPES.values()} - {""}
NEGATIVE_MARGIN_PATTERN = re.compile(r"margin[\w-]*\s*:[^;]*-\s*[\d.]", re.IGNORECASE)
TAG_PATTERN = re.compile(r"</?[a-zA-Z](?:\"[^\"]*\"|'[^']*'|[^\"'>])*>")
MISSING_IMAGE_URL = "data:image/missing,"  # followed by the URL of an image that is not embedded
MISSING_IMAGE_PATTERN = re.compile(rf'<img\b[^>]*?\ssrc="{MISSING_IMAGE_URL}([^"]*)"[^>]*>')


def sanitize(source: str, id_prefix: str | None = "out-", files: LocalFiles = NO_FILES) -> str:
    """Return the HTML without anything that could run, load, or cover the rest of the page.

    id_prefix: is put before each id, so that none equals an id of the page itself. files: where
    relative URLs lead.
    """

    def filter_attribute(tag: str, name: str, value: str) -> str | None:
        if tag == "img" and name == "src":
            return _image_url(value, files)
        if name == "href":
            is_data = urlsplit(value.strip()).scheme.lower() == "data"
            return None if is_data else files.link(value)
        if name == "class":
            return " ".join(part for part in value.split() if part in ALLOWED_CLASSES) or None
        is_dropped = name == "style" and not is_harmless_style(value)
        is_dropped |= name == "name" and id_prefix is not None  # a prefix is for ids only
        return None if is_dropped else value

    clean = nh3.clean(
        source,
        tags=ALLOWED_TAGS,
        attributes=ALLOWED_ATTRIBUTES,
        attribute_filter=filter_attribute,
        # any other value would come before the page's own elements in the tab order
        tag_attribute_values={tag: {"tabindex": {"0"}} for tag in ("div", "pre")},
        filter_style_properties=ALLOWED_STYLE_PROPERTIES,
        url_schemes={"http", "https", "mailto", "data"},
        clean_content_tags={"script", "style"},
        id_prefix=id_prefix,
    )
    return MISSING_IMAGE_PATTERN.sub(_describe_missing_image, clean)


def _image_url(url: str, files: LocalFiles) -> str:
    """Return the data: URL of an image, as an image must be embedded in the page."""
    if url.strip().lower().startswith("data:image/"):
        return url
    return files.image_data_uri(url) or MISSING_IMAGE_URL + quote(url)


def _describe_missing_image(match: re.Match[str]) -> str:
    """Return what stands in place of an image that is not embedded."""
    alt = re.search(r'\salt="([^"]+)"', match[0])
    url = html.escape(unquote(html.unescape(match[1])))
    return f"<em>[image, not part of the report: {alt[1] if alt else url}]</em>"


def is_harmless_style(declarations: str) -> bool:
    """Return whether the values of CSS declarations load nothing and stay in their place."""
    functions = {name.lower() for name in re.findall(r"([\w-]*)\(", declarations)}
    return not (
        "\\" in declarations
        or functions - ALLOWED_STYLE_FUNCTIONS - {""}
        or NEGATIVE_MARGIN_PATTERN.search(declarations)
    )
