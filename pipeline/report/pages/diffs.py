"""Two versions of a code cell, a text, a table, as HTML with the differences marked."""

import re
from difflib import SequenceMatcher
from html import escape
from itertools import zip_longest

from bs4 import BeautifulSoup

from pipeline.report.outputs import mark_text_cells
from pipeline.report.rendering import format_percent_change

CONTEXT_LINES = 3  # lines around a difference
MAX_DIFF_LINES = 400  # lines of one difference that a page shows
MAX_FULL_TABLE_ROWS = 20  # a longer table is shown without the rows that are the same
NUMBER_PATTERN = re.compile(r"[-+−]?[$€£]?[-+−]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?%?")


def code_diff(old_source: str, new_source: str) -> str:
    """Line by line; in an edited line the words that changed stand out."""
    old, new = old_source.splitlines(), new_source.splitlines()
    made: list[str] = []
    groups = SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT_LINES)
    for number, group in enumerate(groups):
        made += ['<div class="faint">…</div>'] if number else []
        for what, a, b, c, d in group:
            if what == "equal":
                made += [f"<div>  {escape(one)}</div>" for one in old[a:b]]
            else:
                made += _line_diff(old[a:b], new[c:d])
    left = len(made) - MAX_DIFF_LINES
    if left > 0:
        made = [*made[:MAX_DIFF_LINES], f'<div class="faint">… {left} more lines</div>']
    about = 'tabindex="0" role="region" aria-label="code that differs"'
    return f'<div class="diff" {about}>{"".join(made)}</div>'


def _line_diff(old_lines: list[str], new_lines: list[str]) -> list[str]:
    gone, come = [], []
    for one, other in zip_longest(old_lines, new_lines):
        a, b = word_diff(one, other) if one is not None and other is not None else (None, None)
        if one is not None:
            gone.append(f'<div class="old">- {a if a is not None else escape(one)}</div>')
        if other is not None:
            come.append(f'<div class="new">+ {b if b is not None else escape(other)}</div>')
    return gone + come


def word_diff(old_text: str, new_text: str) -> tuple[str, str]:
    """Both texts as HTML: what left one in <del>, what came to the other in <ins>."""
    old, new = (re.findall(r"\w+|\s+|[^\w\s]", one) for one in (old_text, new_text))
    left, right = [], []
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = escape("".join(old[a:b])), escape("".join(new[c:d]))
        left.append(gone if what == "equal" or not gone else f"<del>{gone}</del>")
        right.append(come if what == "equal" or not come else f"<ins>{come}</ins>")
    return "".join(left), "".join(right)


def text_diff(old_text: str, new_text: str) -> str:
    """One text with what went and what came; line by line if it is long."""
    if max(len(old_text), len(new_text)) > 2_000:
        return code_diff(old_text, new_text)
    old, new = (re.findall(r"[\w.,$%−-]+|\s+|[^\w\s]", one) for one in (old_text, new_text))
    made = []
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = escape("".join(old[a:b])), escape("".join(new[c:d]))
        if what == "equal":
            made.append(gone)
        else:
            made.append(f"<del>{gone}</del>" * bool(gone) + f"<ins>{come}</ins>" * bool(come))
    return f'<p style="white-space:pre-wrap">{"".join(made)}</p>'


class ParsedTable:
    """An HTML table's texts, by row and column."""

    def __init__(self, source: str) -> None:
        found = BeautifulSoup(source, "html.parser").find("table")
        head = found.find("thead")
        body = found.find("tbody") or found
        self.header_rows = [
            [_cell_text(one) for one in row.find_all("th")] for row in _table_rows(head)
        ]
        self.rows: dict[tuple[str, ...], list[str]] = {}
        for row in _table_rows(body):
            name = tuple(_cell_text(one) for one in row.find_all("th"))
            count = sum(1 for known in self.rows if known[: len(name)] == name)
            # rows of one name are told apart by their number
            self.rows[(*name, f"#{count}") if count else name] = [
                _cell_text(one) for one in row.find_all("td")
            ]
        width = max(map(len, self.rows.values()), default=0)
        names = self.header_rows[0] if self.header_rows else []
        self.columns = names[-width:] if width else []
        self.columns += [""] * (width - len(self.columns))
        self.index_names = names[:-width] if width else names


def _table_rows(element) -> list:
    return element.find_all("tr") if element else []


def _cell_text(cell) -> str:
    return " ".join(cell.get_text().split())


def table_diff(old_html: str, new_html: str) -> str:
    """The new table, each cell that changed with what it was; rows that came and went marked.

    Empty if both say the same.
    """
    old, new = ParsedTable(old_html), ParsedTable(new_html)
    if (old.header_rows, old.rows) == (new.header_rows, new.rows):
        return ""  # two renderings of one table
    columns = new.columns + [one for one in old.columns if one not in new.columns]
    head = "".join(f"<th>{escape(one)}</th>" for one in (*new.index_names, *columns))
    made, same = [], 0
    for name in [*new.rows, *(one for one in old.rows if one not in new.rows)]:
        if len(new.rows) > MAX_FULL_TABLE_ROWS and old.rows.get(name) == new.rows.get(name):
            same += 1
            continue
        was = dict(zip(old.columns, old.rows.get(name, ()), strict=False))
        now = dict(zip(new.columns, new.rows.get(name, ()), strict=False))
        kind = "" if was and now else ' class="new"' if now else ' class="old"'
        first = "".join(f"<th{kind}>{escape(one)}</th>" for one in name if not one.startswith("#"))
        cells = "".join(
            _cell_diff(was.get(one), now.get(one), bool(was and now)) for one in columns
        )
        made.append(f"<tr>{first}{cells}</tr>")
    inside = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(made)}</tbody></table>"
    about = 'tabindex="0" role="region" aria-label="a table with what changed"'
    note = f'<p class="same">{same:,} more rows are the same.</p>' if same else ""
    return f'<div class="wide" {about}>{mark_text_cells(inside)}</div>{note}'


def _cell_diff(old_text: str | None, new_text: str | None, row_in_both: bool) -> str:
    if not row_in_both or old_text == new_text:
        kind = "" if row_in_both else ' class="new"' if new_text is not None else ' class="old"'
        shown = new_text if new_text is not None else old_text
        return f"<td{kind}>{escape(shown or '')}</td>"
    if old_text is None or new_text is None:
        kind = "new" if old_text is None else "old"
        return f'<td class="{kind}">{escape(old_text or new_text or "")}</td>'
    share = _percent_change(old_text, new_text)
    return (
        f'<td class="changed" data-sort="{escape(new_text)}">{escape(new_text)}'
        f'<span class="was">was {escape(old_text)}{share}</span></td>'
    )


def parse_number(text: str) -> float | None:
    """The number that a text is, with its sign and without its unit; None if it is none."""
    if not NUMBER_PATTERN.fullmatch(text.strip()):
        return None
    plain = re.sub(r"[$€£,%+\s]", "", text).replace("−", "-")
    try:
        return float(plain)
    except ValueError:
        return None


def _percent_change(old_text: str, new_text: str) -> str:
    old, new = parse_number(old_text), parse_number(new_text)
    if old is None or new is None or not old:
        return ""
    share = format_percent_change((new - old) / abs(old))
    return f", {share}" if share else ""
