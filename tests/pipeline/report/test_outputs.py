from pipeline.report import exporter, outputs
from pipeline.report.preprocessors import WIDGET_STATE_MIME_TYPE
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
        display_output(**{outputs.WIDGET_MIME_TYPE: {"model_id": "box"}, "plain": "HBox()"}),
        widget_states=widget_states,
    )
    assert '<progress value="50" max="50"' in page
    assert "50/50" in page
    assert "script" not in page


def test_a_widget_without_state_shows_its_text():
    page = render(
        display_output(
            **{outputs.WIDGET_MIME_TYPE: {"model_id": "gone"}, "plain": "IntSlider(value=3)"}
        )
    )
    assert "IntSlider(value=3)" in page
    assert "not kept" in page


def test_an_error_is_shown_with_its_colors():
    traceback = ["\x1b[31mE\x1b[0m"]
    page = render({"output_type": "error", "ename": "E", "evalue": "", "traceback": traceback})
    assert "ansi-red-fg" in page
