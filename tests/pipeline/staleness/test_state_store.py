"""A step runs only if something it depends on has changed, and says what: through real runs."""

import json
import time

import nbformat
import pytest

from pipeline import main
from pipeline.runs.records import load_all

WRITE = "open('out.txt', 'w').write(open('in.txt').read().strip() + str(n));"


def edit(path, change):
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


def steps_of(home):
    return {one.name: one.status for one in load_all(home / "var" / "runs")[0].steps}


@pytest.fixture
def pair(make_step, tmp_path, home, capsys, monkeypatch):
    """Two steps: the first writes a file that the second reads; gives what `main` does."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("hello")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "__init__.py").write_text("")
    (tmp_path / "ours" / "table.py").write_text("from ours import deep\nVALUE = deep.VALUE\n")
    (tmp_path / "ours" / "deep.py").write_text("VALUE = 1\n")
    (tmp_path / "ours" / "apart.py").write_text("VALUE = 1\n")
    first = make_step("first", "import ours.table", WRITE, parameters="n: int = 1  # a number")
    second = make_step("second", "import json; print(open('out.txt').read())")

    def go(*arguments, **options):
        capsys.readouterr()
        steps = [one._replace(**options) if one.name == "first" else one for one in (first, second)]
        code = main(steps, home, list(arguments))
        return code, "".join(capsys.readouterr())

    assert go()[0] == 0
    return go


def explain(go, *arguments):
    _, said = go("--explain", *arguments)
    return said.strip().splitlines()


def test_nothing_changed_is_nothing_to_do(pair, home):
    before = sorted((home / "var" / "runs").iterdir())
    code, said = pair()
    assert code == 0
    assert "nothing to do: first, second up to date since run" in said
    assert sorted((home / "var" / "runs").iterdir()) == before
    assert all("skip  nothing has changed" in one for one in explain(pair))


def test_prose_formatting_and_outputs_do_not_count(pair, tmp_path):
    def change(notebook):
        notebook.cells[0].source = "# Another title\n\nAnd prose."
        notebook.cells[3].source = WRITE.replace("(", "( ").rstrip(";") + "  # why"
        notebook.cells[3].outputs = [nbformat.v4.new_output("stream", text="old")]
        notebook.cells[3].metadata["anything"] = "else"
        notebook.cells.append(nbformat.v4.new_markdown_cell("The end."))

    edit(tmp_path / "first.ipynb", change)
    (tmp_path / "ours" / "deep.py").write_text("VALUE = (1)  # as ever\n")
    assert "nothing to do" in pair()[1]


def test_an_edited_cell_is_named(pair, tmp_path):
    edit(tmp_path / "first.ipynb", lambda it: it.cells[3].update(source=WRITE + " 1 + 1"))
    first, second = explain(pair)
    assert "run   cell 4 (The first report) was edited" in first
    assert "run   if first writes something new" in second


@pytest.mark.slow
def test_a_new_cell_and_a_removed_one_are_named(pair, tmp_path):
    edit(tmp_path / "first.ipynb",
         lambda it: it.cells.append(nbformat.v4.new_code_cell("3 + 4")))  # fmt: skip
    assert "cell 5 (The first report) is new" in explain(pair)[0]


def test_a_parameter_is_named_with_both_values(pair):
    assert "run   parameter n: 1 -> 2" in explain(pair, "-p", "n=2")[0]


@pytest.mark.slow
def test_a_changed_default_is_a_changed_parameter(pair, tmp_path):
    edit(tmp_path / "first.ipynb", lambda it: it.cells[1].update(source="n: int = 5  # a number"))
    assert "run   parameter n: 1 -> 5" in explain(pair)[0]


def test_our_modules_are_followed_through_their_imports(pair, tmp_path):
    (tmp_path / "ours" / "apart.py").write_text("VALUE = 2\n")
    assert "nothing to do" in pair()[1]
    (tmp_path / "ours" / "deep.py").write_text("VALUE = 2\n")
    from pipeline.staleness import fingerprint

    fingerprint._scan_module.cache_clear()
    assert "run   module ours/deep.py was edited" in explain(pair)[0]


def test_an_altered_input_is_named_and_the_same_content_is_none(pair, tmp_path):
    time.sleep(0.01)
    (tmp_path / "in.txt").write_text("hello")  # another time, the same words
    assert "nothing to do" in pair()[1]
    (tmp_path / "in.txt").write_text("hallo")
    assert "run   input in.txt is altered" in explain(pair)[0]
    (tmp_path / "in.txt").unlink()
    assert "run   input in.txt is missing" in explain(pair)[0]


def test_an_altered_or_deleted_output_is_made_again(pair, tmp_path, home):
    (tmp_path / "out.txt").write_text("tampered")
    assert "run   output out.txt is altered" in explain(pair)[0]
    (tmp_path / "out.txt").unlink()
    assert "run   output out.txt is missing" in explain(pair)[0]
    assert pair()[0] == 0
    assert (tmp_path / "out.txt").read_text() == "hello1"
    assert steps_of(home) == {"first": "done", "second": "up to date"}


def test_what_upstream_wrote_decides(pair, tmp_path, home):
    edit(tmp_path / "first.ipynb", lambda it: it.cells[3].update(source=WRITE + " 1 + 1"))
    assert pair()[0] == 0
    assert steps_of(home) == {"first": "done", "second": "up to date"}
    page = (home / "reports" / "latest" / "second.html").read_text()
    assert "hello1" in page
    assert pair("-p", "n=2")[0] == 0
    assert steps_of(home) == {"first": "done", "second": "done"}


@pytest.mark.slow
def test_an_upgraded_package_is_named(pair, home):
    [path] = (home / "var" / "steps").glob("first.json")
    state = json.loads(path.read_text())
    state["packages"] |= {"pytest": "1.0", "no-such-package": "2.0"}
    path.write_text(json.dumps(state))
    [first, _] = explain(pair)
    assert f"package pytest: 1.0 -> {pytest.__version__}" in first
    assert "package no-such-package: 2.0 -> none" in first


def test_the_world_outside_is_watched(pair):
    pair("--force", watch=lambda: {"champion": "3"})
    assert "skip" in explain(lambda *a: pair(*a, watch=lambda: {"champion": "3"}))[0]
    [first, _] = explain(lambda *a: pair(*a, watch=lambda: {"champion": "2"}))
    assert "run   outside champion: 3 -> 2" in first


def test_force_runs_one_step_or_all(pair, home):
    pair("--force", "second")
    assert steps_of(home) == {"first": "up to date", "second": "done"}
    pair("--force")
    assert steps_of(home) == {"first": "done", "second": "done"}
    code, said = pair("--force", "secnd")
    assert code == 2
    assert "did you mean 'second'" in said


def test_accept_declares_a_harmless_edit_up_to_date(pair, tmp_path):
    edit(tmp_path / "first.ipynb", lambda it: it.cells[3].update(source=WRITE + " 1 + 1"))
    code, said = pair("--accept", "first")
    assert code == 0
    assert "cell 4 (The first report) was edited" in said
    assert "nothing to do" in pair()[1]
    (tmp_path / "out.txt").write_text("tampered")
    code, said = pair("--accept", "first")
    assert code == 2
    assert "output out.txt is altered" in said


@pytest.mark.slow
def test_a_deleted_report_is_written_again(pair, home):
    page = (home / "reports" / "latest").resolve() / "first.html"
    page.unlink()
    assert "nothing to do" in pair()[1]
    assert page.exists()


def test_files_a_notebook_names_itself_count(make_step, home, tmp_path, capsys):
    """Read by C code, or not there yet: the notebook says so."""
    late = tmp_path / "late.bin"
    told = json.dumps({"read": [str(late)]})
    one = make_step("one", f"import os; open(os.environ['PIPELINE_HANDOVER'], 'w').write({told!r})")
    main([one], home, [])
    late.write_text("here")
    capsys.readouterr()
    main([one], home, ["--explain"])
    assert "late.bin is new" in capsys.readouterr().out


def test_a_failed_run_goes_on_where_it_failed(make_step, home, tmp_path, capsys):
    bad = make_step("second", "assert __import__('pathlib').Path('mended').exists()")
    steps = [make_step("first", "open('log', 'a').write('x')"), bad, make_step("third", "1")]
    assert main(steps, home, []) == 1
    capsys.readouterr()
    main(steps, home, ["--explain"])
    said = capsys.readouterr().out
    assert "second     run   it did not finish in run" in said
    (tmp_path / "mended").touch()
    assert main(steps, home, []) == 0
    assert steps_of(home) == {"first": "up to date", "second": "done", "third": "done"}
    assert (tmp_path / "log").read_text() == "x"


def explained(steps, home, capsys, *arguments):
    capsys.readouterr()
    assert main(steps, home, ["--explain", *arguments]) == 0
    return capsys.readouterr().out.strip().splitlines()


def test_parquet_files_are_seen_though_arrow_opens_them(make_step, home, tmp_path, capsys):
    steps = [
        make_step("one", "import pandas as pd; pd.DataFrame({'a': [n]}).to_parquet('t.parquet')",
             parameters="n: int = 1"),
        make_step("two", "import pandas as pd", "print('sum', pd.read_parquet('t.parquet').a.sum())"),
    ]  # fmt: skip
    assert main(steps, home, []) == 0
    assert main(steps, home, ["-p", "one.n=5"]) == 0
    assert "sum 5" in (home / "reports" / "latest" / "two.html").read_text()
    (tmp_path / "t.parquet").unlink()
    one, _ = explained(steps, home, capsys, "-p", "one.n=5")
    assert "t.parquet is missing" in one


@pytest.mark.slow
def test_what_nobody_can_see_being_written_counts_as_new(make_step, home, capsys):
    write = "import sqlite3; sqlite3.connect('d.db').execute(f'create table t{n} (a)')"
    steps = [make_step("one", write, parameters="n: int = 1"), make_step("two", "1")]
    assert main(steps, home, []) == 0
    assert main(steps, home, ["-p", "n=2"]) == 0
    assert steps_of(home) == {"one": "done", "two": "done"}


@pytest.mark.slow
def test_what_changes_while_a_step_runs_is_not_taken_for_read(make_project, make_step, tmp_path):
    (tmp_path / "in.txt").write_text("old")
    (tmp_path / "ours.py").write_text("VALUE = 'old'")
    read = "words = open('in.txt').read(); import time; print('read', flush=True); time.sleep(2)"
    made = make_project(
        make_step("one", read), make_step("two", "import ours; print('value', ours.VALUE)")
    )
    process = made.start()
    made.wait_for_output("read", "one")
    (tmp_path / "in.txt").write_text("new")
    (tmp_path / "ours.py").write_text("VALUE = 'new'")
    process.communicate()
    assert "value new" in made.report_html("two")
    _, said = made.run("--explain")
    one, two = said.strip().splitlines()
    assert "input in.txt is altered" in one
    assert "if one writes" in two


@pytest.mark.slow
def test_a_log_that_steps_append_to_is_no_reason(make_step, home, tmp_path, capsys):
    append = "open('log.csv', 'a').write('x'); open('log.csv').read()"
    steps = [make_step("one", append), make_step("two", append)]
    assert main(steps, home, []) == 0
    assert all("skip" in one for one in explained(steps, home, capsys))


@pytest.mark.slow
def test_a_sweep_spoils_the_plain_step_s_output_for_it(make_step, home, tmp_path, capsys):
    one = make_step("one", "open('model', 'w').write(str(n))", parameters="n: int = 1")
    assert main([one], home, []) == 0
    assert main([one], home, ["--sweep", "n=2,3", "--jobs", "1"]) == 0
    [line] = explained([one], home, capsys)
    assert "model is altered" in line


@pytest.mark.slow
def test_a_file_that_was_missing_and_a_module_found_at_run_time_count(
    make_step, home, tmp_path, capsys
):
    (tmp_path / "late.py").write_text("VALUE = 1")
    cell = (
        "import importlib, os; importlib.import_module('late')\ntry: open('optional.cfg')\n"
        "except FileNotFoundError: print('none')"
    )
    one = make_step("one", cell)
    assert main([one], home, []) == 0
    assert "skip" in explained([one], home, capsys)[0]
    (tmp_path / "optional.cfg").write_text("a = 1")
    assert "optional.cfg is new" in explained([one], home, capsys)[0]
    (tmp_path / "late.py").write_text("VALUE = 2")
    from pipeline.staleness import fingerprint

    fingerprint.clear_cache()
    assert "late.py was edited" in explained([one], home, capsys)[0]


def test_a_parameter_that_is_no_number_equals_itself(make_step, home, capsys):
    one = make_step("one", "1", parameters="rate: float = 0.1")
    assert main([one], home, ["-p", "rate=nan"]) == 0
    assert "skip" in explained([one], home, capsys, "-p", "rate=nan")[0]


def test_the_kernel_s_name_counts(make_step, home, capsys):
    one = make_step("one", "1")
    assert main([one], home, []) == 0
    edit(one.notebook, lambda it: it.metadata.kernelspec.update(name="other"))
    assert "the kernel's name was edited" in explained([one], home, capsys)[0]


def test_a_file_to_ignore_is_neither_input_nor_output(make_step, home, tmp_path, capsys):
    one = make_step("one", "open('cache.meta', 'w').write('a')", ignore=("*.meta",))
    assert main([one], home, []) == 0
    (tmp_path / "cache.meta").unlink()
    assert "skip" in explained([one], home, capsys)[0]


def test_a_file_written_and_then_appended_to_is_an_output(make_step, home, tmp_path, capsys):
    one = make_step("one", "open('t.csv', 'w').write('a'); open('t.csv', 'a').write('b')")
    assert main([one], home, []) == 0
    assert "skip" in explained([one], home, capsys)[0]
    (tmp_path / "t.csv").unlink()
    assert "t.csv is missing" in explained([one], home, capsys)[0]
