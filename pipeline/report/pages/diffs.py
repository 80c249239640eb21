"""Show two versions of a code cell, a text, a table or a figure with the differences marked."""

import base64
import io
import math
import re
from collections import Counter
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from bs4 import BeautifulSoup
from markupsafe import Markup
from PIL import Image, ImageChops, ImageFilter

from pipeline.report import rendering
from pipeline.report.images import figure_html

CONTEXT_LINES = 3  # unchanged lines around a difference
MAX_DIFF_CHARS = 20_000  # of one difference that a page shows
MAX_WORD_DIFF_CHARS = 2_000  # in longer parts no words are marked
MAX_FULL_TABLE_ROWS = 20  # a longer table is shown without the rows that did not change
TOKEN_PATTERN = re.compile(r"\d[\d.,]*|\w+|\s+|[^\w\s]")  # keeps a number in one token
UNIT_PATTERN = re.compile(r"[$€£,%\s]")
MIN_VISIBLE_DIFFERENCE = 24  # of 255 gray levels; a smaller difference is not marked
IGNORED_PIXEL_SHARE = 0.0005  # a figure with a smaller share of different pixels is unchanged
HIGHLIGHT_COLOR = (214, 0, 147)
HIGHLIGHT_WIDTH_PX = 5  # so that a single pixel is visible too
FADED_SHARE = 0.6  # of white in the new figure, below the highlights


def text_diff(old_text: str, new_text: str) -> Markup:
    """Return the lines that differ, old ones above new ones, and in them the words that differ.

    Empty if none differs.
    """
    if old_text == new_text:
        return Markup("")
    old_lines, new_lines = old_text.splitlines(True), new_text.splitlines(True)
    matcher = SequenceMatcher(None, old_lines, new_lines, autojunk=False)
    blocks: list[Markup] = []
    for group in matcher.get_grouped_opcodes(CONTEXT_LINES):
        blocks.append(Markup('<div class="faint">…</div>') if blocks else Markup(""))
        for tag, old_start, old_end, new_start, new_end in group:
            old_part = "".join(old_lines[old_start:old_end])
            if tag == "equal":
                blocks.append(Markup("<div>{}</div>").format(old_part))
                continue
            old_html, new_html = _mark_words(old_part, "".join(new_lines[new_start:new_end]))
            blocks.append(old_html and Markup('<div class="old">{}</div>').format(old_html))
            blocks.append(new_html and Markup('<div class="new">{}</div>').format(new_html))
        if sum(map(len, blocks)) > MAX_DIFF_CHARS:
            blocks.append(Markup('<div class="faint">… and more</div>'))
            break
    region = '<div class="diff" tabindex="0" role="region" aria-label="what differs">{}</div>'
    return Markup(region).format(Markup("").join(blocks))


def _mark_words(old_text: str, new_text: str) -> tuple[Markup, Markup]:
    """Return both texts as HTML: deleted words in <del>, inserted ones in <ins>."""
    if not (old_text and new_text) or len(old_text + new_text) > MAX_WORD_DIFF_CHARS:
        return Markup.escape(old_text[:MAX_DIFF_CHARS]), Markup.escape(new_text[:MAX_DIFF_CHARS])
    old_words, new_words = TOKEN_PATTERN.findall(old_text), TOKEN_PATTERN.findall(new_text)
    old_html, new_html = Markup(""), Markup("")
    matcher = SequenceMatcher(None, old_words, new_words, autojunk=False)
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        deleted, inserted = old_words[old_start:old_end], new_words[new_start:new_end]
        old_mark, new_mark = ("{}", "{}") if tag == "equal" else ("<del>{}</del>", "<ins>{}</ins>")
        old_html += Markup(old_mark).format("".join(deleted)) if deleted else ""
        new_html += Markup(new_mark).format("".join(inserted)) if inserted else ""
    return old_html, new_html


class ParsedTable(NamedTuple):
    """The texts of an HTML table."""

    index_names: list[str]
    columns: list[str]
    rows: dict[tuple[str, ...], dict[str, str]]  # by the row's headers: column -> text


def parse_table(source: str) -> ParsedTable:
    """Return the texts of the first table in the HTML."""
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    headers: list[str] = []
    columns: list[str] = []
    counts: Counter[tuple[str, ...]] = Counter()
    for row in BeautifulSoup(source, "html.parser").select("table tr"):
        name, texts = (
            [" ".join(cell.get_text().split()) for cell in row.find_all(tag)]
            for tag in ("th", "td")
        )
        if not texts:
            headers = headers or name
            continue
        columns = headers[-len(texts) :] or [""] * len(texts)
        key = tuple(name)
        # rows of the same name are told apart by a number
        rows[(*key, f"#{counts[key]}") if counts[key] else key] = dict(
            zip(columns, texts, strict=False)
        )
        counts[key] += 1
    return ParsedTable(headers[: len(headers) - len(columns)], columns, rows)


def table_diff(old_html: str, new_html: str) -> Markup:
    """Return the new table with the old value in each changed cell, and changed rows marked.

    Rows that were deleted stand at the end. Empty if both tables have the same texts.
    """
    old_table, new_table = parse_table(old_html), parse_table(new_html)
    if old_table == new_table:
        return Markup("")
    rows = [
        (names, old_table.rows.get(names, {}), new_table.rows.get(names, {}))
        for names in new_table.rows | old_table.rows
    ]
    is_long = len(new_table.rows) > MAX_FULL_TABLE_ROWS
    shown_rows = [row for row in rows if row[1] != row[2] or not is_long]
    table_html = rendering.render_template(
        "table_diff.html.j2",
        index_names=new_table.index_names,
        columns=list(dict.fromkeys(new_table.columns + old_table.columns)),
        rows=shown_rows,
        n_same=len(rows) - len(shown_rows),
        percent_change=_percent_change,
    )
    return Markup(table_html)


def _percent_change(old_text: str, new_text: str) -> str:
    """Return ", +1.2%" if both texts are numbers, with their units; empty if not."""
    try:
        old_value, new_value = (
            float(UNIT_PATTERN.sub("", text).replace("−", "-")) for text in (old_text, new_text)
        )
    except ValueError:
        return ""
    change = (new_value - old_value) / abs(old_value) if old_value else math.nan
    percent = rendering.format_percent_change(change) if math.isfinite(change) else ""
    return f", {percent}" if percent else ""


def figure_diff(
    old_bundle: Mapping[str, Any] | None, new_bundle: Mapping[str, Any] | None
) -> Markup:
    """Return both figures side by side, and where they differ; empty if no eye sees a difference.

    old_bundle, new_bundle: MIME bundles of outputs; None if there is no such figure.
    """
    if old_bundle == new_bundle:
        return Markup("")
    figures = {"before": old_bundle, "now": new_bundle}
    try:
        images = _decode_png(old_bundle or {}), _decode_png(new_bundle or {})
    except (KeyError, ValueError, OSError):  # no PNG to compare
        pass
    else:
        overlay = _highlight_differences(*images)
        if overlay is None:
            return Markup("")
        figures["what differs"] = overlay
    columns = (
        Markup("<div><h4>{}</h4>{}</div>").format(
            title,
            figure_html(bundle or {}, {}) or Markup('<p class="faint">no figure</p>'),
        )
        for title, bundle in figures.items()
    )
    return Markup('<div class="pair">{}</div>').format(Markup("").join(columns))


def _decode_png(mime_bundle: Mapping[str, Any]) -> Image.Image:
    """Return the bundle's PNG on a white background.

    Raises KeyError without a PNG, ValueError or OSError if it cannot be decoded.
    """
    with Image.open(io.BytesIO(base64.b64decode(mime_bundle["image/png"]))) as image:
        background = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(background, image.convert("RGBA")).convert("RGB")


def _highlight_differences(old_image: Image.Image, new_image: Image.Image) -> dict[str, str] | None:
    """Return the new figure, faded, with its differences highlighted, as a MIME bundle.

    None if both look the same.
    """
    size = max(old_image.width, new_image.width), max(old_image.height, new_image.height)
    # a crop that is larger than the image is padded with black
    old_padded, new_padded = (image.crop((0, 0, *size)) for image in (old_image, new_image))
    difference = ImageChops.difference(old_padded, new_padded).convert("L")
    mask = difference.point(lambda level: 255 if level > MIN_VISIBLE_DIFFERENCE else 0)
    changed_share = mask.histogram()[255] / (size[0] * size[1])
    if old_image.size == new_image.size and changed_share <= IGNORED_PIXEL_SHARE:
        return None
    faded = Image.blend(new_padded.convert("L"), Image.new("L", size, "white"), FADED_SHARE)
    overlay = faded.convert("RGB")
    overlay.paste(HIGHLIGHT_COLOR, mask=mask.filter(ImageFilter.MaxFilter(HIGHLIGHT_WIDTH_PX)))
    buffer = io.BytesIO()
    overlay.save(buffer, "PNG")
    return {"image/png": base64.b64encode(buffer.getvalue()).decode()}
