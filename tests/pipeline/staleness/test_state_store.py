"""A step runs only if something it depends on has changed, and says what, shown with real runs."""

import json
import time

import nbformat
import pytest

from pipeline import Step, main
from pipeline.runs.records import load_all
from tests.pipeline.conftest import write_notebook

WRITE_OUTPUT = "open('out.txt', 'w').write(open('in.txt').read().strip() + str(n));"


def edit_notebook(path, change):
    """Apply a function to the notebook and save it."""
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


def statuses(home):
    """Return step -> status of the newest run."""
    return {step.name: step.status for step in load_all(home / "var" / "runs")[0].steps}


def write_pair(folder):
    """Write two notebooks, the second of which reads what the first writes; return the steps."""
    (folder / "in.txt").write_text("hello")
    (folder / "ours").mkdir()
    (folder / "ours" / "__init__.py").write_text("")
    (folder / "ours" / "table.py").write_text("from ours import deep\nVALUE = deep.VALUE\n")
    (folder / "ours" / "deep.py").write_text("VALUE = 1\n")
    (folder / "ours" / "apart.py").write_text("VALUE = 1\n")
    first = write_notebook(
        folder, "first", "import ours.table", WRITE_OUTPUT, parameters="n: int = 1  # a number"
    )
    second = write_notebook(folder, "second", "import json; print(open('out.txt').read())")
    return [Step("first", first), Step("second", second)]


@pytest.fixture(scope="module")
def finished_pair(run_once):
    """The folder of two steps that have run."""
    return run_once(write_pair)


@pytest.fixture
def folder(finished_pair, copy_finished):
    """A copy of the finished project."""
    return copy_finished(finished_pair)


@pytest.fixture
def run_pair(folder, capsys):
    """Return a function that runs the two steps of the finished project again.

    It takes the arguments of the command line and options of the first step, and returns the exit
    code and the output.
    """

    def run(*arguments, **options):
        capsys.readouterr()
        steps = [
            Step("first", folder / "first.ipynb", **options),
            Step("second", folder / "second.ipynb"),
        ]
        code = main(steps, folder, list(arguments))
        return code, "".join(capsys.readouterr())

    return run


def explain_pair(run_pair, *arguments, **options):
    """Return what `explain` prints of the two steps, one line each."""
    _, output = run_pair("explain", *arguments, **options)
    return output.strip().splitlines()


def test_an_unchanged_pipeline_does_nothing(run_pair, folder):
    run_folders = sorted((folder / "var" / "runs").iterdir())
    code, output = run_pair()
    assert code == 0
    assert "nothing to do: first, second up to date since run" in output
    assert sorted((folder / "var" / "runs").iterdir()) == run_folders
    assert all("skip  nothing has changed" in line for line in explain_pair(run_pair))


def test_prose_formatting_and_outputs_do_not_count(run_pair, folder):
    def change(notebook):
        notebook.cells[0].source = "# Another title\n\nAnd prose."
        notebook.cells[3].source = WRITE_OUTPUT.replace("(", "( ") + "  # why"
        notebook.cells[3].outputs = [nbformat.v4.new_output("stream", text="old")]
        notebook.cells[3].metadata["anything"] = "else"
        notebook.cells.append(nbformat.v4.new_markdown_cell("The end."))

    edit_notebook(folder / "first.ipynb", change)
    (folder / "ours" / "deep.py").write_text("VALUE = (1)  # as ever\n")
    assert "nothing to do" in run_pair()[1]


def test_an_edited_cell_is_named(run_pair, folder):
    edit_notebook(
        folder / "first.ipynb",
        lambda notebook: notebook.cells[3].update(source=WRITE_OUTPUT + " 1 + 1"),
    )
    first_line, second_line = explain_pair(run_pair)
    assert "run   cell 4 (The first report) was edited" in first_line
    assert "run   if first writes something new" in second_line


def test_a_new_cell_is_named(run_pair, folder):
    new_cell = nbformat.v4.new_code_cell("3 + 4")
    edit_notebook(folder / "first.ipynb", lambda notebook: notebook.cells.append(new_cell))
    assert "cell 5 (The first report) is new" in explain_pair(run_pair)[0]


def test_a_parameter_is_named_with_both_values(run_pair):
    assert "run   parameter n: 1 -> 2" in explain_pair(run_pair, "-p", "n=2")[0]


def test_a_changed_default_is_a_changed_parameter(run_pair, folder):
    edit_notebook(
        folder / "first.ipynb",
        lambda notebook: notebook.cells[1].update(source="n: int = 5  # a number"),
    )
    assert "run   parameter n: 1 -> 5" in explain_pair(run_pair)[0]


def test_an_edited_module_counts_if_the_notebook_imports_it_even_indirectly(run_pair, folder):
    (folder / "ours" / "apart.py").write_text("VALUE = 2\n")
    assert "nothing to do" in run_pair()[1]
    (folder / "ours" / "deep.py").write_text("VALUE = 2\n")

    assert "run   module ours/deep.py was edited" in explain_pair(run_pair)[0]


def test_an_altered_input_is_named_unless_only_its_time_differs(run_pair, folder):
    time.sleep(0.01)
    (folder / "in.txt").write_text("hello")  # the same content at another time
    assert "nothing to do" in run_pair()[1]
    (folder / "in.txt").write_text("hallo")
    assert "run   input in.txt is altered" in explain_pair(run_pair)[0]
    (folder / "in.txt").unlink()
    assert "run   input in.txt is missing" in explain_pair(run_pair)[0]


def test_an_altered_or_deleted_output_is_written_again(run_pair, folder):
    (folder / "out.txt").write_text("tampered")
    assert "run   output out.txt is altered" in explain_pair(run_pair)[0]
    (folder / "out.txt").unlink()
    assert "run   output out.txt is missing" in explain_pair(run_pair)[0]
    assert run_pair()[0] == 0
    assert (folder / "out.txt").read_text() == "hello1"
    assert statuses(folder) == {"first": "done", "second": "up to date"}


@pytest.mark.slow
def test_a_step_runs_only_if_the_results_of_the_earlier_step_differ(run_pair, folder):
    edit_notebook(
        folder / "first.ipynb",
        lambda notebook: notebook.cells[3].update(source=WRITE_OUTPUT + " 1 + 1"),
    )
    assert run_pair()[0] == 0
    assert statuses(folder) == {"first": "done", "second": "up to date"}
    page = (folder / "reports" / "latest" / "second.html").read_text()
    assert "hello1" in page
    assert run_pair("-p", "n=2")[0] == 0
    assert statuses(folder) == {"first": "done", "second": "done"}


def test_an_upgraded_package_is_named(run_pair, folder):
    [path] = (folder / "var" / "steps").glob("first.json")
    state = json.loads(path.read_text())
    state["packages"] |= {"pytest": "1.0", "no-such-package": "2.0"}
    path.write_text(json.dumps(state))
    first_line, _ = explain_pair(run_pair)
    assert f"package pytest: 1.0 -> {pytest.__version__}" in first_line
    assert "package no-such-package: 2.0 -> none" in first_line


@pytest.mark.slow
def test_a_changed_external_state_is_named(run_pair):
    run_pair("--force", external_state=lambda: {"champion": "3"})
    assert "skip" in explain_pair(run_pair, external_state=lambda: {"champion": "3"})[0]
    first_line, _ = explain_pair(run_pair, external_state=lambda: {"champion": "2"})
    assert "run   external state champion: 3 -> 2" in first_line


@pytest.mark.slow
def test_rows_that_arrive_while_a_step_runs_are_a_reason_to_run_it_again(run_pair, folder):
    """The step may not have read them, although they are there once it ends."""

    def count_rows(_parameters):
        return {"rows": str(len((folder / "out.txt").read_text()))}

    (folder / "out.txt").write_text("")
    run_pair("--force", source_state=count_rows)
    first_line, _ = explain_pair(run_pair, source_state=count_rows)
    assert "run   external state rows: 0 -> 6" in first_line


def test_an_external_state_that_cannot_be_read_is_named(run_pair):
    def fail():
        raise OSError("the registry is down")

    first_line, _ = explain_pair(run_pair, external_state=fail)
    assert "external state error: none -> cannot be read (the registry is down)" in first_line


@pytest.mark.slow
def test_force_runs_one_step_or_all(run_pair, folder):
    run_pair("--force", "second")
    assert statuses(folder) == {"first": "up to date", "second": "done"}
    run_pair("--force")
    assert statuses(folder) == {"first": "done", "second": "done"}
    code, output = run_pair("--force", "secnd")
    assert code == 2
    assert "did you mean 'second'" in output


def test_accept_declares_a_harmless_edit_up_to_date(run_pair, folder):
    edit_notebook(
        folder / "first.ipynb",
        lambda notebook: notebook.cells[3].update(source=WRITE_OUTPUT + " 1 + 1"),
    )
    code, output = run_pair("accept", "first")
    assert code == 0
    assert "cell 4 (The first report) was edited" in output
    assert "nothing to do" in run_pair()[1]
    (folder / "out.txt").write_text("tampered")
    code, output = run_pair("accept", "first")
    assert code == 2
    assert "output out.txt is altered" in output


def test_a_deleted_report_is_written_again(run_pair, folder):
    page = (folder / "reports" / "latest").resolve() / "first.html"
    page.unlink()
    assert "nothing to do" in run_pair()[1]
    assert page.exists()


def test_files_that_a_notebook_publishes_count_as_inputs(make_step, home, tmp_path, capsys):
    """As for files that C code reads: the notebook publishes their names."""
    late_path = tmp_path / "late.bin"
    published = json.dumps({"input_files": [str(late_path)]})
    cell = f"import os; open(os.environ['PIPELINE_RESULTS'], 'w').write({published!r})"
    step = make_step("one", cell)
    main([step], home, [])
    late_path.write_text("here")
    capsys.readouterr()
    main([step], home, ["explain"])
    assert "late.bin is new" in capsys.readouterr().out


@pytest.mark.slow
def test_a_failed_run_resumes_at_the_failed_step(make_step, home, tmp_path, capsys):
    failing_step = make_step("second", "assert __import__('pathlib').Path('fixed').exists()")
    steps = [
        make_step("first", "open('log', 'a').write('x')"),
        failing_step,
        make_step("third", "1"),
    ]
    assert main(steps, home, []) == 1
    capsys.readouterr()
    main(steps, home, ["explain"])
    output = capsys.readouterr().out
    assert "second     run   it did not finish in run" in output
    (tmp_path / "fixed").touch()
    assert main(steps, home, []) == 0
    assert statuses(home) == {"first": "up to date", "second": "done", "third": "done"}
    assert (tmp_path / "log").read_text() == "x"


def explain(steps, home, capsys, *arguments):
    """Return what `explain` prints of the steps, one line each."""
    capsys.readouterr()
    assert main(steps, home, ["explain", *arguments]) == 0
    return capsys.readouterr().out.strip().splitlines()


@pytest.mark.slow
def test_parquet_files_count_though_arrow_opens_them(make_step, home, tmp_path, capsys):
    write = "import pandas as pd; pd.DataFrame({'a': [n]}).to_parquet('t.parquet')"
    read = "print('sum', pd.read_parquet('t.parquet').a.sum())"
    steps = [
        make_step("one", write, parameters="n: int = 1"),
        make_step("two", "import pandas as pd", read),
    ]
    assert main(steps, home, []) == 0
    assert main(steps, home, ["-p", "one.n=5"]) == 0
    assert "sum 5" in (home / "reports" / "latest" / "two.html").read_text()
    (tmp_path / "t.parquet").unlink()
    first_line, _ = explain(steps, home, capsys, "-p", "one.n=5")
    assert "t.parquet is missing" in first_line


@pytest.mark.slow
def test_a_step_without_visible_results_counts_as_writing_new_ones(make_step, home, capsys):
    write = "import sqlite3; sqlite3.connect('d.db').execute(f'create table t{n} (a)')"
    steps = [make_step("one", write, parameters="n: int = 1"), make_step("two", "1")]
    assert main(steps, home, []) == 0
    assert main(steps, home, ["-p", "n=2"]) == 0
    assert statuses(home) == {"one": "done", "two": "done"}


@pytest.mark.slow
def test_a_file_or_module_changed_while_a_step_runs_counts_as_changed(
    make_project, make_step, tmp_path
):
    (tmp_path / "in.txt").write_text("old")
    (tmp_path / "ours.py").write_text("VALUE = 'old'")
    read = "words = open('in.txt').read(); import time; print('read', flush=True); time.sleep(2)"
    project = make_project(
        make_step("one", read), make_step("two", "import ours; print('value', ours.VALUE)")
    )
    process = project.start()
    project.wait_for_output("read", "one")
    (tmp_path / "in.txt").write_text("new")
    (tmp_path / "ours.py").write_text("VALUE = 'new'")
    process.communicate()
    assert "value new" in project.report_html("two")
    _, output = project.run("explain")
    first_line, second_line = output.strip().splitlines()
    assert "input in.txt was altered while the step ran" in first_line
    assert "if one writes" in second_line


@pytest.mark.slow
def test_a_log_that_steps_append_to_is_no_reason(make_step, home, tmp_path, capsys):
    append = "open('log.csv', 'a').write('x'); open('log.csv').read()"
    steps = [make_step("one", append), make_step("two", append)]
    assert main(steps, home, []) == 0
    assert all("skip" in line for line in explain(steps, home, capsys))


@pytest.mark.slow
def test_a_sweep_that_overwrites_the_plain_step_s_output_makes_it_stale(
    make_step, home, tmp_path, capsys
):
    step = make_step("one", "open('model', 'w').write(str(n))", parameters="n: int = 1")
    assert main([step], home, []) == 0
    assert main([step], home, ["--sweep", "n=2"]) == 0
    [line] = explain([step], home, capsys)
    assert "model is altered" in line


@pytest.mark.slow
def test_a_missing_file_and_a_module_imported_at_run_time_count(make_step, home, tmp_path, capsys):
    (tmp_path / "late.py").write_text("VALUE = 1")
    cell = (
        "import importlib, os; importlib.import_module('late')\ntry: open('optional.cfg')\n"
        "except FileNotFoundError: print('none')"
    )
    step = make_step("one", cell)
    assert main([step], home, []) == 0
    assert "skip" in explain([step], home, capsys)[0]
    (tmp_path / "optional.cfg").write_text("a = 1")
    assert "optional.cfg has appeared" in explain([step], home, capsys)[0]
    (tmp_path / "late.py").write_text("VALUE = 2")

    assert "late.py was edited" in explain([step], home, capsys)[0]


def test_a_parameter_that_is_nan_equals_itself(make_step, home, capsys):
    step = make_step("one", "1", parameters="rate: float = 0.1")
    assert main([step], home, ["-p", "rate=nan"]) == 0
    assert "skip" in explain([step], home, capsys, "-p", "rate=nan")[0]


def test_a_changed_kernel_name_is_named(make_step, home, capsys):
    step = make_step("one", "1")
    assert main([step], home, []) == 0
    edit_notebook(step.notebook, lambda notebook: notebook.metadata.kernelspec.update(name="other"))
    assert "the kernel's name was edited" in explain([step], home, capsys)[0]


@pytest.mark.slow
def test_an_ignored_file_is_neither_input_nor_output(make_step, home, tmp_path, capsys):
    step = make_step("one", "open('cache.meta', 'w').write('a')", ignore=("*.meta",))
    assert main([step], home, []) == 0
    (tmp_path / "cache.meta").unlink()
    assert "skip" in explain([step], home, capsys)[0]


@pytest.mark.slow
def test_a_file_written_and_then_appended_to_is_an_output(make_step, home, tmp_path, capsys):
    step = make_step("one", "open('t.csv', 'w').write('a'); open('t.csv', 'a').write('b')")
    assert main([step], home, []) == 0
    assert "skip" in explain([step], home, capsys)[0]
    (tmp_path / "t.csv").unlink()
    assert "t.csv is missing" in explain([step], home, capsys)[0]
