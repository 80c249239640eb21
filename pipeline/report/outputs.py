"""What a cell showed, as HTML: the richest form that a page can show safely."""

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from pipeline.report import images, markdown, sanitize

ROWS = 500  # of one table that a page shows
NUMBER = re.compile(
    r"\s*(?:[-+−±]?[$€£]?[-+−]?[\d.,]+(?:e[-+]?\d+)?\s*%?|NaN|nan|inf|-|–|)\s*", re.I
)
CELL = re.compile(r"<td((?:\s[^>]*)?)>([^<]*)</td>")
INDEX_NAMES = re.compile(
    r"<thead>\s*<tr[^>]*>((?:(?!</tr>).)*)</tr>\s*<tr[^>]*>((?:(?!</tr>).)*)</tr>\s*</thead>",
    re.DOTALL,
)
WIDGET = "application/vnd.jupyter.widget-view+json"


def shown(outputs: list[Any], widgets: Mapping[str, Any], section: str) -> str:
    """All outputs of a cell but what it said on stderr.

    widgets: the notebook's states of widgets. section: the heading above, for pictures without
    a title.
    """
    return "".join(_one(one, widgets, section) for one in outputs if not _is_stderr(one))


def messages(outputs: list[Any]) -> str:
    """What it said on stderr: warnings and progress."""
    said = "".join(one["text"] for one in outputs if _is_stderr(one))
    return markdown.printed(said)


def _is_stderr(output: Any) -> bool:
    return output["output_type"] == "stream" and output["name"] == "stderr"


def _one(output: Any, widgets: Mapping[str, Any], section: str) -> str:
    kind = output["output_type"]
    if kind == "stream":
        return markdown.printed(output["text"])
    if kind == "error":
        return f'<div class="traceback">{markdown.printed(chr(10).join(output["traceback"]))}</div>'
    data = {name: joined(one) for name, one in output["data"].items()}
    return _richest(data, output.get("metadata", {}), widgets, section)


def joined(content: Any) -> Any:
    """A text that a notebook's file may keep as a list of lines."""
    texts = isinstance(content, list) and all(isinstance(one, str) for one in content)
    return "".join(content) if texts else content


def _richest(
    data: dict[str, Any], metadata: Mapping[str, Any], widgets: Mapping[str, Any], section: str
) -> str:
    if WIDGET in data:
        found = widget(data[WIDGET].get("model_id", ""), widgets)
        note = '<p class="faint">a widget; its state was not kept</p>'
        return found or note + markdown.printed(data.get("text/plain", ""))
    if "text/html" in data:
        return shown_table(data["text/html"])
    found = images.figure(data, metadata)
    if found:
        return picture(found, metadata, section)
    if "text/markdown" in data:
        return f'<div class="text">{markdown.markdown(data["text/markdown"], prefix="out-")}</div>'
    if "text/latex" in data:
        return _latex(data["text/latex"])
    if "text/plain" in data:
        return markdown.printed(data["text/plain"])
    if "application/json" in data:
        return markdown.printed(json.dumps(data["application/json"], indent=1))
    kinds = ", ".join(data) or "nothing"
    return f'<p class="faint">An output that a page cannot show: {html.escape(kinds)}</p>'


def shown_table(source: str) -> str:
    """HTML of a notebook; a table gets a frame to scroll in, and its numbers to the right."""
    made = sanitize.shown(_short(source))
    if "<table" not in made:
        return made
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="a table">{aligned(made)}</div>'
    )


def _short(source: str) -> str:
    """A long table without the rows that nobody scrolls through."""
    rows = source.split("</tr>")
    if len(rows) <= ROWS + 2 or "<script" in source:
        return source
    left = len(rows) - ROWS - 1
    note = f"<p>… {left:,} more rows; the executed notebook has them all</p>"
    return "</tr>".join(rows[:ROWS]) + f"</tr></tbody></table>{note}"


def aligned(table: str) -> str:
    """The HTML table with its texts marked: numbers stand to the right, texts to the left."""

    def mark(cell: re.Match[str]) -> str:
        number = NUMBER.fullmatch(html.unescape(cell[2]))
        kind = "" if number or "class=" in cell[1] else ' class="t"'
        return f"<td{cell[1]}{kind}>{cell[2]}</td>"

    return CELL.sub(mark, INDEX_NAMES.sub(_one_line, table))


def _one_line(head: re.Match[str]) -> str:
    """pandas gives the index's names a line of their own in the head: they fit into the first."""
    columns, names = (re.findall(r"<th[^>]*>(.*?)</th>", one, re.DOTALL) for one in head.groups())
    if len(columns) != len(names):
        return head[0]
    if any(one and other for one, other in zip(columns, names, strict=True)):
        return head[0]
    merged = "".join(f"<th>{one or other}</th>" for one, other in zip(columns, names, strict=True))
    return f"<thead><tr>{merged}</tr></thead>"


def picture(found: images.Figure, metadata: Mapping[str, Any], section: str) -> str:
    """The picture in its frame, with a text for those who cannot see it."""
    told = [one.get("alt") for one in metadata.values() if isinstance(one, Mapping)]
    alt = next(filter(None, told), "") or found.title or f"a figure: {section or 'see the text'}"
    width = f' width="{found.width}"' if found.width else ""
    return (
        f'<figure data-kind="{found.name}"><img src="{html.escape(found.source)}"{width} '
        f'alt="{html.escape(alt)}"></figure>'
    )


def _latex(source: str) -> str:
    stripped = source.strip()
    for mark in ("$$", "$"):
        if stripped.startswith(mark) and stripped.endswith(mark) and len(stripped) > 2 * len(mark):
            return f"<p>{sanitize.formula(stripped[len(mark) : -len(mark)], block=True)}</p>"
    if stripped.startswith("\\begin{tabular"):
        return markdown.printed(source)
    return f"<p>{sanitize.formula(stripped, block=True)}</p>"


def widget(model: str, states: Mapping[str, Any]) -> str:
    """A widget as it stood at the end: its progress, words and values; empty if nobody knows."""
    state = states.get(model, {}).get("state", {})
    kind = state.get("_model_name", "")
    if "children" in state:
        parts = [widget(str(one).removeprefix("IPY_MODEL_"), states) for one in state["children"]]
        return f'<div class="widget">{"".join(filter(None, parts))}</div>' if any(parts) else ""
    if "Progress" in kind:
        value, most = float(state.get("value", 0)), float(state.get("max", 100) or 1)
        return f'<progress value="{value:g}" max="{most:g}" aria-label="progress"></progress>'
    value = state.get("value")
    if value is None or kind.endswith("StyleModel"):
        return ""
    if kind.startswith("HTML"):
        return f"<span>{sanitize.plain(str(value))}</span>"
    label = f"{state['description']}: " if state.get("description") else ""
    return f"<span>{html.escape(f'{label}{value}')}</span>"
