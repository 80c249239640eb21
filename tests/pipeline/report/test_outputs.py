from pipeline.report import outputs
from tests.pipeline.report.conftest import display_output, encode_png, stream_output


def shown(*found, widgets=None):
    return outputs.render_outputs(list(found), widgets or {}, "The part")


def test_stderr_stands_apart():
    found = [stream_output("normal"), stream_output("a warning", "stderr")]
    assert "warning" not in outputs.render_outputs(found, {}, "")
    assert "warning" in outputs.render_stderr(found)
    assert "normal" not in outputs.render_stderr(found)


def test_numbers_stand_to_the_right_and_texts_to_the_left():
    table = (
        "<table><tbody><tr><td>1,234.5</td><td>−3%</td><td>$5</td><td>boosting</td></tr></table>"
    )
    made = shown(display_output(html=table))
    assert made.count('<td class="t">') == 1
    assert '<td class="t">boosting</td>' in made
    assert 'class="wide"' in made


def test_pandas_names_its_index_in_the_same_line_as_its_columns():
    head = (
        "<thead><tr><th></th><th>count</th></tr><tr><th>family</th><th></th></tr></thead>"
        "<tbody><tr><th>tree</th><td>1</td></tr></tbody>"
    )
    made = shown(display_output(html=f"<table>{head}</table>"))
    assert "<thead><tr><th>family</th><th>count</th></tr></thead>" in made
    two = head.replace("<th></th><th>count", "<th>a</th><th>count")
    assert shown(display_output(html=f"<table>{two}</table>")).count("<tr>") == 3


def test_a_long_table_is_cut_and_says_so():
    rows = "".join(f"<tr><td>{one}</td></tr>" for one in range(3_000))
    made = shown(display_output(html=f"<table><tbody>{rows}</tbody></table>"))
    assert made.count("<tr>") == outputs.MAX_TABLE_ROWS
    assert "2,500 more rows" in made


def test_a_picture_says_what_it_is():
    made = shown(display_output(png=encode_png()))
    assert 'alt="a figure: The part"' in made
    assert 'data-kind="png"' in made


def test_a_drawing_cannot_run_what_it_brings():
    drawing = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    assert shown(display_output(svg=drawing)).startswith(
        '<figure data-kind="svg"><img src="data:image/svg'
    )


def test_latex_and_json_and_the_unknown_are_shown():
    assert "<math" in shown(display_output(latex="$$x^2$$"))
    assert "<math" in shown(display_output(latex=r"\frac{1}{2}"))
    assert "&#34;a&#34;: 1" in shown(display_output(**{"application/json": {"a": 1}}))
    assert "application/x-odd" in shown(display_output(**{"application/x-odd": "?"}))


def test_a_list_is_no_text():
    assert "7" in shown(display_output(**{"application/json": [7]}))


def test_a_script_alone_is_not_run():
    assert "go()" not in shown(display_output(**{"application/javascript": "go()"}))


def test_a_progress_bar_stands_as_it_ended():
    def state(kind, **told):
        return {"state": {"_model_name": kind, **told}}

    widgets = {
        "box": state("HBoxModel", children=["IPY_MODEL_text", "IPY_MODEL_bar"]),
        "text": state("HTMLModel", value="50/50 <script>x</script>"),
        "bar": state("FloatProgressModel", value=50.0, max=50.0),
    }
    made = shown(
        display_output(**{outputs.WIDGET_MIME_TYPE: {"model_id": "box"}, "plain": "HBox()"}),
        widgets=widgets,
    )
    assert '<progress value="50" max="50"' in made
    assert "50/50" in made
    assert "script" not in made


def test_a_widget_without_state_shows_its_text():
    made = shown(
        display_output(
            **{outputs.WIDGET_MIME_TYPE: {"model_id": "gone"}, "plain": "IntSlider(value=3)"}
        )
    )
    assert "IntSlider(value=3)" in made
    assert "not kept" in made


def test_an_error_is_shown_with_its_colours():
    made = shown(
        {"output_type": "error", "ename": "E", "evalue": "", "traceback": ["\x1b[31mE\x1b[0m"]}
    )
    assert "ansi-red-fg" in made
