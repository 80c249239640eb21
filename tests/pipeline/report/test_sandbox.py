import html

import pytest

from pipeline.report import sandbox
from pipeline.report.exporter import ReportExporter
from tests.pipeline.report.conftest import display_output, executed_cell, executed_notebook
from tests.support.browser import open_page


def test_html_with_a_script_gets_a_frame_of_its_own():
    page = sandbox.render("<p>hello</p><script>go()</script>")
    assert page.startswith("<iframe")
    assert 'sandbox="allow-scripts"' in page
    assert "allow-same-origin" not in page
    assert "<script>" not in page  # it stands escaped in srcdoc


def test_a_frame_loads_nothing_from_other_hosts_and_names_them():
    page = sandbox.render(
        "<script src='https://cdn.example.com/plot.js'></script><a href='//x.org'>x</a>"
    )
    note = page.split("<iframe")[0]
    assert "cdn.example.com" in note
    assert "data-left-out" in page
    assert "plot.js" in page
    assert "src=&#x27;https" not in page
    assert "x.org" not in note  # a link is no request


def test_what_a_style_would_load_is_left_out_and_the_code_of_a_script_stays():
    code = """const map = "<img src='https://tiles.example.com/1.png'>"; // url(//a.example.com)"""
    page = html.unescape(
        sandbox.render(
            "<style>@import 'https://b.example.com/x.css'; p { background: url(//c.example.com) }"
            f"</style><p>x</p><script>{code}</script>"
        )
    )
    note = page.split("<iframe")[0]
    assert "requests b.example.com, c.example.com;" in note
    assert code in page
    assert "https://b.example.com" not in page
    assert "url(//c" not in page


def test_a_note_on_a_missing_library_shows_commands_as_code():
    page = sandbox.render("<div id=p></div><script>Plotly.newPlot('p', [])</script>")
    assert "<code>pip install kaleido</code>" in page


def test_a_styled_table_keeps_its_colors_and_no_other_style_gets_into_the_page():
    styler = "<style>#T_1a { background-color: #fff }</style><table id='T_1a'></table>"
    assert sandbox.render(styler).startswith("<style>#out-T_1a {")
    assert 'id="out-T_1a"' in sandbox.render(styler)
    for rules in ("body { display: none }", "#T_1a { background: url(//x) }", "@import 'x';"):
        assert "<iframe" in sandbox.render(f"<style>{rules}</style><p>x</p>")
    pandas = "<style scoped>.dataframe tbody tr th { vertical-align: top; }</style><table></table>"
    assert sandbox.render(pandas) == "<table></table>"


@pytest.mark.parametrize(
    "rule",
    [
        "#T_1, body { color: red }",
        "#T_1 { position: fixed; top: 0 }",
        "#T_1 { margin: -500px }",
        "#T_1 { background: url(x.png) }",
    ],
)
def test_a_table_style_for_more_than_its_table_gets_a_frame(rule):
    assert sandbox.render(f"<style>{rule}</style><p>x</p>").startswith("<iframe")


def test_a_frame_has_a_policy_of_its_own_and_cannot_be_replaced():
    page = sandbox.render("<meta http-equiv=refresh content='0;url=//x.org'><svg></svg>")
    assert "connect-src" not in page
    assert "default-src &#39;none&#39;" in page
    assert "refresh" not in page


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("<div><div id=p></div><script src='https://cdn.plot.ly/plotly-3.0.1.min.js'></script>"
         "<script>Plotly.newPlot('p', [])</script></div>", "Plotly"),
        ("<div id='altair-viz-1'></div><script>const paths = {'vega': "
         "'https://cdn.jsdelivr.net/npm/vega@5?noext'}</script>", "Altair"),
        ("<div><span>Make this Notebook Trusted to load map</span>"
         "<iframe srcdoc='&lt;script src=https://x.org/leaflet.js&gt;'></iframe></div>", "folium"),
    ],
)  # fmt: skip
def test_a_plot_whose_library_is_missing_says_so_without_a_blank_frame(source, name):
    page = sandbox.render(source)
    assert name in page
    assert "<iframe" not in page
    assert "<script" not in page


def test_an_installed_library_is_embedded(tmp_path, monkeypatch):
    package = tmp_path / "plotly" / "package_data"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "plotly.min.js").write_text("window.Plotly = {newPlot: () => '</script>'}")
    monkeypatch.syspath_prepend(tmp_path)
    page = sandbox.render("<div id=p></div><script>Plotly.newPlot('p', [])</script>")
    assert page.startswith("<iframe")
    assert "window.Plotly = {newPlot" in page
    assert "missing" not in page


@pytest.mark.slow
def test_a_frame_is_as_high_as_its_content_wherever_it_stands(browser, tmp_path):
    canvas = "<canvas height=50 style='display:block'></canvas>"
    sources = [
        canvas,
        f"{canvas}<!-- never closed",
        f"{canvas}<p title='never closed",
        f"<style>html, body {{ height: 100% }}</style><div style='height: 700px'>{canvas}</div>",
        f"<!doctype html><html><body>{canvas}<script>1</script></body></html>",
    ]
    cells = [executed_cell(str(n), display_output(html=each)) for n, each in enumerate(sources)]
    page_html, _ = ReportExporter().from_notebook_node(
        executed_notebook("# T\n\n" + "x\n\n" * 200, *cells)
    )
    path = tmp_path / "page.html"
    # as on a slow machine, the frames are not laid out when they are loaded
    path.write_text(
        page_html.replace("</head>", "<style id=late>iframe {display: none}</style></head>")
    )
    page, _, _ = open_page(browser, f"file://{path}")
    page.evaluate("document.querySelector('#late').remove()")
    have_heights = (
        "(heights) => [...document.querySelectorAll('iframe')]"
        ".every((frame, index) => frame.clientHeight === heights[index])"
    )
    heights = [54, 54, 54, 704, 54]
    page.wait_for_function(have_heights, arg=heights)
    page.locator("iframe").nth(3).scroll_into_view_if_needed()  # now it is observed, too
    page.wait_for_timeout(300)  # in which one that follows its own height would grow
    page.wait_for_function(have_heights, arg=heights)
    page.close()
