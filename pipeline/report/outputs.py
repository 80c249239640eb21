"""What a cell showed, as HTML: the richest form that a page can show safely."""

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from pipeline.report import images, markdown, sanitize

MAX_TABLE_ROWS = 500  # of one table that a page shows
NUMERIC_CELL_PATTERN = re.compile(
    r"\s*(?:[-+−±]?[$€£]?[-+−]?[\d.,]+(?:e[-+]?\d+)?\s*%?|NaN|nan|inf|-|–|)\s*", re.I
)
TABLE_CELL_PATTERN = re.compile(r"<td((?:\s[^>]*)?)>([^<]*)</td>")
INDEX_HEADER_PATTERN = re.compile(
    r"<thead>\s*<tr[^>]*>((?:(?!</tr>).)*)</tr>\s*<tr[^>]*>((?:(?!</tr>).)*)</tr>\s*</thead>",
    re.DOTALL,
)
WIDGET_MIME_TYPE = "application/vnd.jupyter.widget-view+json"


def render_outputs(outputs: list[Any], widget_states: Mapping[str, Any], section: str) -> str:
    """All outputs of a cell but what it said on stderr.

    widgets: the notebook's states of widgets. section: the heading above, for pictures without
    a title.
    """
    return "".join(
        _render_output(one, widget_states, section) for one in outputs if not _is_stderr(one)
    )


def render_stderr(outputs: list[Any]) -> str:
    """What it said on stderr: warnings and progress."""
    said = "".join(one["text"] for one in outputs if _is_stderr(one))
    return markdown.ansi_to_html(said)


def _is_stderr(output: Any) -> bool:
    return output["output_type"] == "stream" and output["name"] == "stderr"


def _render_output(output: Any, widget_states: Mapping[str, Any], section: str) -> str:
    kind = output["output_type"]
    if kind == "stream":
        return markdown.ansi_to_html(output["text"])
    if kind == "error":
        return f'<div class="traceback">{markdown.ansi_to_html(chr(10).join(output["traceback"]))}</div>'
    data = {name: join_lines(one) for name, one in output["data"].items()}
    return _render_mime_bundle(data, output.get("metadata", {}), widget_states, section)


def join_lines(content: Any) -> Any:
    """A text that a notebook's file may keep as a list of lines."""
    texts = isinstance(content, list) and all(isinstance(one, str) for one in content)
    return "".join(content) if texts else content


def _render_mime_bundle(
    mime_bundle: dict[str, Any],
    metadata: Mapping[str, Any],
    widget_states: Mapping[str, Any],
    section: str,
) -> str:
    if WIDGET_MIME_TYPE in mime_bundle:
        found = render_widget(mime_bundle[WIDGET_MIME_TYPE].get("model_id", ""), widget_states)
        note = '<p class="faint">a widget; its state was not kept</p>'
        return found or note + markdown.ansi_to_html(mime_bundle.get("text/plain", ""))
    if "text/html" in mime_bundle:
        return render_html(mime_bundle["text/html"])
    found = images.extract_figure(mime_bundle, metadata)
    if found:
        return figure_html(found, metadata, section)
    if "text/markdown" in mime_bundle:
        return f'<div class="text">{markdown.markdown_to_html(mime_bundle["text/markdown"], id_prefix="out-")}</div>'
    if "text/latex" in mime_bundle:
        return _render_latex(mime_bundle["text/latex"])
    if "text/plain" in mime_bundle:
        return markdown.ansi_to_html(mime_bundle["text/plain"])
    if "application/json" in mime_bundle:
        return markdown.ansi_to_html(json.dumps(mime_bundle["application/json"], indent=1))
    kinds = ", ".join(mime_bundle) or "nothing"
    return f'<p class="faint">An output that a page cannot show: {html.escape(kinds)}</p>'


def render_html(source: str) -> str:
    """HTML of a notebook; a table gets a frame to scroll in, and its numbers to the right."""
    made = sanitize.render(_truncate_table(source))
    if "<table" not in made:
        return made
    return f'<div class="wide" tabindex="0" role="region" aria-label="a table">{mark_text_cells(made)}</div>'


def _truncate_table(source: str) -> str:
    """A long table without the rows that nobody scrolls through."""
    rows = source.split("</tr>")
    if len(rows) <= MAX_TABLE_ROWS + 2 or "<script" in source:
        return source
    left = len(rows) - MAX_TABLE_ROWS - 1
    note = f"<p>… {left:,} more rows; the executed notebook has them all</p>"
    return "</tr>".join(rows[:MAX_TABLE_ROWS]) + f"</tr></tbody></table>{note}"


def mark_text_cells(table: str) -> str:
    """The HTML table with its texts marked: numbers stand to the right, texts to the left."""

    def mark(match: re.Match[str]) -> str:
        number = NUMERIC_CELL_PATTERN.fullmatch(html.unescape(match[2]))
        kind = "" if number or "class=" in match[1] else ' class="t"'
        return f"<td{match[1]}{kind}>{match[2]}</td>"

    return TABLE_CELL_PATTERN.sub(mark, INDEX_HEADER_PATTERN.sub(_merge_header_rows, table))


def _merge_header_rows(match: re.Match[str]) -> str:
    """pandas gives the index's names a line of their own in the head: they fit into the first."""
    columns, names = (re.findall(r"<th[^>]*>(.*?)</th>", one, re.DOTALL) for one in match.groups())
    if len(columns) != len(names):
        return match[0]
    if any(one and other for one, other in zip(columns, names, strict=True)):
        return match[0]
    merged = "".join(f"<th>{one or other}</th>" for one, other in zip(columns, names, strict=True))
    return f"<thead><tr>{merged}</tr></thead>"


def figure_html(figure: images.Figure, metadata: Mapping[str, Any], section: str) -> str:
    """The picture in its frame, with a text for those who cannot see it."""
    told = [one.get("alt") for one in metadata.values() if isinstance(one, Mapping)]
    alt = next(filter(None, told), "") or figure.title or f"a figure: {section or 'see the text'}"
    width = f' width="{figure.width}"' if figure.width else ""
    return (
        f'<figure data-kind="{figure.file_extension}"><img src="{html.escape(figure.data_uri)}"{width} '
        f'alt="{html.escape(alt)}"></figure>'
    )


def _render_latex(source: str) -> str:
    stripped = source.strip()
    for mark in ("$$", "$"):
        if stripped.startswith(mark) and stripped.endswith(mark) and len(stripped) > 2 * len(mark):
            return (
                f"<p>{sanitize.latex_to_mathml(stripped[len(mark) : -len(mark)], block=True)}</p>"
            )
    if stripped.startswith("\\begin{tabular"):
        return markdown.ansi_to_html(source)
    return f"<p>{sanitize.latex_to_mathml(stripped, block=True)}</p>"


def render_widget(model_id: str, widget_states: Mapping[str, Any]) -> str:
    """A widget as it stood at the end: its progress, words and values; empty if nobody knows."""
    state = widget_states.get(model_id, {}).get("state", {})
    kind = state.get("_model_name", "")
    if "children" in state:
        parts = [
            render_widget(str(one).removeprefix("IPY_MODEL_"), widget_states)
            for one in state["children"]
        ]
        return f'<div class="widget">{"".join(filter(None, parts))}</div>' if any(parts) else ""
    if "Progress" in kind:
        value, most = float(state.get("value", 0)), float(state.get("max", 100) or 1)
        return f'<progress value="{value:g}" max="{most:g}" aria-label="progress"></progress>'
    value = state.get("value")
    if value is None or kind.endswith("StyleModel"):
        return ""
    if kind.startswith("HTML"):
        return f"<span>{sanitize.sanitize(str(value))}</span>"
    label = f"{state['description']}: " if state.get("description") else ""
    return f"<span>{html.escape(f'{label}{value}')}</span>"
