"""Two versions of a code cell, a text, a table, as HTML with the differences marked."""

import re
from difflib import SequenceMatcher
from html import escape
from itertools import zip_longest

from bs4 import BeautifulSoup

from pipeline.report.outputs import aligned
from pipeline.report.rendering import percent

CONTEXT = 3  # lines around a difference
LONGEST = 400  # lines of one difference that a page shows
ROWS = 20  # a longer table is shown without the rows that are the same
NUMBER = re.compile(r"[-+−]?[$€£]?[-+−]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?%?")


def code(before: str, after: str) -> str:
    """Line by line; in an edited line the words that changed stand out."""
    old, new = before.splitlines(), after.splitlines()
    made: list[str] = []
    groups = SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT)
    for number, group in enumerate(groups):
        made += ['<div class="faint">…</div>'] if number else []
        for what, a, b, c, d in group:
            if what == "equal":
                made += [f"<div>  {escape(one)}</div>" for one in old[a:b]]
            else:
                made += _lines(old[a:b], new[c:d])
    left = len(made) - LONGEST
    if left > 0:
        made = [*made[:LONGEST], f'<div class="faint">… {left} more lines</div>']
    about = 'tabindex="0" role="region" aria-label="code that differs"'
    return f'<div class="diff" {about}>{"".join(made)}</div>'


def _lines(old: list[str], new: list[str]) -> list[str]:
    gone, come = [], []
    for one, other in zip_longest(old, new):
        a, b = words(one, other) if one is not None and other is not None else (None, None)
        if one is not None:
            gone.append(f'<div class="old">- {a if a is not None else escape(one)}</div>')
        if other is not None:
            come.append(f'<div class="new">+ {b if b is not None else escape(other)}</div>')
    return gone + come


def words(before: str, after: str) -> tuple[str, str]:
    """Both texts as HTML: what left one in <del>, what came to the other in <ins>."""
    old, new = (re.findall(r"\w+|\s+|[^\w\s]", one) for one in (before, after))
    left, right = [], []
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = escape("".join(old[a:b])), escape("".join(new[c:d]))
        left.append(gone if what == "equal" or not gone else f"<del>{gone}</del>")
        right.append(come if what == "equal" or not come else f"<ins>{come}</ins>")
    return "".join(left), "".join(right)


def text(before: str, after: str) -> str:
    """One text with what went and what came; line by line if it is long."""
    if max(len(before), len(after)) > 2_000:
        return code(before, after)
    old, new = (re.findall(r"[\w.,$%−-]+|\s+|[^\w\s]", one) for one in (before, after))
    made = []
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = escape("".join(old[a:b])), escape("".join(new[c:d]))
        if what == "equal":
            made.append(gone)
        else:
            made.append(f"<del>{gone}</del>" * bool(gone) + f"<ins>{come}</ins>" * bool(come))
    return f'<p style="white-space:pre-wrap">{"".join(made)}</p>'


class Table:
    """An HTML table's texts, by row and column."""

    def __init__(self, source: str) -> None:
        found = BeautifulSoup(source, "html.parser").find("table")
        head = found.find("thead")
        body = found.find("tbody") or found
        self.head = [[_said(one) for one in row.find_all("th")] for row in _rows(head)]
        self.rows: dict[tuple[str, ...], list[str]] = {}
        for row in _rows(body):
            name = tuple(_said(one) for one in row.find_all("th"))
            count = sum(1 for known in self.rows if known[: len(name)] == name)
            # rows of one name are told apart by their number
            self.rows[(*name, f"#{count}") if count else name] = [
                _said(one) for one in row.find_all("td")
            ]
        width = max(map(len, self.rows.values()), default=0)
        names = self.head[0] if self.head else []
        self.columns = names[-width:] if width else []
        self.columns += [""] * (width - len(self.columns))
        self.index = names[:-width] if width else names


def _rows(part) -> list:
    return part.find_all("tr") if part else []


def _said(cell) -> str:
    return " ".join(cell.get_text().split())


def table(before: str, after: str) -> str:
    """The new table, each cell that changed with what it was; rows that came and went marked.

    Empty if both say the same.
    """
    old, new = Table(before), Table(after)
    if (old.head, old.rows) == (new.head, new.rows):
        return ""  # two renderings of one table
    columns = new.columns + [one for one in old.columns if one not in new.columns]
    head = "".join(f"<th>{escape(one)}</th>" for one in (*new.index, *columns))
    made, same = [], 0
    for name in [*new.rows, *(one for one in old.rows if one not in new.rows)]:
        if len(new.rows) > ROWS and old.rows.get(name) == new.rows.get(name):
            same += 1
            continue
        was = dict(zip(old.columns, old.rows.get(name, ()), strict=False))
        now = dict(zip(new.columns, new.rows.get(name, ()), strict=False))
        kind = "" if was and now else ' class="new"' if now else ' class="old"'
        first = "".join(f"<th{kind}>{escape(one)}</th>" for one in name if not one.startswith("#"))
        cells = "".join(_cell(was.get(one), now.get(one), bool(was and now)) for one in columns)
        made.append(f"<tr>{first}{cells}</tr>")
    inside = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(made)}</tbody></table>"
    about = 'tabindex="0" role="region" aria-label="a table with what changed"'
    note = f'<p class="same">{same:,} more rows are the same.</p>' if same else ""
    return f'<div class="wide" {about}>{aligned(inside)}</div>{note}'


def _cell(was: str | None, now: str | None, both: bool) -> str:
    if not both or was == now:
        kind = "" if both else ' class="new"' if now is not None else ' class="old"'
        shown = now if now is not None else was
        return f"<td{kind}>{escape(shown or '')}</td>"
    if was is None or now is None:
        kind = "new" if was is None else "old"
        return f'<td class="{kind}">{escape(was or now or "")}</td>'
    share = _share(was, now)
    return (
        f'<td class="changed" data-sort="{escape(now)}">{escape(now)}'
        f'<span class="was">was {escape(was)}{share}</span></td>'
    )


def number(said: str) -> float | None:
    """The number that a text is, with its sign and without its unit; None if it is none."""
    if not NUMBER.fullmatch(said.strip()):
        return None
    plain = re.sub(r"[$€£,%+\s]", "", said).replace("−", "-")
    try:
        return float(plain)
    except ValueError:
        return None


def _share(was: str, now: str) -> str:
    old, new = number(was), number(now)
    if old is None or new is None or not old:
        return ""
    share = percent((new - old) / abs(old))
    return f", {share}" if share else ""
