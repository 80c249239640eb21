"""Show the last state of Jupyter widgets as static HTML, the outputs captured in them included."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pipeline.report import images, sanitize

WIDGET_MIME_TYPE = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE_MIME_TYPE = "application/vnd.jupyter.widget-state+json"
# boxes whose children stand side by side, in any other they stand below each other
ROW_MODELS = {"HBoxModel", "BoxModel", "GridBoxModel"}
MODEL_REFERENCE_PREFIX = "IPY_MODEL_"
NO_HTML = Markup("")


def widget_states(notebook_metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the states of a notebook's widgets, by model id."""
    widgets = notebook_metadata.get("widgets", {})
    states = widgets.get(WIDGET_STATE_MIME_TYPE, {}).get("state", {})
    return states if isinstance(states, Mapping) else {}


@dataclass
class WidgetRenderer:
    """Render widgets from the states in a notebook's metadata.

    render_output: returns the HTML of an output that a widget has captured.
    """

    states: Mapping[str, Any]
    render_output: Callable[[Any], Markup]
    open_ids: tuple[str, ...] = ()  # of the widgets around: none is rendered in itself

    def render(self, model_id: str) -> Markup:
        """Return the HTML of a widget's last state; empty if the notebook holds nothing of it."""
        model = self.states.get(model_id, {})
        state = model.get("state", {})
        if model_id in self.open_ids or not isinstance(state, Mapping):
            return NO_HTML
        self.open_ids += (model_id,)
        try:
            return self._render_state(state, model)
        finally:
            self.open_ids = self.open_ids[:-1]

    def _render_state(self, state: Mapping[str, Any], model: Mapping[str, Any]) -> Markup:
        name = str(state.get("_model_name") or model.get("model_name") or "")
        if name.endswith(("StyleModel", "LayoutModel")):
            return NO_HTML
        if name == "OutputModel":
            outputs = map(self.render_output, state.get("outputs", ()))
            return Markup('<div class="widget-output">{}</div>').format(Markup("").join(outputs))
        if "children" in state:
            return self._render_children(name, state)
        if "Progress" in name:
            return _with_description(state, _progress_bar(state))
        if name == "ImageModel":
            return _image(state, model.get("buffers", ()))
        data_url = str(state.get("_data_url", ""))
        if data_url.startswith("data:image/"):  # the canvas of ipympl
            return Markup('<figure><img src="{}" alt="a figure"></figure>').format(data_url)
        return _with_description(state, _value(name, state))

    def _render_children(self, name: str, state: Mapping[str, Any]) -> Markup:
        """Return the HTML of a box; each child of a tab or an accordion has its title above it."""
        titles = list(state.get("titles") or ()) or list((state.get("_titles") or {}).values())
        blocks = []
        for index, reference in enumerate(state["children"] or ()):
            child = self.render(str(reference).removeprefix(MODEL_REFERENCE_PREFIX))
            title = titles[index] if index < len(titles) else ""
            if title:
                child = Markup('<div><p class="faint">{}</p>{}</div>').format(title, child)
            blocks.append(child)
        content = Markup("").join(blocks)
        classes = "widget" if name in ROW_MODELS else "widget stacked"
        return content and Markup('<div class="{}">{}</div>').format(classes, content)


def _with_description(state: Mapping[str, Any], content: Markup) -> Markup:
    """Return the content with the widget's label before it; empty without content."""
    description = state.get("description")
    if not content or not description or description == content:
        return content
    return Markup("<span>{}: {}</span>").format(description, content)


def _progress_bar(state: Mapping[str, Any]) -> Markup:
    bar = Markup('<progress value="{:g}" max="{:g}" aria-label="progress"></progress>')
    try:
        return bar.format(float(state.get("value", 0)), float(state.get("max", 100) or 1))
    except (TypeError, ValueError):
        return NO_HTML


def _value(model_name: str, state: Mapping[str, Any]) -> Markup:
    """Return what a widget without children shows: its value, choice or label."""
    labels = state.get("_options_labels")
    if labels is not None:
        index = state.get("index")
        indices = index if isinstance(index, list) else [index]
        chosen = [labels[i] for i in indices if isinstance(i, int) and 0 <= i < len(labels)]
        return Markup("<span>{}</span>").format(", ".join(map(str, chosen)) or "nothing chosen")
    if model_name == "ButtonModel":
        description = state.get("description")
        return Markup("<span>[{}]</span>").format(description or state.get("icon") or "button")
    value = state.get("value")
    if value is None:
        return NO_HTML
    if model_name.startswith("HTML"):
        return Markup("<span>{}</span>").format(Markup(sanitize.sanitize(str(value))))
    if model_name == "PasswordModel":
        return Markup("<span>{}</span>").format("•" * 8 if value else "")
    if isinstance(value, bool):
        return Markup("<span>{}</span>").format("yes" if value else "no")
    if isinstance(value, list):
        separator = " – " if "Range" in model_name else ", "
        return Markup("<span>{}</span>").format(separator.join(map(str, value)))
    return Markup("<span>{}</span>").format(value)


def _image(state: Mapping[str, Any], buffers: Any) -> Markup:
    """Return the picture of an Image widget, whose bytes are a buffer of the state."""
    content = next((buffer["data"] for buffer in buffers if buffer.get("path") == ["value"]), "")
    mime_type = f"image/{state.get('format', 'png')}"
    try:
        base64.b64decode(content, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return NO_HTML
    figure = images.figure_html({mime_type: content}, {}) if content else None
    return figure or NO_HTML
