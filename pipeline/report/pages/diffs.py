"""Show two versions of a code cell, a text or a table as HTML with the differences marked."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from html import escape
from itertools import zip_longest

from bs4 import BeautifulSoup, Tag

from pipeline.report.outputs import mark_text_cells
from pipeline.report.rendering import format_percent_change

CONTEXT_LINES = 3  # unchanged lines around a difference
MAX_DIFF_LINES = 400  # of one difference that a page shows
MAX_WORD_DIFF_CHARS = 2_000  # a longer text is compared line by line
MAX_FULL_TABLE_ROWS = 20  # a longer table is shown without the rows that did not change
NUMBER_PATTERN = re.compile(r"[-+−]?[$€£]?[-+−]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?%?")
CODE_TOKEN_PATTERN = re.compile(r"\w+|\s+|[^\w\s]")
TEXT_TOKEN_PATTERN = re.compile(r"[\w.,$%−-]+|\s+|[^\w\s]")  # keeps a number in one token


def code_diff(old_source: str, new_source: str) -> str:
    """Return a line diff; in an edited line the words that changed stand out."""
    old_lines, new_lines = old_source.splitlines(), new_source.splitlines()
    matcher = SequenceMatcher(None, old_lines, new_lines, autojunk=False)
    rows: list[str] = []
    for group_index, group in enumerate(matcher.get_grouped_opcodes(CONTEXT_LINES)):
        if group_index:
            rows.append('<div class="faint">…</div>')
        for tag, old_start, old_end, new_start, new_end in group:
            if tag == "equal":
                rows += [f"<div>  {escape(line)}</div>" for line in old_lines[old_start:old_end]]
            else:
                rows += _line_diff(old_lines[old_start:old_end], new_lines[new_start:new_end])
    hidden_count = len(rows) - MAX_DIFF_LINES
    if hidden_count > 0:
        rows = [*rows[:MAX_DIFF_LINES], f'<div class="faint">… {hidden_count} more lines</div>']
    attributes = 'tabindex="0" role="region" aria-label="code that differs"'
    return f'<div class="diff" {attributes}>{"".join(rows)}</div>'


def _line_diff(old_lines: list[str], new_lines: list[str]) -> list[str]:
    """Return the rows of the lines that were replaced: the old ones, then the new ones."""
    old_rows, new_rows = [], []
    for old_line, new_line in zip_longest(old_lines, new_lines):
        if old_line is not None and new_line is not None:
            old_html, new_html = word_diff(old_line, new_line)
        else:
            old_html, new_html = escape(old_line or ""), escape(new_line or "")
        if old_line is not None:
            old_rows.append(f'<div class="old">- {old_html}</div>')
        if new_line is not None:
            new_rows.append(f'<div class="new">+ {new_html}</div>')
    return old_rows + new_rows


def word_diff(old_text: str, new_text: str) -> tuple[str, str]:
    """Return both texts as HTML: deleted words in <del>, inserted ones in <ins>."""
    old_parts, new_parts = [], []
    for is_equal, old_words, new_words in _diff_tokens(CODE_TOKEN_PATTERN, old_text, new_text):
        old_parts.append(old_words if is_equal or not old_words else f"<del>{old_words}</del>")
        new_parts.append(new_words if is_equal or not new_words else f"<ins>{new_words}</ins>")
    return "".join(old_parts), "".join(new_parts)


def text_diff(old_text: str, new_text: str) -> str:
    """Return one text with deletions and insertions marked; a line diff if it is long."""
    if max(len(old_text), len(new_text)) > MAX_WORD_DIFF_CHARS:
        return code_diff(old_text, new_text)
    fragments = []
    for is_equal, old_words, new_words in _diff_tokens(TEXT_TOKEN_PATTERN, old_text, new_text):
        if is_equal:
            fragments.append(old_words)
        else:
            fragments.append(f"<del>{old_words}</del>" if old_words else "")
            fragments.append(f"<ins>{new_words}</ins>" if new_words else "")
    return f'<p style="white-space:pre-wrap">{"".join(fragments)}</p>'


def _diff_tokens(
    token_pattern: re.Pattern[str], old_text: str, new_text: str
) -> Iterable[tuple[bool, str, str]]:
    """Yield (is equal, old HTML, new HTML) of each run of tokens that are equal or differ."""
    old_tokens, new_tokens = token_pattern.findall(old_text), token_pattern.findall(new_text)
    matcher = SequenceMatcher(None, old_tokens, new_tokens, autojunk=False)
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        old_html = escape("".join(old_tokens[old_start:old_end]))
        new_html = escape("".join(new_tokens[new_start:new_end]))
        yield tag == "equal", old_html, new_html


class ParsedTable:
    """The texts of an HTML table, by row and column.

    source: HTML that contains a table. Raises ValueError if it contains none.
    """

    def __init__(self, source: str) -> None:
        table = BeautifulSoup(source, "html.parser").find("table")
        if table is None:
            raise ValueError(f"{source[:60]!r} has no <table> element")
        self.header_rows = [_cell_texts(row, "th") for row in _table_rows(table.find("thead"))]
        self.rows: dict[tuple[str, ...], list[str]] = {}
        for row in _table_rows(table.find("tbody") or table):
            name = tuple(_cell_texts(row, "th"))
            duplicate_count = sum(1 for known_name in self.rows if known_name[: len(name)] == name)
            # rows of the same name are told apart by a number
            key = (*name, f"#{duplicate_count}") if duplicate_count else name
            self.rows[key] = _cell_texts(row, "td")
        width = max(map(len, self.rows.values()), default=0)
        names = self.header_rows[0] if self.header_rows else []
        self.columns = names[-width:] if width else []
        self.columns += [""] * (width - len(self.columns))
        self.index_names = names[:-width] if width else names


def _table_rows(element: Tag | None) -> list[Tag]:
    return list(element.find_all("tr")) if element else []


def _cell_texts(row: Tag, tag_name: str) -> list[str]:
    return [" ".join(cell.get_text().split()) for cell in row.find_all(tag_name)]


def table_diff(old_html: str, new_html: str) -> str:
    """Return the new table with the old value in each changed cell, and changed rows marked.

    Rows that were deleted stand at the end. Empty if both tables have the same texts.
    """
    old_table, new_table = ParsedTable(old_html), ParsedTable(new_html)
    old_rows, new_rows = old_table.rows, new_table.rows
    if (old_table.header_rows, old_rows) == (new_table.header_rows, new_rows):
        return ""
    deleted_columns = [name for name in old_table.columns if name not in new_table.columns]
    columns = new_table.columns + deleted_columns
    head = "".join(f"<th>{escape(name)}</th>" for name in (*new_table.index_names, *columns))
    html_rows: list[str] = []
    same_count = 0
    for name in [*new_rows, *(name for name in old_rows if name not in new_rows)]:
        if len(new_rows) > MAX_FULL_TABLE_ROWS and old_rows.get(name) == new_rows.get(name):
            same_count += 1
            continue
        old_cells = dict(zip(old_table.columns, old_rows.get(name, ()), strict=False))
        new_cells = dict(zip(new_table.columns, new_rows.get(name, ()), strict=False))
        html_rows.append(_row_diff(name, columns, old_cells, new_cells))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(html_rows)}</tbody></table>"
    attributes = 'tabindex="0" role="region" aria-label="a table with what changed"'
    note = f'<p class="same">{same_count:,} more rows are the same.</p>' if same_count else ""
    return f'<div class="wide" {attributes}>{mark_text_cells(table)}</div>{note}'


def _row_diff(
    name: tuple[str, ...], columns: list[str], old_cells: dict[str, str], new_cells: dict[str, str]
) -> str:
    """Return the HTML of a row; its old or new cells are empty if only one table has it."""
    in_both = bool(old_cells and new_cells)
    class_attribute = "" if in_both else ' class="new"' if new_cells else ' class="old"'
    headers = "".join(
        f"<th{class_attribute}>{escape(text)}</th>" for text in name if not text.startswith("#")
    )
    cells = "".join(
        _cell_diff(old_cells.get(column), new_cells.get(column), in_both) for column in columns
    )
    return f"<tr>{headers}{cells}</tr>"


def _cell_diff(old_text: str | None, new_text: str | None, row_in_both: bool) -> str:
    """Return the HTML of a table cell; a text is None if its table has no such cell."""
    if row_in_both and old_text == new_text:
        return f"<td>{escape(new_text or '')}</td>"
    if not row_in_both or old_text is None or new_text is None:
        css_class = "new" if new_text is not None else "old"
        text = new_text if new_text is not None else old_text
        return f'<td class="{css_class}">{escape(text or "")}</td>'
    percent = _percent_change(old_text, new_text)
    return (
        f'<td class="changed" data-sort="{escape(new_text)}">{escape(new_text)}'
        f'<span class="was">was {escape(old_text)}{percent}</span></td>'
    )


def parse_number(text: str) -> float | None:
    """Return the number that a text is, without its unit; None if it is no number."""
    if not NUMBER_PATTERN.fullmatch(text.strip()):
        return None
    digits = re.sub(r"[$€£,%+\s]", "", text).replace("−", "-")
    try:
        return float(digits)
    except ValueError:
        return None


def _percent_change(old_text: str, new_text: str) -> str:
    """Return ", +1.2%" if both texts are numbers; empty if not."""
    old_value, new_value = parse_number(old_text), parse_number(new_text)
    if old_value is None or new_value is None or not old_value:
        return ""
    percent = format_percent_change((new_value - old_value) / abs(old_value))
    return f", {percent}" if percent else ""
