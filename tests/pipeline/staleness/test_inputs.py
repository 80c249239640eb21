"""Unusual notebooks, parameters, environments and folders: they work, or the error is clear."""

import html
import json
import os
import subprocess
import sys

import nbformat
import pytest

from pipeline import main
from pipeline.definition import overrides
from pipeline.runs.records import load_all

pytestmark = pytest.mark.slow


def report_text(home, name):
    """Return the newest report of a step, unescaped."""
    return html.unescape((home / "reports" / "latest" / f"{name}.html").read_text())


def test_values_come_from_file_environment_and_command_line(make_step, home, tmp_path, monkeypatch):
    cell = "a: str = '0'\nb: str = '0'\nc: str = '0'\nd: list[str] = []\ne: int = 0"
    step = make_step("one", "print('got', a, b, c, d, e)", parameters=cell)
    (tmp_path / "values.yaml").write_text("a: 007\none:\n  b: 1e3\n  d: [01, x]\nc: no\n")
    monkeypatch.setenv("PIPELINE_PARAM_ONE__E", "5")
    monkeypatch.setenv("PIPELINE_PARAM_A", "environment")
    arguments = ["--params", str(tmp_path / "values.yaml"), "-p", "c=line"]
    assert main([step], home, arguments) == 0
    assert "got 007 1e3 line ['01', 'x'] 5" in report_text(home, "one")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("trails: 1", "there is no parameter 'trails' (FILE); did you mean 'trials'?"),
        ("trials: many", "trials is 'many', expected int"),
        ("- 1", "--params FILE: expected NAME: VALUE, or STEP: {NAME: VALUE}"),
        ("a: [", "--params FILE is not valid YAML"),
    ],
)
def test_a_wrong_parameter_file_is_named(make_step, home, tmp_path, capsys, content, message):
    path = tmp_path / "values.yaml"
    path.write_text(content)
    step = make_step("one", "1", parameters="trials: int = 1")
    assert main([step], home, ["--params", str(path)]) == 2
    assert message.replace("FILE", str(path)) in capsys.readouterr().err
    assert not (home / "var" / "runs").exists()


def test_a_missing_parameter_file_is_named(make_step, home, capsys):
    assert main([make_step("one", "1")], home, ["--params", "no.yaml"]) == 2
    assert "--params no.yaml: No such file or directory" in capsys.readouterr().err


def test_an_unknown_environment_variable_is_named(make_step, home, capsys, monkeypatch):
    monkeypatch.setenv("PIPELINE_PARAM_TRAILS", "1")
    assert main([make_step("one", "1", parameters="trials: int = 1")], home, []) == 2
    errors = capsys.readouterr().err
    assert (
        "there is no parameter 'trails' (PIPELINE_PARAM_TRAILS); did you mean 'trials'?" in errors
    )


def test_a_bad_default_is_refused_before_anything_starts(make_step, home, capsys):
    step = make_step("one", "1", parameters="share: Annotated[float, Lt(1)] = 2.0")
    assert main([step], home, []) == 2
    assert "one.ipynb: share's default is 2.0, expected" in capsys.readouterr().err
    assert not (home / "var" / "runs").exists()


def test_help_lists_the_parameters(make_step, home, capsys):
    step = make_step("one", "1", parameters="trials: int = 10  # settings tried")
    assert main([step], home, ["--help"]) == 0
    assert "trials  int  10  settings tried" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "one.ipynb is not a notebook: it is not JSON"),
        ('{"nbformat": 3, "nbformat_minor": 0, "worksheets": []}', "notebook format 3, expected 4"),
    ],
)
def test_a_file_that_is_not_a_notebook_is_named(make_step, home, capsys, content, message):
    step = make_step("one", "1")
    step.notebook.write_text(content)
    assert main([step], home, []) == 2
    assert message in capsys.readouterr().err


def test_a_missing_notebook_is_named(make_step, home, capsys):
    step = make_step("one", "1")
    step.notebook.unlink()
    assert main([step], home, []) == 2
    assert f"there is no notebook {step.notebook}" in capsys.readouterr().err


def test_an_older_minor_format_and_empty_cells_work(make_step, home):
    step = make_step("one", "", "print('fine')")
    content = json.loads(step.notebook.read_text())
    content["nbformat_minor"] = 2
    for cell in content["cells"]:
        del cell["id"]
    step.notebook.write_text(json.dumps(content))
    assert main([step], home, []) == 0
    assert "fine" in report_text(home, "one")


def test_magics_and_shell_commands_work(make_step, home):
    step = make_step("one", "%matplotlib inline\n!echo from the shell", "%%bash\necho from bash")
    assert main([step], home, []) == 0
    assert "from the shell" in report_text(home, "one")
    assert main([step], home, []) == 0


def test_a_cell_tagged_raises_exception_may_fail(make_step, home):
    step = make_step("one", "1 / 0", "print('on')")
    notebook = nbformat.read(step.notebook, as_version=4)
    notebook.cells[1].metadata["tags"] = ["raises-exception"]
    nbformat.write(notebook, step.notebook)
    assert main([step], home, []) == 0
    assert "on" in report_text(home, "one")


def test_a_notebook_without_a_kernel_name_runs_in_python(make_step, home):
    step = make_step("one", "print('fine', n)", parameters="n: int = 1")
    content = json.loads(step.notebook.read_text())
    content["metadata"] = {}
    step.notebook.write_text(json.dumps(content))
    assert main([step], home, ["-p", "n=2"]) == 0
    assert "fine 2" in report_text(home, "one")


def test_a_module_beside_the_notebook_is_found(make_step, home, tmp_path):
    (tmp_path / "beside.py").write_text("VALUE = 'from beside'\n")
    assert main([make_step("one", "import beside; print(beside.VALUE)")], home, []) == 0
    assert "from beside" in report_text(home, "one")


@pytest.mark.parametrize("flag", [[], ["--cold"]])
def test_warm_and_cold_kernels_see_the_same_environment(make_step, home, flag):
    """The environment, the folder, the path, a clean __main__, and matplotlib's inline figures."""
    step = make_step(
        "one",
        "import numpy as np\nimport matplotlib.pyplot as plt",
        "import os, sys; print(os.environ['PIPELINE_RUN_ID'] in os.environ['PIPELINE_REPORT'])",
        "print(sys.path[0] == '' or sys.path[0] == os.getcwd(), __name__, 'np' in globals(), "
        "sorted(name for name in globals() if 'fork' in name or 'pipeline' in name))",
        "plt.plot([1, 2]);",
    )
    assert main([step], home, flag) == 0
    assert "True __main__ True []" in report_text(home, "one")
    assert "data:image/png" in report_text(home, "one")


def test_warm_kernels_do_not_share_random_numbers(make_step, home):
    steps = [make_step(name, "import numpy as np", "np.random.rand()") for name in ("one", "two")]
    assert main(steps, home, []) == 0
    [run] = load_all(home / "var" / "runs")
    numbers = [
        nbformat.read(home / "var" / "runs" / run.id / f"{name}.ipynb", as_version=4)
        .cells[2]
        .outputs[0]
        .data["text/plain"]
        for name in ("one", "two")
    ]
    assert numbers[0] != numbers[1]


def test_a_kernel_of_another_kind_is_started_by_its_own_command(
    make_step, home, tmp_path, monkeypatch
):
    """Another interpreter, another language: through TCP, without the fork server."""
    folder = tmp_path / "jupyter" / "kernels" / "other"
    folder.mkdir(parents=True)
    argv = ["/usr/bin/env", sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "other", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    step = make_step("one", "print('from the other')")
    step.notebook.write_text(step.notebook.read_text().replace("python3", "other"))
    assert main([step], home, []) == 0
    assert "from the other" in report_text(home, "one")
    exiting_step = make_step("exiting", "exit()", "print('on')")
    exiting_step.notebook.write_text(exiting_step.notebook.read_text().replace("python3", "other"))
    assert main([exiting_step], home, []) == 0
    [run, _] = load_all(home / "var" / "runs")
    assert "by its own decision in cell 2" in run.steps[0].notes[0]
    assert run.steps[0].cell_status == ["ran", "ran", "not run"]


def test_a_run_that_cannot_write_its_reports_does_not_start(make_step, home, capsys):
    home.mkdir(exist_ok=True)
    (home / "reports").write_text("a file")
    assert main([make_step("one", "1")], home, []) == 2
    message = f"the run could not start: cannot use {home / 'reports'}: expected a folder"
    assert message in capsys.readouterr().err
    assert "reports" in str(list(home.iterdir()))


def test_a_large_output_is_kept_in_full(make_step, home):
    step = make_step("one", "print('x' * 50_000_000)", "print('after')")
    assert main([step], home, []) == 0
    [path] = (home / "var" / "runs").glob("*/one.ipynb")
    assert path.stat().st_size > 50_000_000
    assert "after" in report_text(home, "one")


def test_a_secret_reaches_only_the_kernel(make_step, home, tmp_path, monkeypatch, capfd):
    secret = "p@ss w0rd<&'\"\\end"
    monkeypatch.setenv("TOKEN", secret)
    using = f"open({str(tmp_path / 'used')!r}, 'w').write(token)"
    careless = "import sys, os; print(token); print(repr(token), file=sys.stderr); token"
    failing = "raise ValueError(f'cannot log in with {token}')"
    step = make_step("one", using, careless, failing, parameters="token: str = ''  # the key")
    assert main([step], home, ["-p", "token=env:TOKEN", "--json"]) == 1
    assert (tmp_path / "used").read_text() == secret
    paths = [path for path in home.rglob("*") if path.is_file()]
    assert len(paths) > 5
    assert [path for path in paths if b"p@ss w0rd" in path.read_bytes()] == []
    assert "p@ss w0rd" not in "".join(capfd.readouterr())
    assert "env:TOKEN" in report_text(home, "one")


def test_a_secret_that_is_not_set_stops_before_anything_starts(
    make_step, home, capsys, monkeypatch
):
    monkeypatch.delenv("TOKEN", raising=False)
    step = make_step("one", "1", parameters="token: str = ''")
    assert main([step], home, ["-p", "token=env:TOKEN"]) == 2
    assert "TOKEN is not set" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["with space", "ünïcode's"])
def test_unusual_notebook_names_work(make_step, home, name):
    assert main([make_step(name, "print('fine')")], home, []) == 0
    assert "fine" in report_text(home, name)


def test_the_runner_works_inside_a_notebook_that_it_runs(make_step, home, tmp_path, make_notebook):
    """A pipeline may be run from a kernel that another run started."""
    inner = make_notebook("inner", "print('within')")
    inner_step = f"Step('inner', Path({str(inner)!r}))"
    inner_home = f"Path({str(tmp_path / 'in')!r})"
    code = (
        "from pathlib import Path; from pipeline import Step, main; "
        f"print('code', main([{inner_step}], {inner_home}, []))"
    )
    cell = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)"
    assert main([make_step("one", cell)], home, []) == 0
    assert "within" in report_text(tmp_path / "in", "inner")
    assert os.environ.get("PIPELINE_RUN_ID") is None


@pytest.mark.parametrize("flag", [[], ["--cold"]])
def test_our_modules_are_imported_by_the_kernel_itself(
    make_step, home, tmp_path, flag, monkeypatch
):
    """Their code runs in the notebook's folder and environment."""
    (tmp_path / "apart").mkdir()
    (tmp_path / "apart" / "settings.py").write_text(
        "import logging, os, random\nos.environ['MADE'] = 'here'\nlogging.basicConfig()\n"
        "FOLDER, REPORT = os.getcwd(), os.environ['PIPELINE_REPORT']\nprint('imported')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "apart"))
    cells = [
        "import settings, os, logging; logging.warning('a line of the log')",
        "print(os.environ['MADE'], settings.FOLDER == os.getcwd(), settings.REPORT)",
    ]
    assert main([make_step("one", *cells)], home, flag) == 0
    [run] = load_all(home / "var" / "runs")
    for text in ("imported", "a line of the log", f"here True reports/{run.id}/one.html"):
        assert text in report_text(home, "one")


def test_a_display_may_be_updated_after_prints(make_step, home):
    prints = "import time\nfor n in range(3):\n    print(n, flush=True); time.sleep(0.2)"
    display = f"{prints}\nh = display('OLD', display_id='h')\ndisplay('KEEP');"
    step = make_step("one", display, "h.update('NEW')")
    assert main([step], home, []) == 0
    assert "NEW" in report_text(home, "one")
    assert "KEEP" in report_text(home, "one")
    assert "OLD" not in report_text(home, "one").split("code</summary>")[0]


def test_malformed_published_results_fail_only_their_step(make_step, home, capsys):
    cell = "import os; open(os.environ['PIPELINE_RESULTS'], 'w').write('{')"
    assert main([make_step("one", cell)], home, []) == 1
    assert "its result could not be recorded" in capsys.readouterr().out
    assert main([make_step("one", "1")], home, []) == 0


def test_notebooks_of_one_name_and_unusual_values_get_separate_files(make_step, home, tmp_path):
    first_step = make_step("one", "print('this is', n)", parameters="n: str = ''")
    (tmp_path / "other").mkdir()
    second_step = make_step("two", "print('that')")
    second_step.notebook.rename(tmp_path / "other" / "one.ipynb")
    second_step = second_step._replace(notebook=tmp_path / "other" / "one.ipynb")
    sweep = f"one.n=a b,a-b,a/b,{'x' * 300}"
    assert main([first_step, second_step], home, ["--sweep", sweep]) == 0
    [run] = load_all(home / "var" / "runs")
    pages = [(home / "reports" / run.id / record.report).read_text() for record in run.steps]
    for value, content in zip(["a b", "a-b", "a/b", "x" * 300], pages, strict=False):
        assert f"this is {value}\n" in content
    assert "that" in pages[4]


def test_lists_of_dates_reach_the_notebook(make_step, home):
    cell = "from datetime import date\n\ndays: list[date] = []"
    step = make_step("one", "print([day.year for day in days])", parameters=cell)
    assert main([step], home, ["-p", 'days=["2026-11-23", "1990-01-01"]']) == 0
    assert "[2026, 1990]" in report_text(home, "one")


def test_a_secret_is_hidden_in_results_stderr_tables_and_defaults(
    make_step, home, monkeypatch, capfd
):
    """Results that the notebook publishes, the kernel's stderr, a text cut short, a default."""
    secret = "hush-" + "0123456789" * 6
    monkeypatch.setenv("TOKEN", secret)
    cell = (
        "import json, os; os.write(2, token.encode()); "
        "results = {'headline': {'key': token}, 'notice': token}; "
        "open(os.environ['PIPELINE_RESULTS'], 'w').write(json.dumps(results))"
    )
    table = "import pandas as pd; pd.DataFrame({'key': [token]})"
    step = make_step("one", cell, table, parameters="token: str = 'env:TOKEN'")
    assert main([step], home, ["--json"]) == 0
    leaks = [
        path
        for path in home.rglob("*")
        if path.is_file() and b"hush-0123456789" in path.read_bytes()
    ]
    assert leaks == []
    assert "hush-0123456789" not in "".join(capfd.readouterr())


def test_too_few_jobs_are_refused(make_step, home, capsys):
    assert main([make_step("one", "1")], home, ["--jobs", "0"]) == 2
    assert "--jobs is 0, expected at least 1" in capsys.readouterr().err


def test_a_closed_output_pipe_does_not_stop_the_run(make_project, make_step):
    project = make_project(make_step("one", "1"), make_step("two", "2"))
    command = f"{sys.executable} run_pipeline.py | head -1"
    subprocess.run(command, shell=True, cwd=project.folder, check=True, capture_output=True)
    assert project.latest_record.status == "done"


def test_all_problems_of_the_command_line_are_listed_at_once(make_step, home, tmp_path, capsys):
    (tmp_path / "values.yaml").write_text("- 1")
    arguments = "-p noequals --only trian --force prp -p trails=1 -p trials=many --jobs 0"
    arguments += f" --sweep odd --params {tmp_path / 'values.yaml'}"
    step = make_step("train", "1", parameters="trials: int = 1")
    assert main([step], home, arguments.split()) == 2
    errors = capsys.readouterr().err
    for problem in (
        "-p noequals: expected NAME=VALUE",
        "--sweep odd: expected NAME=VALUE",
        "there is no step 'trian'; did you mean 'train'?",
        "there is no step 'prp'",
        "there is no parameter 'trails'; did you mean 'trials'?",
        "trials is 'many', expected int",
        "--jobs is 0, expected at least 1",
        "values.yaml: expected NAME: VALUE",
    ):
        assert errors.count(problem) == 1
    assert not (home / "var" / "runs").exists()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_parameter_file_in_any_unicode_encoding_is_read(make_step, tmp_path, encoding):
    path = tmp_path / "values.yaml"
    path.write_bytes("# ünïcode\nname: Zoë\n".encode(encoding))
    step = make_step("one", "1", parameters="name: str = ''")
    [override] = overrides.load_overrides([step], [step], [path], [])
    assert (override.name, override.value) == ("name", "Zoë")


def test_a_parameter_file_in_another_encoding_is_named_with_the_command_to_convert_it(
    make_step, home, tmp_path, capsys
):
    path = tmp_path / "my values.yaml"
    path.write_bytes("# values\nname: Zoë\n".encode("latin-1"))
    step = make_step("one", "1", parameters="name: str = ''")
    assert main([step], home, ["--params", str(path)]) == 2
    errors = capsys.readouterr().err
    assert (
        f"--params {path}, line 2: expected UTF-8, but the byte 0xeb is not valid there" in errors
    )
    command = errors.split("convert it with: ")[1].strip()
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert main([step], home, ["explain", "--params", command.split("> ")[1].strip("'")]) == 0
