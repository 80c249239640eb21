"""Turn the outputs of a code cell into what a page can show safely: the richest format of each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from pipeline.report import images, markdown, plot_libraries, sandbox
from pipeline.report.formulas import Macros, latex_text_html
from pipeline.report.local_files import NO_FILES, LocalFiles
from pipeline.report.widgets import WIDGET_MIME_TYPE, WidgetRenderer

MAX_TABLE_ROWS = 500  # of one table that a page shows
NO_HTML = Markup("")


@dataclass
class OutputRenderer:
    """Render the outputs of a notebook, cell by cell."""

    widget_states: Mapping[str, Any] = field(default_factory=dict)
    files: LocalFiles = NO_FILES  # where the relative URLs in its HTML and Markdown lead
    macros: Macros = field(default_factory=Macros)  # of the formulas so far
    section: str = ""  # the heading above the cell, which describes a figure without a title
    # name of a plotting library -> its script, of those that the outputs so far contain
    scripts: dict[str, str] = field(default_factory=dict)
    is_running: bool = False  # the kernel keeps the states of widgets until the notebook ends

    def __post_init__(self) -> None:
        self.widgets = WidgetRenderer(self.widget_states, self.render)

    def render(self, output: Any, id_prefix: str = "out-") -> Markup:
        """Return the HTML of an output; empty if it has nothing to show.

        id_prefix: is put before each id in Markdown.
        """
        if output["output_type"] == "stream":
            return markdown.ansi_to_html(output["text"])
        if output["output_type"] == "error":
            traceback = "\n".join(output["traceback"]) or f"{output['ename']}: {output['evalue']}"
            return Markup('<div class="traceback">{}</div>').format(
                markdown.ansi_to_html(traceback)
            )
        if "data" not in output:
            return NO_HTML
        return self._render_data(output["data"], output.get("metadata", {}), id_prefix)

    def _render_data(
        self, mime_bundle: Mapping[str, Any], metadata: Mapping[str, Any], id_prefix: str
    ) -> Markup:
        """Return the HTML of the richest format that a page can show."""
        if WIDGET_MIME_TYPE in mime_bundle:
            return self._render_widget(mime_bundle, metadata)
        library = plot_libraries.library_of_bundle(mime_bundle)
        if library:
            return self._render_plot(library, mime_bundle, metadata)
        if "text/html" in mime_bundle:
            return self._render_html(mime_bundle["text/html"])
        figure_html = images.figure_html(mime_bundle, metadata, self.section)
        return figure_html or self.render_text(mime_bundle, id_prefix)

    def _render_html(self, source: str) -> Markup:
        """Return the safe HTML of an output; remember the libraries in it for those below."""
        self.scripts |= plot_libraries.find_library_scripts(source)
        if plot_libraries.only_loads_library(source):
            return NO_HTML
        return render_html(source, self.files, self.scripts)

    def render_text(self, mime_bundle: Mapping[str, Any], id_prefix: str = "out-") -> Markup:
        """Return the HTML of the richest text, or a note on an output that a page cannot show."""
        if "text/markdown" in mime_bundle:
            text_html = markdown.markdown_to_html(
                mime_bundle["text/markdown"], self.files, None, id_prefix, self.macros
            )
            return Markup('<div class="text">{}</div>').format(text_html)
        if "text/latex" in mime_bundle:
            return self._render_latex(mime_bundle["text/latex"])
        if "application/javascript" in mime_bundle:
            return Markup('<p class="faint">a script, which a report does not run</p>')
        if "text/plain" in mime_bundle:
            return markdown.ansi_to_html(mime_bundle["text/plain"])
        if "application/json" in mime_bundle:
            text = json.dumps(mime_bundle["application/json"], indent=1, ensure_ascii=False)
            return markdown.ansi_to_html(text)
        note = Markup('<p class="faint">An output that a page cannot show: {}</p>')
        return note.format(", ".join(mime_bundle) or "no data")

    def _render_latex(self, source: str) -> Markup:
        """Return a text in LaTeX with its formulas as MathML; a table in LaTeX stays text."""
        if source.strip().startswith("\\begin{tabular") or markdown.is_too_long(source):
            return markdown.ansi_to_html(source)
        return Markup(latex_text_html(source, self.macros))

    def _render_widget(self, mime_bundle: Mapping[str, Any], metadata: Mapping[str, Any]) -> Markup:
        """Return a widget's last state, else its picture, else a note and its text."""
        model_id = mime_bundle[WIDGET_MIME_TYPE].get("model_id", "")
        widget_html = self.widgets.render(model_id)
        if widget_html:
            return widget_html
        figure_html = images.figure_html(mime_bundle, metadata, self.section)
        if figure_html:
            return figure_html
        if "text/html" in mime_bundle:
            return self._render_html(mime_bundle["text/html"])
        if self.is_running:
            reason = "it appears when the notebook has ended"
        elif model_id in self.widget_states:
            reason = "a report cannot show it"
        else:
            reason = "its state was not kept"
        note = Markup('<p class="faint">a widget; {}</p>').format(reason)
        return note + markdown.ansi_to_html(mime_bundle.get("text/plain", ""))

    def _render_plot(
        self,
        library: plot_libraries.PlotLibrary,
        mime_bundle: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> Markup:
        """Return a plot's picture, or the plot in a frame, or what is missing to show it."""
        figure_html = images.figure_html(mime_bundle, metadata, self.section)
        if figure_html:
            return figure_html
        source = mime_bundle.get("text/html", "")
        if source and plot_libraries.find_needed_library(source) is None:
            return self._render_html(source)  # the script is in it
        figure = next(
            (content for name, content in mime_bundle.items() if name.startswith("application/")),
            None,
        )
        script = self.scripts.get(library.name) or library.read_script()
        if script and isinstance(figure, Mapping):
            title = f"a plot by {library.name}"
            return sandbox.frame(
                plot_libraries.script_element(library, script) + library.drawing_html(figure),
                title,
            )
        return Markup('<p class="faint">{}</p>').format(markdown.code_spans(library.note))


def render_html(
    source: str,
    files: LocalFiles = NO_FILES,
    scripts: Mapping[str, str] = plot_libraries.NO_SCRIPTS,
) -> Markup:
    """Return the safe HTML of an output, in a region that scrolls if it is no frame.

    scripts: name of a library -> its script, of those that outputs above contain.
    """
    source = _truncate_table(source)
    if "<script" not in source and markdown.is_too_long(source):
        note = Markup(
            '<p class="faint">An output of HTML that is too long for a page, as text:</p>'
        )
        return note + markdown.ansi_to_html(Markup(source).striptags())
    rendered = sandbox.render(source, files, scripts)
    if "<iframe" in rendered:
        return rendered
    if "<table" in rendered:
        return Markup(markdown.scrolling_table(rendered))
    return Markup('<div class="html-output">{}</div>').format(rendered)


def _truncate_table(source: str) -> str:
    """Return the HTML with at most MAX_TABLE_ROWS rows, and a note on how many are missing."""
    rows = source.split("</tr>")
    if len(rows) <= MAX_TABLE_ROWS + 2 or "<script" in source:
        return source
    hidden_count = len(rows) - MAX_TABLE_ROWS - 1
    note = f"<p>… {hidden_count:,} more rows; the executed notebook has them all</p>"
    return "</tr>".join(rows[:MAX_TABLE_ROWS]) + f"</tr></tbody></table>{note}"
