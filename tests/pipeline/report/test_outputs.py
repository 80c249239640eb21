import html

import pytest

from pipeline.report import exporter, outputs
from pipeline.report.widgets import WIDGET_MIME_TYPE, WIDGET_STATE_MIME_TYPE
from tests.pipeline.report.conftest import (
    display_output,
    encode_png,
    executed_cell,
    executed_notebook,
)


def render(*cell_outputs, widget_states=None):
    """Return the HTML of a cell with the outputs, in a section named The part."""
    notebook = executed_notebook("# A title", "## The part", executed_cell("1", *cell_outputs))
    if widget_states:
        widget_data = {"state": widget_states, "version_major": 2, "version_minor": 0}
        notebook.metadata["widgets"] = {WIDGET_STATE_MIME_TYPE: widget_data}
    page = exporter.render_notebook(notebook, "train").html
    return page.partition("</details>")[2]


def test_a_table_can_be_scrolled():
    page = render(display_output(html="<table><tbody><tr><td>1</td></tr></tbody></table>"))
    assert '<div class="wide" tabindex="0"' in page


def test_a_long_table_is_truncated_with_a_note():
    rows = "".join(f"<tr><td>{number}</td></tr>" for number in range(3_000))
    page = render(display_output(html=f"<table><tbody>{rows}</tbody></table>"))
    assert page.count("<tr>") == outputs.MAX_TABLE_ROWS
    assert "2,500 more rows" in page


def test_a_figure_has_an_alternative_text():
    page = render(display_output(png=encode_png()))
    assert 'alt="a figure: The part"' in page
    assert 'data-kind="png"' in page


def test_the_scripts_of_an_svg_cannot_run():
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    page = render(display_output(svg=svg))
    assert '<figure data-kind="svg"><img src="data:image/svg' in page


def test_latex_json_and_unknown_formats_are_shown():
    assert "<math" in render(display_output(latex="$$x^2$$"))
    assert "<math" in render(display_output(latex=r"\frac{1}{2}"))
    assert "&#34;a&#34;: 1" in render(display_output(**{"application/json": {"a": 1}}))
    assert "application/x-odd" in render(display_output(**{"application/x-odd": "?"}))


def test_a_json_list_is_not_taken_for_lines_of_text():
    assert "7" in render(display_output(**{"application/json": [7]}))


def test_an_output_that_is_only_a_script_is_not_run():
    assert "go()" not in render(display_output(**{"application/javascript": "go()"}))


def test_a_progress_bar_shows_its_last_state():
    def widget_state(model_name, **values):
        return {"state": {"_model_name": model_name, **values}}

    widget_states = {
        "box": widget_state("HBoxModel", children=["IPY_MODEL_text", "IPY_MODEL_bar"]),
        "text": widget_state("HTMLModel", value="50/50 <script>x</script>"),
        "bar": widget_state("FloatProgressModel", value=50.0, max=50.0),
    }
    page = render(
        display_output(**{WIDGET_MIME_TYPE: {"model_id": "box"}, "plain": "HBox()"}),
        widget_states=widget_states,
    )
    assert '<progress value="50" max="50"' in page
    assert "50/50" in page
    assert "script" not in page


def test_a_widget_without_state_shows_its_text():
    page = render(
        display_output(**{WIDGET_MIME_TYPE: {"model_id": "gone"}, "plain": "IntSlider(value=3)"})
    )
    assert "IntSlider(value=3)" in page
    assert "not kept" in page


def test_a_widget_of_a_notebook_that_still_runs_is_said_to_come():
    renderer = outputs.OutputRenderer({}, is_running=True)
    page = renderer.render(widget_output("later"))
    assert "it appears when the notebook has ended" in page
    assert "not kept" not in page


def test_only_the_children_of_a_row_stand_side_by_side():
    def box(model_name):
        states = {
            "box": widget_model(model_name, children=["IPY_MODEL_text"]),
            "text": widget_model("TextModel", value="x"),
        }
        return render(widget_output("box"), widget_states=states)

    assert 'class="widget"' in box("HBoxModel")
    assert 'class="widget stacked"' in box("VBoxModel")


def test_an_error_is_shown_with_its_colors():
    traceback = ["\x1b[31mE\x1b[0m"]
    page = render({"output_type": "error", "ename": "E", "evalue": "", "traceback": traceback})
    assert "ansi-red-fg" in page


def widget_model(model_name, **values):
    return {"state": {"_model_name": model_name, **values}}


def widget_output(model_id, **formats):
    return display_output(**{WIDGET_MIME_TYPE: {"model_id": model_id}, "plain": "W()", **formats})


def test_the_outputs_captured_by_a_widget_are_shown_with_exceptions():
    captured = [
        {"output_type": "stream", "name": "stdout", "text": "x is 3 <b>\n"},
        {"output_type": "stream", "name": "stderr", "text": "careful"},
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": encode_png()}},
        {"output_type": "error", "ename": "E", "evalue": "bad", "traceback": ["E: bad"]},
        dict(widget_output("slider"), metadata={}),
        dict(widget_output("out"), metadata={}),  # in itself
    ]
    states = {
        "box": widget_model(
            "TabModel", children=["IPY_MODEL_slider", "IPY_MODEL_out"], titles=["A", "B"]
        ),
        "slider": widget_model("IntSliderModel", description="n", value=7),
        "out": widget_model("OutputModel", outputs=captured, msg_id=""),
    }
    page = render(widget_output("box"), widget_states=states)
    for text in ("x is 3 &lt;b&gt;", "careful", "data:image/png", "E: bad", "n: <span>7</span>"):
        assert text in page, text
    assert page.count("x is 3") == 1


def test_a_widget_without_contents_shows_its_picture_or_says_why_not():
    states = {"out": widget_model("OutputModel", outputs=[]), "odd": widget_model("OddModel")}
    assert "not kept" not in render(widget_output("out"), widget_states=states)
    assert "a report cannot show it" in render(widget_output("odd"), widget_states=states)
    assert "data:image/png" in render(widget_output("gone", png=encode_png()))


def test_choices_and_passwords_are_shown_as_a_reader_sees_them():
    states = {
        "choice": widget_model(
            "DropdownModel", _options_labels=["a", "b"], index=1, description="pick"
        ),
        "password": widget_model("PasswordModel", value="hunter2"),
    }
    assert "pick: <span>b</span>" in render(widget_output("choice"), widget_states=states)
    assert "hunter2" not in render(widget_output("password"), widget_states=states)


PLOTS = {
    "application/vnd.plotly.v1+json": {"data": [], "layout": {}, "config": {}},
    "application/vnd.vegalite.v5+json": {"mark": "bar"},
    "application/vnd.vega.v5+json": {"marks": []},
    "application/vnd.bokehjs_exec.v0+json": "",
}


@pytest.mark.parametrize("mime_type", PLOTS)
def test_a_plot_is_shown_as_a_picture_or_says_what_is_missing(mime_type):
    plot = {mime_type: PLOTS[mime_type], "plain": "If you see this message"}
    page = render(display_output(**plot))
    assert "a report loads nothing" in page
    assert "If you see" not in page
    assert "data:image/png" in render(display_output(**plot, png=encode_png()))


def test_a_plot_is_drawn_by_an_installed_library(tmp_path, monkeypatch):
    package = tmp_path / "plotly" / "package_data"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "plotly.min.js").write_text("window.Plotly = {}")
    monkeypatch.syspath_prepend(tmp_path)
    figure = {"data": [{"name": "</script><script>"}], "layout": {}}
    page = render(display_output(**{"application/vnd.plotly.v1+json": figure}))
    assert "window.Plotly.newPlot" in page
    assert "\\u003c/script>" in html.unescape(page)


PLOTLY_SCRIPT = "<script>/**\n* plotly.js v9.9\n*/ window.Plotly = {own: 1}</script>"
PLOTLY_DRAWING = "<div id=p></div><script>Plotly.newPlot('p', [])</script>"


def test_a_library_in_an_output_above_draws_the_plots_below():
    renderer = outputs.OutputRenderer()
    assert renderer.render(display_output(html=PLOTLY_SCRIPT)) == ""  # nothing to see
    for plot in (
        display_output(html=PLOTLY_DRAWING),
        display_output(**{"application/vnd.plotly.v1+json": {"data": [], "layout": {}}}),
    ):
        page = html.unescape(renderer.render(plot))
        assert page.startswith("<iframe")
        assert "{own: 1}" in page
    loader = "<script type=module>import 'https://cdn.plot.ly/plotly-4.1.1.min'</script>"
    assert renderer.render(display_output(html=loader)) == ""
    both = html.unescape(renderer.render(display_output(html=PLOTLY_SCRIPT + PLOTLY_DRAWING)))
    assert both.count("{own: 1}") == 1


@pytest.mark.parametrize(
    "source",
    ["<iframe src='figures/1.html'></iframe>", '<video\n src="a b.mp4" controls></video>',
     "<script src=plot.js></script>", "<link rel=stylesheet href='x.css'><svg></svg>"],
)  # fmt: skip
def test_a_file_that_a_frame_would_show_is_named(source):
    page = outputs.render_html(source)
    assert "which a report does not contain" in page
    assert "This output shows" not in outputs.render_html(
        "<svg><image href='#a'/></svg><img src='data:image/png;base64,AA'>"
        "<iframe srcdoc='x'></iframe><iframe src='https://x.org/a.html'></iframe>"
        "<script>a.src = 'b.js'</script>"
    )


def test_an_output_too_long_for_a_browser_is_shown_as_text_in_part():
    words = "word *x* `y` $z$ " * 100_000
    for output in (
        display_output(html=f"<p>{words}</p>"),
        display_output(markdown=words),
        display_output(latex=words),
    ):
        page = render(output)
        assert len(page) < 100_000
        assert "left out here" in page
    picture = f'<img src="data:image/png;base64,{"A" * 1_000_000}">'
    assert len(render(display_output(html=picture))) > 1_000_000
