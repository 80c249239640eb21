import html
from pathlib import Path

import pytest

from pipeline import main
from pipeline.report.pages import cell_matching, comparison, diffs
from tests.pipeline.report.conftest import (
    display_output,
    encode_png,
    executed_cell,
    executed_notebook,
    stream_output,
    v4,
)


def table(*rows):
    body = "".join(
        f"<tr><th>{name}</th><td>{one}</td><td>{two}</td></tr>" for name, one, two in rows
    )
    head = "<thead><tr><th></th><th>count</th><th>error, $</th></tr></thead>"
    return display_output(html=f"<table>{head}<tbody>{body}</tbody></table>")


def made(home, *runs):
    return html.unescape(comparison.write_comparison(home, *(one.id for one in runs)).read_text())


def test_what_differs_is_marked_and_what_is_the_same_is_counted(home, record_run):
    first = executed_notebook(
        "## The errors",
        executed_cell("errors", table(("cheap", 10, "1,000"), ("dear", 5, "2,000"))),
        executed_cell("same", table(("x", 1, 2))),
        executed_cell("picture", display_output(png=encode_png())),
        executed_cell("gone = 1"),
        executed_cell("n = 10\nfit(n)", stream_output("fitted in 5 rounds")),
    )
    second = executed_notebook(
        "## The errors",
        executed_cell("errors", table(("cheap", 10, "900"), ("odd", 1, "1"))),
        executed_cell("same", table(("x", 1, 2))),
        executed_cell("picture", display_output(png=encode_png(square_position=(50, 50)))),
        executed_cell("n = 12\nfit(n)", stream_output("fitted in 6 rounds")),
        executed_cell("new = 'really something else'"),
    )
    a = record_run("a-01", {"parameters": {"n": 10}, "data": "A, 5 rows"}, train=first)
    b = record_run("a-02", {"parameters": {"n": 12}, "data": "A, 6 rows"}, train=second)
    page = made(home, a, b)
    assert "train.n was 10, is 12." in page
    assert "The data was A, 5 rows, is A, 6 rows." in page
    assert "3 cells of code differ." in page
    assert "1 table differs." in page
    assert "1 picture differs." in page
    assert '900<span class="was">was 1,000, −10.0%</span>' in page
    assert '<th class="old">dear</th>' in page
    assert '<th class="new">odd</th>' in page
    assert "what differs</h4>" in page
    assert "A cell that is gone" in page
    assert "A new cell" in page
    assert "<del>10</del>" in page
    assert "<ins>12</ins>" in page
    assert "<del>5</del><ins>6</ins>" in page
    assert "1 other cell is the same in both." in page


def test_runs_that_are_the_same_say_so(home, record_run):
    runs = [
        record_run(f"a-0{one}", train=executed_notebook(executed_cell("1", stream_output("x"))))
        for one in (1, 2)
    ]
    assert "Nothing differs." in made(home, *runs)


def test_results_are_compared_with_their_sign(home, record_run):
    results = [
        {"headline": {"RMSE": {"value": it, "text": f"${it}", "better": "lower"}}}
        for it in (10, 12)
    ]
    runs = [
        record_run(f"a-0{n}", it, train=executed_notebook(executed_cell("1")))
        for n, it in enumerate(results, 1)
    ]
    page = made(home, *runs)
    assert '<span class="gain worse">+$2 (+20.0%)</span>' in page
    assert "RMSE: $10 became $12: +$2 (+20.0%)." in page


def test_a_step_that_one_run_lacks_and_a_lost_notebook_are_told(home, record_run):
    a = record_run(
        "a-01",
        train=executed_notebook(executed_cell("1")),
        prep=executed_notebook(executed_cell("1")),
    )
    b = record_run("a-02", train=executed_notebook(executed_cell("2")))
    assert "Only run a-01 has this step." in made(home, a, b)
    (home / "var" / "runs" / "a-01" / "train.ipynb").unlink()
    assert "executed by run a-01 is not there any more" in made(home, a, b)


def test_a_failed_run_can_be_compared(home, record_run):
    error = v4.new_output("error", ename="E", evalue="bad", traceback=[])
    a = record_run("a-01", train=executed_notebook(executed_cell("go()", stream_output("fine"))))
    b = record_run(
        "a-02",
        {"status": "failed"},
        train=executed_notebook(executed_cell("go()", error, status="failed")),
    )
    page = made(home, a, b)
    assert "It was done, is failed." in page
    assert "The cell ran before, and failed now." in page


def test_an_edited_cell_answers_to_what_it_was():
    before = [
        cell_matching.CodeCell(one, "")
        for one in ("import numpy", "fit(model, n=10)", "plot(model)")
    ]
    after = [
        cell_matching.CodeCell(one, "")
        for one in ("import numpy", "fit(model, n=12)", "plot(model)")
    ]
    assert [(a.source[:3], b.source[:3]) for a, b in cell_matching.match_cells(before, after)] == [
        ("imp", "imp"), ("fit", "fit"), ("plo", "plo"),
    ]  # fmt: skip
    moved = list(cell_matching.match_cells(before, [after[0], after[2]]))
    assert [(a and a.source[:3], b and b.source[:3]) for a, b in moved] == [
        ("imp", "imp"), ("fit", None), ("plo", "plo"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "number"), [("$1,200", 1200), ("−3.5%", -3.5), ("boosting", None), ("1e-3", 0.001)]
)
def test_numbers_are_read_with_their_units(said, number):
    assert diffs.parse_number(said) == number


def test_nothing_of_a_notebook_runs_in_a_comparison(home, record_run):
    attack = "<script>alert(1)</script>"
    a = record_run(
        "a-01",
        {"parameters": {"x": attack}},
        train=executed_notebook(executed_cell("1", stream_output("x"))),
    )
    b = record_run(
        "a-02",
        train=executed_notebook(
            executed_cell(
                f"'{attack}'",
                stream_output(attack),
                display_output(html=f"<table><td>{attack}</td></table>"),
            )
        ),
    )
    assert attack not in comparison.write_comparison(home, a.id, b.id).read_text()


def test_the_command_says_where_the_page_is(home, make_step, capsys):
    assert main([make_step("one", "1")], home, []) == 0
    assert main([make_step("one", "2")], home, []) == 0
    runs = sorted(path.parent.name for path in (home / "var" / "runs").glob("*/run.json"))
    (home / "reports" / "compare" / f"{runs[0]}..{runs[1]}.html").unlink()
    capsys.readouterr()
    assert main([], home, ["compare", runs[0], "latest", "--single-file"]) == 0
    path = capsys.readouterr().out.strip()
    assert path.endswith(f"{runs[0]}..{runs[1]}.html")
    assert "<style>" in Path(path).read_text()
    assert f'data-compares="{runs[0]} {runs[1]}"' in (home / "reports" / "index.html").read_text()
    assert main([], home, ["compare"]) == 0
    assert capsys.readouterr().out.strip() == path
    assert main([], home, ["compare", "never", "latest"]) == 2
    assert "there is no run 'never'" in capsys.readouterr().err
