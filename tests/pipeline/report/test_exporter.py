from pipeline.report import exporter
from tests.pipeline.report.conftest import (
    display_output,
    executed_cell,
    executed_notebook,
    stream_output,
)

ERROR = {
    "output_type": "error", "ename": "ZeroDivisionError", "evalue": "division by zero",
    "traceback": ["Cell \x1b[32mIn[2]\x1b[39m, line 2\n----> 2 1 / 0"],
}  # fmt: skip


def test_title_question_answer_and_contents_are_found():
    made = exporter.render_notebook(
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
        "one",
    )
    assert (made.title, made.question) == ("A title: yes", "<p>What is it?</p>\n")
    assert made.summary == "<p>It is <strong>good</strong>, for $5.</p>\n"
    assert [words for _, _, words in made.toc_entries] == [
        "The data",
        "The bottom line",
        "A detail",
    ]
    assert 'id="the-data"' in made.html


def test_a_notebook_without_a_title_is_called_by_its_step():
    assert exporter.render_notebook(executed_notebook(executed_cell("1")), "train").title == "train"


def test_injected_plumbing_is_not_shown():
    made = exporter.render_notebook(
        executed_notebook(executed_cell("secret_value = 5", tags=["injected-parameters"])), "one"
    )
    assert "secret_value" not in made.html


def test_code_is_folded_and_stderr_apart():
    made = exporter.render_notebook(
        executed_notebook(
            executed_cell("x = 1", stream_output("hello"), stream_output("careful", "stderr"))
        ),
        "one",
    ).html
    assert '<details class="code"><summary>' in made
    assert made.index("careful") < made.index("hello")
    assert 'class="said"' in made


def test_the_cell_that_failed_is_marked_with_its_line():
    notebook = executed_notebook(
        executed_cell("1"),
        executed_cell("a = 1\n1 / 0", ERROR, status="failed"),
        executed_cell("2", status="not run"),
    )
    made = exporter.render_notebook(notebook, "one")
    assert made.cells[1].failing_line == 2
    assert "cell 2: failed" in made.html
    assert "cell 3: not run" in made.html
    assert 'id="cell-2"' in made.html
