import jinja2
import pytest

from pipeline.report import exporter
from tests.pipeline.report.conftest import (
    display_output,
    executed_cell,
    executed_notebook,
    stream_output,
)

ERROR = {
    "output_type": "error",
    "ename": "ZeroDivisionError",
    "evalue": "division by zero",
    "traceback": ["Cell \x1b[32mIn[2]\x1b[39m, line 2\n----> 2 1 / 0"],
}


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
    headings = [heading for _, _, heading in rendered.toc_entries]
    assert headings == ["The data", "The bottom line", "A detail"]
    assert 'id="the-data"' in rendered.html


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
    )
    rendered = exporter.render_notebook(notebook, "train")
    assert rendered.cells[1].failing_line == 2
    assert "cell 2: failed" in rendered.html
    assert "cell 3: not run" in rendered.html
    assert 'id="cell-2"' in rendered.html


def test_a_cell_without_a_value_that_the_template_needs_is_an_error(monkeypatch):
    class IncompleteCell(exporter.RenderedCell):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            del self.seconds

    monkeypatch.setattr(exporter, "RenderedCell", IncompleteCell)
    notebook = executed_notebook(executed_cell("1", status="failed"))
    with pytest.raises(jinja2.UndefinedError, match="seconds"):
        exporter.render_notebook(notebook, "train")
