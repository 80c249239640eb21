"""Turn the outputs of a code cell into what a page can show safely: the richest format of each."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from pipeline.report import images, markdown, sanitize

MAX_TABLE_ROWS = 500  # of one table that a page shows
WIDGET_MIME_TYPE = "application/vnd.jupyter.widget-view+json"
# formats that the template shows if an output has neither HTML nor a figure, the richest first
TEXT_MIME_TYPES = ["text/markdown", "text/latex", "text/plain", "application/json"]


def render_rich_output(
    output: Any, widget_states: Mapping[str, Any], section: str
) -> Markup | None:
    """Return the HTML of a widget, of HTML or of a figure; None if a text is the best there is.

    widget_states: model id -> state, from the notebook's metadata. section: the heading above
    the cell, which describes a figure without a title.
    """
    mime_bundle = output["data"]
    if WIDGET_MIME_TYPE in mime_bundle:
        widget_html = render_widget(
            mime_bundle[WIDGET_MIME_TYPE].get("model_id", ""), widget_states
        )
        note = Markup('<p class="faint">a widget; its state was not kept</p>')
        return widget_html or note + markdown.ansi_to_html(mime_bundle.get("text/plain", ""))
    if "text/html" in mime_bundle:
        return render_html(mime_bundle["text/html"])
    figure_html = images.figure_html(mime_bundle, output.get("metadata", {}), section)
    if figure_html or any(mime_type in mime_bundle for mime_type in TEXT_MIME_TYPES):
        return figure_html
    note = Markup('<p class="faint">An output that a page cannot show: {}</p>')
    return note.format(", ".join(mime_bundle) or "no data")


def render_html(source: str) -> Markup:
    """Return the safe HTML of an output; a table is put into a scrolling region."""
    rendered = sanitize.render(_truncate_table(source))
    return Markup(markdown.scrolling_table(rendered) if "<table" in rendered else rendered)


def _truncate_table(source: str) -> str:
    """Return the HTML with at most MAX_TABLE_ROWS rows, and a note on how many are missing."""
    rows = source.split("</tr>")
    if len(rows) <= MAX_TABLE_ROWS + 2 or "<script" in source:
        return source
    hidden_count = len(rows) - MAX_TABLE_ROWS - 1
    note = f"<p>… {hidden_count:,} more rows; the executed notebook has them all</p>"
    return "</tr>".join(rows[:MAX_TABLE_ROWS]) + f"</tr></tbody></table>{note}"


def render_latex(source: str) -> Markup:
    """Return the formula of an output as MathML; a table in LaTeX stays text."""
    latex = source.strip()
    if latex.startswith("\\begin{tabular"):
        return markdown.ansi_to_html(source)
    return Markup(f"<p>{sanitize.latex_to_mathml(latex.strip('$'), block=True)}</p>")


def render_widget(model_id: str, widget_states: Mapping[str, Any]) -> Markup:
    """Return the HTML of a widget's last state: its progress, texts and values.

    Empty if the notebook holds no state of it.
    """
    state = widget_states.get(model_id, {}).get("state", {})
    model_name = state.get("_model_name", "")
    if "children" in state:
        children = Markup("").join(
            render_widget(str(reference).removeprefix("IPY_MODEL_"), widget_states)
            for reference in state["children"]
        )
        return children and Markup('<div class="widget">{}</div>').format(children)
    if "Progress" in model_name:
        value, maximum = float(state.get("value", 0)), float(state.get("max", 100) or 1)
        bar = Markup('<progress value="{:g}" max="{:g}" aria-label="progress"></progress>')
        return bar.format(value, maximum)
    value = state.get("value")
    if value is None or model_name.endswith("StyleModel"):
        return Markup("")
    if model_name.startswith("HTML"):
        return Markup(f"<span>{sanitize.sanitize(str(value))}</span>")
    label = f"{state['description']}: " if state.get("description") else ""
    return Markup("<span>{}{}</span>").format(label, value)
