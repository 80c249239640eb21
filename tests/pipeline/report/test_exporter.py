import base64
import re
import subprocess
import sys
import warnings

import jinja2
import nbformat
import pytest
from nbconvert.exporters import get_exporter

from pipeline.report import exporter
from tests.pipeline.report.conftest import (
    display_output,
    encode_png,
    executed_cell,
    executed_notebook,
    stream_output,
    v4,
)

ERROR = v4.new_output(
    "error",
    ename="ZeroDivisionError",
    evalue="division by zero",
    traceback=["Cell \x1b[32mIn[2]\x1b[39m, line 2\n----> 2 1 / 0"],
)


def test_title_question_summary_and_contents_are_found():
    rendered = exporter.render_notebook(
        executed_notebook(
            "# A title: *yes*\n\nWhat is it?",
            "## The data\n\n```\n# no heading\n```",
            "## The bottom line",
            executed_cell(
                "answer", display_output(markdown="It is **good**, for \\$5.", plain="<Markdown>")
            ),
            executed_cell("check", display_output(plain="True")),
            "### A detail",
        ),
        "train",
    )
    assert (rendered.title, rendered.question) == ("A title: yes", "<p>What is it?</p>\n")
    assert rendered.summary == "<p>It is <strong>good</strong>, for $5.</p>\n"
    assert [heading.text for heading in rendered.headings] == [
        "The data",
        "The bottom line",
        "A detail",
    ]
    assert 'id="The-data"' in rendered.html


def render_texts(*texts):
    return exporter.render_notebook(executed_notebook(*texts), "train")


def test_headings_keep_their_numbers_and_equal_ones_have_anchors_of_their_own():
    rendered = render_texts(
        "# T\n\nWhy?\n\n## 1. Data\n\nx", "## 1. Data", "## 2. Über $x^2$ & `code`", "## 训练 🚀"
    )
    assert rendered.question == "<p>Why?</p>\n"
    anchors = ["1.-Data", "1.-Data-2", "2.-Über-x^2-&-code", "训练-🚀"]
    assert [heading.anchor for heading in rendered.headings] == anchors
    assert [heading.text for heading in rendered.contents][:2] == ["1. Data", "1. Data"]
    assert rendered.headings[2].href == "#2.-%C3%9Cber-x%5E2-%26-code"
    assert all(rendered.html.count(f'id="{a}"') == 1 for a in anchors[:2])


def test_headings_of_every_kind_are_in_the_contents_and_empty_ones_are_not():
    text = "### \n\n> ### Quoted\n\n- ### Listed\n\nSetext\n------\n\n<h3>HTML</h3>\n\n###### Deep"
    rendered = render_texts(text)
    texts = ["Quoted", "Listed", "Setext", "HTML", "Deep"]
    assert [heading.text for heading in rendered.headings] == texts
    assert [heading.text for heading in rendered.contents] == texts[:-1]


def test_a_first_section_is_no_title_and_several_titles_stay_in_the_contents():
    assert render_texts("## 1. Data", "## 2. Model").title == "train"
    rendered = render_texts("# 1. Data", "# 2. Model")
    assert (rendered.title, rendered.title_anchor) == ("1. Data", "1.-Data")
    assert [heading.text for heading in rendered.contents] == ["1. Data", "2. Model"]


@pytest.mark.parametrize(
    "link", ["1.-My-Data", "#1.-My-Data", "1-my-data", "1.%20My%20Data", "1.-my-data", "1_my_data"]
)
def test_links_to_headings_work_as_jupyter_and_github_write_them(link):
    link = link.removeprefix("#")
    rendered = render_texts("# T", f"[up](#T) [x](#{link})", "## 1. My Data")
    expected = "1.-My-Data" if "_" not in link else link
    assert f'href="#{expected}"' in rendered.html
    assert 'href="#T"' in rendered.html


def test_headings_have_the_ids_of_jupyter_and_of_github_for_links_from_elsewhere():
    rendered = render_texts(
        "# T", "## My Heading!", "## Same", "## Same", "## Main", "## Code", "## One", "## one"
    )
    anchors = (
        "My-Heading!",
        "my-heading",
        "same",
        "same-1",
        "Same-2",
        "One",
        "one",
        "main",
        "code",
    )
    for anchor in anchors:
        assert rendered.html.count(f'id="{anchor}"') == 1, anchor


def test_targets_of_the_author_work_and_take_no_id_of_the_page():
    rendered = render_texts(
        '# T\n\n[a](#x) [b](#y) [m](#page-main)\n\n<a id="x"></a> <a name="y"></a>',
        "## page-main",
    )
    assert {'href="#x"', 'href="#y"', 'href="#page-main-2"'} <= set(rendered.question.split()) | {
        part.split(" rel")[0] for part in rendered.question.split("<a ")
    }
    assert 'id="page-main-2"' in rendered.html
    assert 'id="page-main"' not in rendered.html + rendered.question


def test_macros_of_a_cell_hold_in_those_below_and_their_outputs():
    rendered = exporter.render_notebook(
        executed_notebook(
            "# T\n\n$\\R$",
            "$\\newcommand{\\R}{\\mathbb{R}}$",
            "$\\R^n$",
            executed_cell("1", display_output(latex="In $\\R$ it costs \\$5.")),
        ),
        "train",
    )
    assert "\u211d" not in rendered.question
    assert rendered.html.count("\u211d") + rendered.html.count("double-struck") == 2
    assert "it costs $5." in rendered.html


def test_a_notebook_without_a_title_is_called_by_its_step():
    assert exporter.render_notebook(executed_notebook(executed_cell("1")), "train").title == "train"


def test_injected_parameters_are_hidden():
    rendered = exporter.render_notebook(
        executed_notebook(executed_cell("secret_value = 5", tags=["injected-parameters"])), "train"
    )
    assert "secret_value" not in rendered.html


def test_code_is_folded_and_stderr_stands_apart():
    page = exporter.render_notebook(
        executed_notebook(
            executed_cell("x = 1", stream_output("hello"), stream_output("careful", "stderr"))
        ),
        "train",
    ).html
    assert '<details class="code"><summary>' in page
    assert page.index("careful") < page.index("hello")
    assert 'class="said"' in page


def test_the_cell_that_failed_is_marked_with_its_line():
    notebook = executed_notebook(
        executed_cell("1"),
        executed_cell("a = 1\n1 / 0", ERROR, status="failed"),
        executed_cell("2", status="not run"),
        executed_cell("3", status="skipped by its tag"),
    )
    rendered = exporter.render_notebook(notebook, "train")
    assert rendered.cells[2].failing_line == 2
    assert "cell 2: failed" in rendered.html
    assert "cell 3: not run<" in rendered.html
    assert "cell 4: skipped by its tag<" in rendered.html
    assert 'id="cell-2"' in rendered.html


@pytest.fixture
def export(tmp_path):
    """Return the page that nbconvert makes of a notebook: `export(notebook)`."""

    def export_notebook(notebook):
        path = tmp_path / "analysis.ipynb"
        nbformat.write(notebook, path)
        page, _ = get_exporter("report")().from_filename(str(path))
        return page

    return export_notebook


def test_nbconvert_makes_a_page_of_a_notebook_that_nobody_ran(export):
    page = export(executed_notebook("Just a text", v4.new_code_cell("1 + 1")))
    assert page.startswith("<!doctype html>")
    assert "<title>analysis</title>" in page
    assert "<h1>analysis</h1>" in page
    assert "Just a text" in page
    assert '<details class="code">' in page
    assert '<html lang="en">' in page  # without data-live


def test_nbconvert_makes_the_page_of_the_runner_from_any_notebook(export, tmp_path):
    (tmp_path / "map.png").write_bytes(base64.b64decode(encode_png()))
    picture = v4.new_markdown_cell("![at](attachment:a.png) ![near](map.png)")
    picture["attachments"] = {"a.png": {"image/png": encode_png("blue")}}
    notebook = executed_notebook(
        "# An analysis\n\nWhat is it?",
        "## The bottom line",
        executed_cell("answer", display_output(markdown="It is **good**.")),
        "## More\n\n$x^2$",
        picture,
        v4.new_raw_cell("a <raw> cell"),
        executed_cell("%%bash\necho 1", stream_output("\x1b[31mred\x1b[0m")),
        executed_cell("2", display_output(html="<table><tr><td>1</td></tr></table>")),
        executed_cell("3", display_output(svg="<svg><script>1</script></svg>")),
        executed_cell("4", display_output(latex="$$x$$"), v4.new_output("execute_result")),
        v4.new_code_cell("5", outputs=[ERROR]),
        "## The end",
    )
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    notebook.metadata["widgets"] = {
        "application/vnd.jupyter.widget-state+json": {"state": {}, "version_major": 2}
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = export(notebook)
    for text in (
        '<h1 id="An-analysis">An analysis</h1>',
        "It is <strong>good</strong>.</p>",
        '<a href="#The-end">The end</a>',
        "a &lt;raw&gt; cell",
        'class="ansi-red-fg"',
        '<span class="nb">echo',
        "<math",
        'class="traceback"',
    ):
        assert text in page, text
    assert page.count('src="data:image/png') == 2
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    assert "<style>" in page


def test_a_raw_cell_for_another_format_is_left_out(export):
    mime_types = {"html": "text/html", "latex": "text/latex", "rst": "text/restructuredtext"}
    cells = [
        v4.new_raw_cell(f"raw {name}", metadata={"raw_mimetype": mime_type})
        for name, mime_type in mime_types.items()
    ]
    page = export(executed_notebook(*cells, v4.new_raw_cell("raw for all")))
    assert "raw html" in page
    assert "raw for all" in page
    assert "raw latex" not in page
    assert "raw rst" not in page


@pytest.mark.parametrize("separator", ["-", "_"])
def test_the_tags_of_jupyter_book_remove_and_hide_parts_of_a_cell(export, separator):
    def tagged(action, part):
        name = f"{action} {part}"
        output = stream_output(f"output to {name}")
        tag = f"{action}{separator}{part}"
        return executed_cell(f"'input to {name}'", output, tags=[tag])

    actions = [
        (action, part) for action in ("remove", "hide") for part in ("cell", "input", "output")
    ]
    page = export(executed_notebook("# Tags", *(tagged(*action) for action in actions)))
    text = re.sub("<[^>]+>", "", page.split("<main")[1])

    def shown(action, part):
        return f"input to {action} {part}" in text, f"output to {action} {part}" in text

    assert shown("remove", "cell") == (False, False)
    assert shown("remove", "input") == (False, True)
    assert shown("remove", "output") == (True, False)
    assert (
        shown("hide", "cell") == shown("hide", "input") == shown("hide", "output") == (True, True)
    )
    folded = re.findall(
        r'<details class="hidden">(.*?)</summary>.*?output to (.*?)<', page, re.DOTALL
    )
    assert folded == [
        ("<summary>a hidden cell", "hide cell"),
        ("<summary>output", "hide output"),
    ]
    assert "open" not in re.findall(r"<details([^>]*)>", page)


def test_a_hidden_or_removed_text_is_folded_or_absent(export):
    cells = [
        v4.new_markdown_cell(f"## A {tag} text", metadata={"tags": [tag]})
        for tag in ("hide-cell", "remove-cell")
    ]
    page = export(executed_notebook("# Tags", *cells))
    assert '<details class="hidden"><summary>a hidden cell</summary>\n<div class="text">' in page
    assert "remove-cell text" not in page


def test_cells_keep_their_numbers_when_others_are_removed():
    rendered = exporter.render_notebook(
        executed_notebook(
            executed_cell("1", tags=["remove-cell"]),
            executed_cell("1", tags=["injected-parameters"]),
            executed_cell("2", status="failed"),
        ),
        "train",
    )
    # a user has no cell that papermill injected
    assert list(rendered.cells) == [2]
    assert 'id="cell-2"' in rendered.html


def test_a_plain_answer_is_escaped():
    notebook = executed_notebook(
        "# A title", "## The bottom line", executed_cell("x", display_output(plain="<script>"))
    )
    assert exporter.render_notebook(notebook, "train").summary == "<p>&lt;script&gt;</p>"


def test_a_value_that_a_template_needs_and_no_cell_has_is_an_error():
    template = exporter.ReportExporter().environment.from_string("{{ cell.seconds }}")
    with pytest.raises(jinja2.UndefinedError, match="seconds"):
        template.render(cell={})


def test_rendering_leaves_the_notebook_as_it_is():
    notebook = executed_notebook("# A", executed_cell("1", display_output(html="<b>x</b>")))
    before = nbformat.writes(notebook)
    exporter.render_notebook(notebook, "train")
    assert nbformat.writes(notebook) == before


@pytest.mark.slow
def test_the_command_of_nbconvert_writes_the_page(tmp_path):
    nbformat.write(executed_notebook("# An analysis", executed_cell("1")), tmp_path / "a.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--to", "report", "a.ipynb", "--execute"]
    completed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    assert ">An analysis</h1>" in (tmp_path / "a.html").read_text()


def test_the_ids_of_cells_need_not_be_those_of_the_format():
    notebook = executed_notebook("# A title", "text")
    notebook.nbformat_minor = 5
    for cell in notebook.cells:
        cell["id"] = "a b/ü"
    assert exporter.render_notebook(notebook, "ids").title == "A title"
    assert notebook.cells[0]["id"] == "a b/ü"
