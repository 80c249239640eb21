"""Render a notebook's Markdown with formulas, printed text with terminal colors, and code."""

import html
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from markupsafe import Markup
from nbconvert.filters.ansi import ansi2html
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import (
    InvalidNotebook,
    IPythonRenderer,
    MarkdownWithMath,
    MathInlineParser,
)

from pipeline.report import sanitize

MAX_OUTPUT_CHARS = 60_000  # of one output that a page shows; the executed notebook has all


class _MarkdownRenderer(IPythonRenderer):
    """Render formulas as MathML, headings with ids, and images embedded."""

    def heading(self, text: str, level: int, **_attributes: Any) -> str:
        # the id that JupyterLab gives it, so that links within a notebook work here too
        anchor = html.escape(Markup(text).striptags().replace(" ", "-"))
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'

    def table(self, text: str) -> str:
        return scrolling_table(f"<table>\n{text}</table>")

    def block_code(self, code: str, info: str | None = None) -> str:
        return super().block_code(code, info).replace("<pre>", '<pre tabindex="0">', 1)

    def block_math(self, body: str) -> str:
        return sanitize.latex_to_mathml(body, block=True)

    def inline_math(self, body: str) -> str:
        return sanitize.latex_to_mathml(body, block=False)

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")

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


def scrolling_table(table_html: str) -> str:
    """Return the HTML in a region that scrolls, by keyboard too."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="a table">{table_html}</div>'


def markdown_to_html(
    source: str,
    image_dir: Path | str | None = None,
    attachments: dict[str, Any] | None = None,
    id_prefix: str | None = None,
) -> Markup:
    """Convert Markdown to sanitized HTML.

    image_dir: the folder of the images that it names; None embeds none of them. attachments: those
    of its cell. id_prefix: is put before each id.
    """
    renderer = _MarkdownRenderer(
        escape=False,
        embed_images=image_dir is not None,
        path=str(image_dir or ""),
        attachments=attachments,
    )
    try:
        unsafe_html = MarkdownWithMath(renderer, inline=_InlineMathParser()).render(source)
    except InvalidNotebook as error:  # an attachment is missing
        unsafe_html = (
            f"<pre>{html.escape(source)}</pre><p class=faint>{html.escape(str(error))}</p>"
        )
    return Markup(sanitize.sanitize(unsafe_html, id_prefix))


def ansi_to_html(text: str) -> Markup:
    """Convert text with terminal colors to HTML; empty if it is blank.

    A text over MAX_OUTPUT_CHARS keeps its beginning and its end.
    """
    if not text.strip():
        return Markup("")
    if len(text) <= MAX_OUTPUT_CHARS:
        return Markup(f"<pre tabindex=0>{ansi2html(text)}</pre>")
    half = MAX_OUTPUT_CHARS // 2
    hidden_text = text[half:-half]
    note = (
        f"… {len(hidden_text):,} characters, {hidden_text.count(chr(10)):,} lines left out here; "
        "the executed notebook has them all …"
    )
    head, tail = ansi_to_html(text[:half]), ansi_to_html(text[-half:])
    return head + Markup('<p class="faint">{}</p>').format(note) + tail


@lru_cache(maxsize=256)  # a live page is written again and again
def highlight_code(
    source: str, language: str = "python", highlighted_line: int | None = None
) -> Markup:
    """Return code as HTML in colors.

    highlighted_line: the number, from 1, of a line that stands out.
    """
    lines = [highlighted_line] if highlighted_line else []
    options = {"hl_lines": lines, "wrapcode": True}
    # the lexer named ipython3 imports all of IPython
    language = language.replace("ipython", "python")
    return Markup(Highlight2HTML(language, extra_formatter_options=options)(source))
