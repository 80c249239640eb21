import html
import re
from pathlib import Path
from typing import NamedTuple

import hypothesis
import pytest
from markupsafe import Markup

from pipeline import main
from pipeline.report.pages import cell_matching, comparison, diffs
from pipeline.runs.results import Metric
from pipeline.runs.status import StepStatus
from tests.pipeline.report.conftest import (
    display_output,
    encode_png,
    executed_cell,
    executed_notebook,
    stream_output,
    v4,
)


def table_output(*rows):
    body = "".join(
        f"<tr><th>{name}</th><td>{count}</td><td>{error}</td></tr>" for name, count, error in rows
    )
    head = "<thead><tr><th></th><th>count</th><th>error, $</th></tr></thead>"
    return display_output(html=f"<table>{head}<tbody>{body}</tbody></table>")


def compare(project, old_run, new_run):
    path = comparison.write_comparison(project, old_run.id, new_run.id)
    return html.unescape(path.read_text())


def test_differences_are_marked_and_unchanged_cells_are_counted(project, record_run):
    old_notebook = executed_notebook(
        "## The errors",
        executed_cell("errors", table_output(("cheap", 10, "1,000"), ("dear", 5, "2,000"))),
        executed_cell("same", table_output(("x", 1, 2))),
        executed_cell("picture", display_output(png=encode_png())),
        executed_cell("gone = 1"),
        executed_cell("n = 10\nfit(n)", stream_output("fitted in 5 rounds")),
    )
    new_notebook = executed_notebook(
        "## The errors",
        executed_cell("errors", table_output(("cheap", 10, "900"), ("odd", 1, "1"))),
        executed_cell("same", table_output(("x", 1, 2))),
        executed_cell("picture", display_output(png=encode_png(square_position=(50, 50)))),
        executed_cell("n = 12\nfit(n)", stream_output("fitted in 6 rounds")),
        executed_cell("new = 'really something else'"),
    )
    old_fields = {"parameters": {"n": 10}, "facts": {"data": "A, 5 rows"}}
    new_fields = {"parameters": {"n": 12}, "facts": {"data": "A, 6 rows"}}
    old_run = record_run("a-01", old_fields, train=old_notebook)
    new_run = record_run("a-02", new_fields, train=new_notebook)
    page = compare(project, old_run, new_run)
    assert "train.n was 10, is now 12." in page
    assert "The data was A, 5 rows, is now A, 6 rows." in page
    assert "3 code cells differ." in page
    assert "1 table differs." in page
    assert "1 figure differs." in page
    assert '900<span class="was">was 1,000, −10.0%</span>' in page
    assert '<th class="old">dear</th>' in page
    assert '<th class="new">odd</th>' in page
    assert "what differs</h4>" in page
    assert "A deleted cell" in page
    assert "A new cell" in page
    assert "<del>10</del>" in page
    assert "<ins>12</ins>" in page
    assert "fitted in <del>5</del> rounds" in page
    assert "fitted in <ins>6</ins> rounds" in page
    assert "1 other cell is the same in both." in page


def test_runs_without_a_difference_have_a_page_that_says_so(project, record_run):
    old_run, new_run = (
        record_run(run_id, train=executed_notebook(executed_cell("1", stream_output("x"))))
        for run_id in ("a-01", "a-02")
    )
    assert "Nothing differs." in compare(project, old_run, new_run)


def test_results_are_compared_with_their_sign(project, record_run):
    old_run, new_run = (
        record_run(
            run_id,
            {"headline": {"RMSE": Metric(rmse, f"${rmse}", better="lower")}},
            train=executed_notebook(executed_cell("1")),
        )
        for run_id, rmse in (("a-01", 10), ("a-02", 12))
    )
    page = compare(project, old_run, new_run)
    assert '<span class="gain worse">+$2 (+20.0%)</span>' in page
    assert "RMSE: $10 became $12: +$2 (+20.0%)." in page


def test_each_fact_of_either_run_has_a_row(project, record_run):
    notebook = executed_notebook(executed_cell("1"))
    old_run = record_run("a-01", {"facts": {"data": "A, 5 rows"}}, train=notebook)
    new_facts = {"data": "A, 5 rows", "machine": "a GPU"}
    new_run = record_run("a-02", {"facts": new_facts}, train=notebook)
    page = compare(project, old_run, new_run)
    assert (
        '<th scope="row">data</th><td class="t">A, 5 rows</td><td class="t">A, 5 rows</td>' in page
    )
    assert '<th scope="row">machine</th><td class="t old"></td><td class="t new">a GPU</td>' in page
    assert "Nothing differs." in page  # that is for the grouping fact


class FileTable(NamedTuple):
    """A table that a project adds to a comparison."""

    title: str = "lock files"
    columns: tuple = ("file", "before", "now", "note")
    rows: tuple = (("a/b.lock", "1", "2", "newer"), ("c.lock", "", "3", ""))
    notes: tuple = ("Two files were not read.",)
    command: str = "lockdiff 111 222"


@pytest.fixture
def compare_commits(project, record_run):
    """Return the page of two runs for a project's table: `compare_commits(table)`."""

    def compare_runs(table, commits=("1" * 40, "2" * 40), data=("A", "A")):
        calls = []

        def find_changes(*arguments):
            calls.append(arguments)
            return table

        runs = []
        for number, (commit, run_data) in enumerate(zip(commits, data, strict=True), 1):
            notebook = executed_notebook(executed_cell("1"))
            fields = {"commit": commit, "facts": {"data": run_data}}
            runs.append(record_run(f"a-0{number}", fields, train=notebook))
        page = compare(project._replace(compare_commits=find_changes), *runs)
        return page, calls

    return compare_runs


def test_a_project_adds_a_table_of_what_differs_between_the_commits(compare_commits, home):
    page, calls = compare_commits(FileTable())
    assert calls == [(home, "1" * 40, "2" * 40)]
    section = page.split('<section aria-labelledby="lock-files">')[1].split("</section>")[0]
    assert '<h2 id="lock-files">lock files</h2>' in section
    assert "<code>lockdiff 111 222</code>" in section
    assert (
        '<tr><th scope="row" class="t">a/<wbr>b.lock</th><td class="t old">1</td>'
        '<td class="t new">2</td><td class="t">newer</td></tr>'
    ) in section
    assert '<td class="t">–</td><td class="t new">3</td>' in section
    assert "<p>Two files were not read.</p>" in section
    assert "uncommitted" not in page
    assert "<li>Lock files: 2 differ.</li>" in page


def test_a_table_without_rows_and_notes_is_not_mentioned(compare_commits):
    page, calls = compare_commits(FileTable(rows=(), notes=()))
    assert len(calls) == 1
    assert "lock files" not in page.lower()


def test_uncommitted_changes_are_not_mentioned_if_nothing_differs(compare_commits):
    commit, empty_table = "1" * 40, FileTable(rows=(), notes=())
    assert "uncommitted" not in compare_commits(empty_table, (commit, f"{commit}-dirty"))[0]


def test_a_run_with_uncommitted_changes_is_named_if_its_data_differ(compare_commits):
    commit = "1" * 40
    empty_table = FileTable(rows=(), notes=())
    page, calls = compare_commits(empty_table, (commit, f"{commit}-dirty"), data=("A", "B"))
    assert calls[0][1:] == (commit, commit)
    assert "There were uncommitted changes when run a-02 was made" in page
    assert "run a-01 was made" not in page
    assert '<h2 id="lock-files">' in page


@pytest.mark.parametrize("commits", [("", "2" * 40), ("1" * 40, "")])
def test_without_git_the_project_is_not_asked(compare_commits, commits):
    page, calls = compare_commits(FileTable(), commits)
    assert calls == []
    assert "lock files" not in page


def test_a_project_that_has_nothing_to_compare_adds_no_section(compare_commits):
    assert "lock files" not in compare_commits(None)[0]


def test_a_missing_step_and_a_missing_notebook_are_named(project, record_run):
    old_run = record_run(
        "a-01",
        train=executed_notebook(executed_cell("1")),
        prep=executed_notebook(executed_cell("1")),
    )
    new_run = record_run("a-02", train=executed_notebook(executed_cell("2")))
    assert "Only run a-01 has this step." in compare(project, old_run, new_run)
    project.workspace.executed_notebook("a-01", "train").unlink()
    page = compare(project, old_run, new_run)
    assert "The notebook executed by run a-01 no longer exists." in page


def test_a_failed_run_can_be_compared(project, record_run):
    error = v4.new_output("error", ename="E", evalue="bad", traceback=[])
    finished_cell = executed_cell("go()", stream_output("fine"))
    failed_cell = executed_cell("go()", error, status="failed")
    old_run = record_run("a-01", train=executed_notebook(finished_cell))
    new_run = record_run(
        "a-02", {"status": StepStatus.FAILED}, train=executed_notebook(failed_cell)
    )
    page = compare(project, old_run, new_run)
    assert "Its status was done, is now failed." in page
    assert "The cell ran before, and failed now." in page


def test_an_edited_cell_matches_its_old_version():
    old_cells = [
        cell_matching.CodeCell(source, "")
        for source in ("import numpy", "fit(model, n=10)", "plot(model)")
    ]
    new_cells = [
        cell_matching.CodeCell(source, "")
        for source in ("import numpy", "fit(model, n=12)", "plot(model)")
    ]
    assert list(cell_matching.match_cells(old_cells, new_cells)) == list(
        zip(old_cells, new_cells, strict=True)
    )
    assert list(cell_matching.match_cells(old_cells, [new_cells[0], new_cells[2]])) == [
        (old_cells[0], new_cells[0]),
        (old_cells[1], None),
        (old_cells[2], new_cells[2]),
    ]


@pytest.mark.parametrize(
    ("old_text", "new_text", "change"),
    [
        ("$1,200", "$1,260", ", +5.0%"),
        ("−4%", "−3%", ", +25.0%"),
        ("1e-3", "2e-3", ", +100.0%"),
        ("boosting", "forest", ""),
        ("0", "1", ""),
        ("nan", "1", ""),
    ],
)
def test_a_changed_cell_shows_its_old_value_and_the_change_in_percent(old_text, new_text, change):
    tables = [
        f"<table><thead><tr><th></th><th>error</th></tr></thead><tbody><tr><th>all</th>"
        f"<td>{text}</td></tr></tbody></table>"
        for text in (old_text, new_text)
    ]
    cell = f'{new_text}<span class="was">was {old_text}{change}</span>'
    assert cell in diffs.table_diff(*tables)
    assert diffs.table_diff(tables[0], tables[0]) == ""


def test_rows_of_one_name_and_columns_of_one_table_are_compared():
    def table(columns, *rows):
        head = "".join(f"<th>{name}</th>" for name in columns)
        body = "".join(
            f"<tr><th>{name}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
            for name, *cells in rows
        )
        return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"

    page = diffs.table_diff(
        table(["a", "gone"], ("x", 1, 2), ("x", 3, 4)),
        table(["a", "new"], ("x", 1, 5), ("x", 6, 7)),
    )
    assert '<td class="old">2</td>' in page
    assert '<td class="new">5</td>' in page
    assert "was 3, +100.0%" in page


def test_a_long_table_is_shown_without_the_rows_that_are_the_same():
    def table(*values):
        rows = "".join(f"<tr><th>{n}</th><td>{value}</td></tr>" for n, value in enumerate(values))
        return f"<table><tr><th></th><th>n</th></tr>{rows}</table>"

    values = list(range(1, diffs.MAX_FULL_TABLE_ROWS + 3))
    page = diffs.table_diff(table(*values, "&lt;b&gt;"), table(0, *values[1:]))
    assert '0<span class="was">was 1, −100.0%</span>' in page
    assert '<td class="old">&lt;b&gt;</td>' in page
    assert page.count("<tr>") == 3
    assert f"{len(values) - 1} more rows are the same." in page


def test_a_long_difference_is_cut_and_keeps_its_context():
    lines = [f"line {number}" for number in range(9_000)]
    page = diffs.text_diff("\n".join(lines), "\n".join([*lines[:100], "odd", *lines[101:]]))
    assert "line 97\n" in page
    assert "line 96" not in page
    assert '<div class="new"><ins>odd</ins>' in page
    long_page = diffs.text_diff("", "\n".join(lines))
    assert len(long_page) < 2 * diffs.MAX_DIFF_CHARS
    assert "and more" in long_page


@hypothesis.given(hypothesis.strategies.text(), hypothesis.strategies.text())
def test_a_difference_shows_both_texts_whatever_they_are(old_text, new_text):
    page = diffs.text_diff(old_text, new_text)
    for css_class, text in (("old", old_text), ("new", new_text)):
        shown = "".join(re.findall(rf'<div class="{css_class}">(.*?)</div>', page, re.DOTALL))
        words = Markup(re.sub("</?(?:ins|del)>", "", shown)).unescape().splitlines()
        assert not set(words) - set(text.splitlines())
    assert ('class="old"' in page or 'class="new"' in page) == (
        old_text.splitlines(True) != new_text.splitlines(True)
    )


def test_a_comparison_runs_no_script_of_a_notebook(project, record_run):
    attack = "<script>alert(1)</script>"
    old_notebook = executed_notebook(executed_cell("1", stream_output("x")))
    new_notebook = executed_notebook(
        executed_cell(
            f"'{attack}'",
            stream_output(attack),
            display_output(html=f"<table><td>{attack}</td></table>"),
        )
    )
    old_run = record_run("a-01", {"parameters": {"x": attack}}, train=old_notebook)
    new_run = record_run("a-02", train=new_notebook)
    assert attack not in comparison.write_comparison(project, old_run.id, new_run.id).read_text()


def test_the_command_prints_where_the_page_is(home, record_run, capsys):
    old_id, new_id = (
        record_run(run_id, one=executed_notebook(executed_cell(source))).id
        for run_id, source in (("20261101-01", "1"), ("20261101-02", "2"))
    )
    assert main([], home, ["compare", old_id, "latest", "--single-file"]) == 0
    path = capsys.readouterr().out.strip()
    assert path.endswith(f"{old_id}..{new_id}.html")
    assert "<style>" in Path(path).read_text()
    assert f'data-compares="{old_id} {new_id}"' in (home / "reports" / "index.html").read_text()
    assert main([], home, ["compare"]) == 0
    assert capsys.readouterr().out.strip() == path
    assert main([], home, ["compare", "never", "latest"]) == 2
    assert "there is no run 'never'" in capsys.readouterr().err
