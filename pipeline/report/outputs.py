"""Render the outputs of a code cell as HTML: the richest format that a page can show safely."""

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
    """Return the HTML of all outputs of a cell except stderr.

    widget_states: model id -> state, from the notebook's metadata. section: the heading above
    the cell, which describes a figure without a title.
    """
    return "".join(
        _render_output(output, widget_states, section)
        for output in outputs
        if not _is_stderr(output)
    )


def render_stderr(outputs: list[Any]) -> str:
    """Return the HTML of what the cell wrote to stderr: warnings and progress."""
    return markdown.ansi_to_html(
        "".join(output["text"] for output in outputs if _is_stderr(output))
    )


def _is_stderr(output: Any) -> bool:
    return output["output_type"] == "stream" and output["name"] == "stderr"


def _render_output(output: Any, widget_states: Mapping[str, Any], section: str) -> str:
    output_type = output["output_type"]
    if output_type == "stream":
        return markdown.ansi_to_html(output["text"])
    if output_type == "error":
        traceback_html = markdown.ansi_to_html("\n".join(output["traceback"]))
        return f'<div class="traceback">{traceback_html}</div>'
    mime_bundle = {mime_type: join_lines(content) for mime_type, content in output["data"].items()}
    return _render_mime_bundle(mime_bundle, output.get("metadata", {}), widget_states, section)


def join_lines(content: Any) -> Any:
    """Join a text that a notebook file stores as a list of lines; return all else unchanged."""
    is_lines = isinstance(content, list) and all(isinstance(line, str) for line in content)
    return "".join(content) if is_lines else content


def _render_mime_bundle(
    mime_bundle: dict[str, Any],
    metadata: Mapping[str, Any],
    widget_states: Mapping[str, Any],
    section: str,
) -> str:
    if WIDGET_MIME_TYPE in mime_bundle:
        model_id = mime_bundle[WIDGET_MIME_TYPE].get("model_id", "")
        note = '<p class="faint">a widget; its state was not kept</p>'
        return render_widget(model_id, widget_states) or note + markdown.ansi_to_html(
            mime_bundle.get("text/plain", "")
        )
    if "text/html" in mime_bundle:
        return render_html(mime_bundle["text/html"])
    figure = images.extract_figure(mime_bundle, metadata)
    if figure:
        return figure_html(figure, metadata, section)
    return _render_text(mime_bundle)


def _render_text(mime_bundle: dict[str, Any]) -> str:
    """Return the HTML of the richest text format; a note if the bundle has none."""
    if "text/markdown" in mime_bundle:
        text_html = markdown.markdown_to_html(mime_bundle["text/markdown"], id_prefix="out-")
        return f'<div class="text">{text_html}</div>'
    if "text/latex" in mime_bundle:
        return _render_latex(mime_bundle["text/latex"])
    if "text/plain" in mime_bundle:
        return markdown.ansi_to_html(mime_bundle["text/plain"])
    if "application/json" in mime_bundle:
        return markdown.ansi_to_html(json.dumps(mime_bundle["application/json"], indent=1))
    mime_types = html.escape(", ".join(mime_bundle) or "no data")
    return f'<p class="faint">An output that a page cannot show: {mime_types}</p>'


def render_html(source: str) -> str:
    """Return an output's HTML; a table is put into a scrolling region, its numbers aligned."""
    rendered = sanitize.render(_truncate_table(source))
    if "<table" not in rendered:
        return rendered
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="a table">'
        f"{mark_text_cells(rendered)}</div>"
    )


def _truncate_table(source: str) -> str:
    """Return the HTML with at most MAX_TABLE_ROWS rows, and a note on how many are missing."""
    rows = source.split("</tr>")
    if len(rows) <= MAX_TABLE_ROWS + 2 or "<script" in source:
        return source
    hidden_count = len(rows) - MAX_TABLE_ROWS - 1
    note = f"<p>… {hidden_count:,} more rows; the executed notebook has them all</p>"
    return "</tr>".join(rows[:MAX_TABLE_ROWS]) + f"</tr></tbody></table>{note}"


def mark_text_cells(table: str) -> str:
    """Return the HTML table with class t on its text cells, which the style sheet aligns left.

    Numbers are aligned right. The two header rows of a pandas table become one.
    """

    def mark_cell(match: re.Match[str]) -> str:
        is_number = NUMERIC_CELL_PATTERN.fullmatch(html.unescape(match[2]))
        class_attribute = "" if is_number or "class=" in match[1] else ' class="t"'
        return f"<td{match[1]}{class_attribute}>{match[2]}</td>"

    merged = INDEX_HEADER_PATTERN.sub(_merge_header_rows, table)
    return TABLE_CELL_PATTERN.sub(mark_cell, merged)


def _merge_header_rows(match: re.Match[str]) -> str:
    """Merge the header row that pandas adds for the index names into the row of the columns.

    The header stays as it is if a column has a name in both rows.
    """
    column_names, index_names = (
        re.findall(r"<th[^>]*>(.*?)</th>", row, re.DOTALL) for row in match.groups()
    )
    if len(column_names) != len(index_names):
        return match[0]
    pairs = list(zip(column_names, index_names, strict=True))
    if any(column_name and index_name for column_name, index_name in pairs):
        return match[0]
    merged = "".join(f"<th>{column_name or index_name}</th>" for column_name, index_name in pairs)
    return f"<thead><tr>{merged}</tr></thead>"


def figure_html(figure: images.Figure, metadata: Mapping[str, Any], section: str) -> str:
    """Return the figure as an HTML element with an alternative text for screen readers."""
    alt_texts = [entry.get("alt") for entry in metadata.values() if isinstance(entry, Mapping)]
    default_alt = figure.title or f"a figure: {section or 'see the text'}"
    alt = next(filter(None, alt_texts), "") or default_alt
    width = f' width="{figure.width}"' if figure.width else ""
    return (
        f'<figure data-kind="{figure.file_extension}">'
        f'<img src="{html.escape(figure.data_uri)}"{width} '
        f'alt="{html.escape(alt)}"></figure>'
    )


def _render_latex(source: str) -> str:
    stripped = source.strip()
    for delimiter in ("$$", "$"):
        size = len(delimiter)
        is_delimited = stripped.startswith(delimiter) and stripped.endswith(delimiter)
        if is_delimited and len(stripped) > 2 * size:
            return f"<p>{sanitize.latex_to_mathml(stripped[size:-size], block=True)}</p>"
    if stripped.startswith("\\begin{tabular"):
        return markdown.ansi_to_html(source)
    return f"<p>{sanitize.latex_to_mathml(stripped, block=True)}</p>"


def render_widget(model_id: str, widget_states: Mapping[str, Any]) -> str:
    """Return the HTML of a widget's last state: its progress, texts and values.

    Empty if the notebook holds no state of it.
    """
    state = widget_states.get(model_id, {}).get("state", {})
    model_name = state.get("_model_name", "")
    if "children" in state:
        children = [
            render_widget(str(reference).removeprefix("IPY_MODEL_"), widget_states)
            for reference in state["children"]
        ]
        return f'<div class="widget">{"".join(children)}</div>' if any(children) else ""
    if "Progress" in model_name:
        value, maximum = float(state.get("value", 0)), float(state.get("max", 100) or 1)
        return f'<progress value="{value:g}" max="{maximum:g}" aria-label="progress"></progress>'
    value = state.get("value")
    if value is None or model_name.endswith("StyleModel"):
        return ""
    if model_name.startswith("HTML"):
        return f"<span>{sanitize.sanitize(str(value))}</span>"
    label = f"{state['description']}: " if state.get("description") else ""
    return f"<span>{html.escape(f'{label}{value}')}</span>"
