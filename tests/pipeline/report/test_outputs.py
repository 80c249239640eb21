from pipeline.report import outputs
from tests.pipeline.report.conftest import display_output, encode_png, stream_output


def render(*cell_outputs, widget_states=None):
    return outputs.render_outputs(list(cell_outputs), widget_states or {}, "The part")


def test_stderr_stands_apart():
    cell_outputs = [stream_output("normal"), stream_output("a warning", "stderr")]
    assert "warning" not in outputs.render_outputs(cell_outputs, {}, "")
    assert "warning" in outputs.render_stderr(cell_outputs)
    assert "normal" not in outputs.render_stderr(cell_outputs)


def test_numbers_are_aligned_right_and_texts_left():
    table = (
        "<table><tbody><tr><td>1,234.5</td><td>−3%</td><td>$5</td><td>boosting</td></tr></table>"
    )
    page = render(display_output(html=table))
    assert page.count('<td class="t">') == 1
    assert '<td class="t">boosting</td>' in page
    assert 'class="wide"' in page


def test_the_index_name_of_a_pandas_table_stands_in_the_row_of_its_columns():
    rows = (
        "<thead><tr><th></th><th>count</th></tr><tr><th>family</th><th></th></tr></thead>"
        "<tbody><tr><th>tree</th><td>1</td></tr></tbody>"
    )
    page = render(display_output(html=f"<table>{rows}</table>"))
    assert "<thead><tr><th>family</th><th>count</th></tr></thead>" in page
    two_names = rows.replace("<th></th><th>count", "<th>a</th><th>count")
    assert render(display_output(html=f"<table>{two_names}</table>")).count("<tr>") == 3


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
    assert page.startswith('<figure data-kind="svg"><img src="data:image/svg')


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
