"""Render a notebook's Markdown with formulas, printed text with terminal colors, and code."""

import html
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from nbconvert.filters.ansi import ansi2html, strip_ansi
from nbconvert.filters.markdown_mistune import (
    InvalidNotebook,
    IPythonRenderer,
    MarkdownWithMath,
    MathInlineParser,
)
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from pipeline.report import sanitize

MAX_OUTPUT_CHARS = 60_000  # of one output that a page shows; the executed notebook has all
SLUG_SEPARATOR_PATTERN = re.compile(r"[^\w]+")
# around the number of a formula until the HTML is sanitized; private-use characters, so that they
# are unlikely to occur in a text
FORMULA_START, FORMULA_END = "\ue000", "\ue001"
FORMULA_PATTERN = re.compile(f"{FORMULA_START}(\\d+){FORMULA_END}")


class _MarkdownRenderer(IPythonRenderer):
    """Render formulas as MathML, headings with anchors, and images embedded.

    image_dir: the folder of the images that the Markdown names; None embeds none of them.
    attachments: those of the Markdown cell.
    """

    def __init__(self, image_dir: Path | None, attachments: dict[str, Any]) -> None:
        super().__init__(
            escape=False,
            embed_images=image_dir is not None,
            exclude_anchor_links=True,
            path=str(image_dir or ""),
            attachments=attachments,
        )
        self.formulas: list[str] = []  # MathML, by the number in its placeholder
        self.section = ""  # the last heading

    def heading(self, text: str, level: int, **_attributes: Any) -> str:
        self.section = _strip_tags(text).strip()
        return f'<h{level} id="{heading_anchor(text)}">{text}</h{level}>\n'

    def table(self, text: str) -> str:
        label = html.escape(f"a table: {self.section}" if self.section else "a table")
        region = f'<div class="wide" tabindex="0" role="region" aria-label="{label}">'
        return f"{region}<table>\n{text}</table></div>\n"

    def block_code(self, code: str, info: str | None = None) -> str:
        return super().block_code(code, info).replace("<pre>", '<pre tabindex="0">', 1)

    def block_math(self, body: str) -> str:
        return self._add_formula(body, block=True)

    def inline_math(self, body: str) -> str:
        return self._add_formula(body, block=False)

    def latex_environment(self, name: str, body: str) -> str:
        return self._add_formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", block=True)

    def _add_formula(self, latex: str, block: bool) -> str:
        self.formulas.append(sanitize.latex_to_mathml(latex, block))
        return f"{FORMULA_START}{len(self.formulas) - 1}{FORMULA_END}"

    def image(self, text: str, url: str, title: str | None = None) -> str:
        image_html = super().image(text, url, title)
        if "data:image/" in image_html:
            return image_html
        return f"<em>[image, not part of the report: {html.escape(text or url)}]</em>"


class _InlineMathParser(MathInlineParser):
    """Tell formulas from prices by pandoc's rule.

    A $ opens a formula if no space follows; it closes one if no space precedes it and no digit
    follows, within the same paragraph.
    """

    SPECIFICATION: ClassVar[dict[str, str]] = {
        **MathInlineParser.SPECIFICATION,
        "inline_math_tex": r"(?<![$\\])\$(?=[^\s$])(?P<math_inline_tex>(?:[^$\n]|\n(?!\s*\n))+?)"
        r"(?<![\s\\])\$(?![\d$])",
    }


def heading_anchor(heading: str) -> str:
    """Return the id of a heading, which a URL can point at."""
    return SLUG_SEPARATOR_PATTERN.sub("-", _strip_tags(heading).lower()).strip("-") or "part"


def _strip_tags(heading: str) -> str:
    """Return the text of a heading without tags and formulas."""
    return html.unescape(re.sub(f"<[^>]+>|{FORMULA_PATTERN.pattern}", "", heading))


def markdown_to_html(
    source: str,
    image_dir: Path | None = None,
    attachments: dict[str, Any] | None = None,
    id_prefix: str | None = None,
) -> str:
    """Convert Markdown to sanitized HTML.

    image_dir: the folder of the images that it names. attachments: those of its cell. id_prefix:
    is put before each id.
    """
    renderer = _MarkdownRenderer(image_dir, attachments or {})
    try:
        unsafe_html = MarkdownWithMath(renderer, inline=_InlineMathParser()).render(source)
    except InvalidNotebook as error:  # an attachment is missing
        return f"<pre>{html.escape(source)}</pre><p class=faint>{html.escape(str(error))}</p>"
    return FORMULA_PATTERN.sub(
        lambda match: renderer.formulas[int(match[1])], sanitize.sanitize(unsafe_html, id_prefix)
    )


def markdown_to_text(source: str) -> str:
    """Convert Markdown to plain text in one line, for a title or a list."""
    text = re.sub(r"<[^>]+>", "", markdown_to_html(source))
    return " ".join(html.unescape(text).split())


def ansi_to_html(text: str) -> str:
    """Convert text with terminal colors to HTML; empty if it is blank.

    A text over MAX_OUTPUT_CHARS keeps its beginning and its end.
    """
    if len(text) > MAX_OUTPUT_CHARS:
        half = MAX_OUTPUT_CHARS // 2
        head, middle, tail = text[:half], text[half:-half], text[-half:]
        line_count = middle.count("\n")
        note = (
            f"… {len(middle):,} characters, {line_count:,} lines left out here; "
            "the executed notebook has them all …"
        )
        return (
            f"<pre tabindex=0>{ansi2html(head)}</pre><p class=faint>{note}</p>"
            f"<pre tabindex=0>{ansi2html(tail)}</pre>"
        )
    return f"<pre tabindex=0>{ansi2html(text)}</pre>" if text.strip() else ""


def strip_ansi_codes(text: str) -> str:
    """Return the text without terminal colors."""
    return strip_ansi(text)


@lru_cache(maxsize=256)  # a live page is written again and again
def highlight_code(source: str, highlighted_line: int | None = None) -> str:
    """Return Python code as HTML in colors.

    highlighted_line: the number, from 1, of a line that stands out.
    """
    lines = [highlighted_line] if highlighted_line else []
    formatter = HtmlFormatter(nowrap=False, cssclass="highlight", hl_lines=lines, wrapcode=True)
    return highlight(source, PythonLexer(stripnl=False), formatter)
