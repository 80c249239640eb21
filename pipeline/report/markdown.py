"""A notebook's words: Markdown with formulas, printed text with terminal colours, code."""

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

MAX_OUTPUT_CHARS = (
    60_000  # letters of one output's text that a page shows; the executed notebook has all
)
SLUG_SEPARATOR_PATTERN = re.compile(r"[^\w]+")


class _MarkdownRenderer(IPythonRenderer):
    """Markdown as HTML: formulas as MathML, headings that can be pointed at, images embedded."""

    def __init__(self, image_dir: Path | None, attachments: dict[str, Any]) -> None:
        super().__init__(
            escape=False, embed_images=image_dir is not None, exclude_anchor_links=True,
            path=str(image_dir or ""), attachments=attachments,
        )  # fmt: skip
        self.formulas: list[str] = []
        self.section = ""  # the heading above

    def heading(self, text: str, level: int, **_attributes: Any) -> str:
        self.section = _strip_tags(text).strip()
        return f'<h{level} id="{heading_anchor(text)}">{text}</h{level}>\n'

    def table(self, text: str) -> str:
        label = html.escape(f"a table: {self.section}" if self.section else "a table")
        frame = f'<div class="wide" tabindex="0" role="region" aria-label="{label}">'
        return f"{frame}<table>\n{text}</table></div>\n"

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
        return f"\ue000{len(self.formulas) - 1}\ue001"

    def image(self, text: str, url: str, title: str | None = None) -> str:
        made = super().image(text, url, title)
        if "data:image/" in made:
            return made
        return f"<em>[image, not part of the report: {html.escape(text or url)}]</em>"


class _InlineMathParser(MathInlineParser):
    """Prices are no formulas: a $ opens one before a letter, and closes it behind one and before
    no digit (pandoc's rule), within a paragraph."""

    SPECIFICATION: ClassVar[dict[str, str]] = {
        **MathInlineParser.SPECIFICATION,
        "inline_math_tex": r"(?<![$\\])\$(?=[^\s$])(?P<math_inline_tex>(?:[^$\n]|\n(?!\s*\n))+?)"
        r"(?<![\s\\])\$(?![\d$])",
    }


def heading_anchor(heading: str) -> str:
    """What a heading is called in an address."""
    return SLUG_SEPARATOR_PATTERN.sub("-", _strip_tags(heading).lower()).strip("-") or "part"


def _strip_tags(heading: str) -> str:
    """Its words, without tags and formulas."""
    return html.unescape(re.sub(r"<[^>]+>|\ue000\d+\ue001", "", heading))


def markdown_to_html(
    source: str,
    image_dir: Path | None = None,
    attachments: dict[str, Any] | None = None,
    id_prefix: str | None = None,
) -> str:
    """Markdown as HTML that is safe to show. folder: of the images it names."""
    renderer = _MarkdownRenderer(image_dir, attachments or {})
    try:
        made = MarkdownWithMath(renderer, inline=_InlineMathParser()).render(source)
    except InvalidNotebook as missing:  # an attachment that is not there
        return f"<pre>{html.escape(source)}</pre><p class=faint>{html.escape(str(missing))}</p>"
    made = sanitize.sanitize(made, id_prefix)
    return re.sub("\ue000(\\d+)\ue001", lambda one: renderer.formulas[int(one[1])], made)


def markdown_to_text(source: str) -> str:
    """Markdown without its marks, for a title or a line of a list."""
    text = re.sub(r"<[^>]+>", "", markdown_to_html(source))
    return " ".join(html.unescape(text).split())


def ansi_to_html(text: str) -> str:
    """Text as a terminal would show it, its middle left out if it is very long."""
    if len(text) > MAX_OUTPUT_CHARS:
        head, tail = text[: MAX_OUTPUT_CHARS // 2], text[-MAX_OUTPUT_CHARS // 2 :]
        left = text[MAX_OUTPUT_CHARS // 2 : -MAX_OUTPUT_CHARS // 2]
        out = f"{len(left):,} letters, {left.count(chr(10)):,} lines"
        middle = f"… {out} left out here; the executed notebook has them all …"
        return (
            f"<pre tabindex=0>{ansi2html(head)}</pre><p class=faint>{middle}</p>"
            f"<pre tabindex=0>{ansi2html(tail)}</pre>"
        )
    return f"<pre tabindex=0>{ansi2html(text)}</pre>" if text.strip() else ""


def strip_ansi_codes(text: str) -> str:
    """The text without terminal colours."""
    return strip_ansi(text)


@lru_cache(maxsize=256)  # a live page is written again and again
def highlight_code(source: str, highlighted_line: int | None = None) -> str:
    """Python in colours. marked: the number of a line that stands out."""
    lines = [highlighted_line] if highlighted_line else []
    formatter = HtmlFormatter(nowrap=False, cssclass="highlight", hl_lines=lines, wrapcode=True)
    return highlight(source, PythonLexer(stripnl=False), formatter)
