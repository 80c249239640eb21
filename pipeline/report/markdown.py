"""Render a notebook's Markdown with formulas, printed text with terminal colors, and code."""

import html
import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from markupsafe import Markup
from nbconvert.filters.ansi import ansi2html
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from pipeline.report import sanitize
from pipeline.report.formulas import Formula, Macros, formula_html, mark_formulas, replace_marks
from pipeline.report.local_files import NO_FILES, LocalFiles

MAX_OUTPUT_CHARS = 60_000  # of one output that a page shows; the executed notebook has all
MAX_MARKUP_CHARS = 500_000  # of a text in HTML, Markdown or LaTeX that a page shows as such
DATA_URL_PATTERN = re.compile(r"data:[\w/+.-]+;base64,[\w+/=]+")
ATTACHMENT_SCHEME = "attachment:"


class _MarkdownRenderer(IPythonRenderer):
    """Render Markdown whose formulas are marked; `mark_formulas` explains why.

    Where a formula is no formula, such as in code or in a URL, it is written as it was.
    """

    def __init__(self, formulas: list[Formula], attachments: dict[str, Any]) -> None:
        super().__init__(escape=False, attachments=attachments)
        self.formulas = formulas

    def _restore(self, text: str) -> str:
        return replace_marks(text, self.formulas, lambda formula: formula.source)

    def heading(self, text: str, level: int, **_attributes: Any) -> str:
        return f"<h{level}>{text}</h{level}>\n"

    def table(self, text: str) -> str:
        return scrolling_table(f"<table>\n{text}</table>")

    def block_code(self, code: str, info: str | None = None) -> str:
        code_html = super().block_code(self._restore(code), info)
        return code_html.replace("<pre>", '<pre tabindex="0">', 1)

    def codespan(self, text: str) -> str:
        return super().codespan(self._restore(text))

    def block_html(self, html: str) -> str:
        return super().block_html(self._restore_attributes(html))

    def inline_html(self, html: str) -> str:
        return super().inline_html(self._restore_attributes(html))

    def _restore_attributes(self, source: str) -> str:
        return sanitize.TAG_PATTERN.sub(
            lambda match: replace_marks(
                match[0], self.formulas, lambda formula: html.escape(formula.source)
            ),
            source,
        )

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return super().link(text, self._restore(url), title and self._restore(title))

    def image(self, text: str, url: str, title: str | None = None) -> str:
        description, url = self._restore(text), self._restore(url)
        if url.startswith(ATTACHMENT_SCHEME):
            name = unquote(url.removeprefix(ATTACHMENT_SCHEME))
            url = _attachment_data_uri(self.attachments, name)
            if not url:
                return f"<em>[missing attachment: {html.escape(name)}]</em>"
        title_attribute = f' title="{html.escape(self._restore(title))}"' if title else ""
        return f'<img src="{html.escape(url)}" alt="{html.escape(description)}"{title_attribute}>'


def _attachment_data_uri(attachments: dict[str, Any], name: str) -> str:
    """Return the data: URL of an image that is attached to a cell; empty if there is none."""
    mime_bundle = attachments.get(name) or attachments.get(quote(name)) or {}
    for mime_type, content in mime_bundle.items():
        if mime_type.startswith("image/"):
            text = "".join(content).strip()
            if text.startswith("<"):
                return f"data:{mime_type},{quote(text)}"
            return f"data:{mime_type};base64,{''.join(text.split())}"
    return ""


def is_too_long(source: str) -> bool:
    """Return whether a text would make a page that browsers cannot show; images do not count."""
    if len(source) <= MAX_MARKUP_CHARS:
        return False
    return len(DATA_URL_PATTERN.sub("", source)) > MAX_MARKUP_CHARS


def scrolling_table(table_html: str) -> str:
    """Return the HTML in a region that scrolls, by keyboard too."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="a table">{table_html}</div>'


def markdown_to_html(
    source: str,
    files: LocalFiles = NO_FILES,
    attachments: dict[str, Any] | None = None,
    id_prefix: str | None = None,
    macros: Macros | None = None,
) -> Markup:
    """Convert Markdown to sanitized HTML.

    files: where its relative URLs lead. attachments: those of its cell. id_prefix: is put before
    each id. macros: those of the formulas above, to which its own are added.
    """
    if is_too_long(source):
        return ansi_to_html(source)
    marked_source, formulas = mark_formulas(source)
    renderer = _MarkdownRenderer(formulas, attachments or {})
    unsafe_html = MarkdownWithMath(renderer).render(marked_source)
    clean_html = sanitize.sanitize(unsafe_html, id_prefix, files)
    known_macros = macros if macros is not None else Macros()
    return Markup(
        replace_marks(clean_html, formulas, lambda formula: formula_html(formula, known_macros))
    )


def code_spans(text: str) -> Markup:
    """Return plain text as HTML in which what stands in backticks is code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else part
        for index, part in enumerate(parts)
    )


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
