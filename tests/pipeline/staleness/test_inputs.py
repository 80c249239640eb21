"""Notebooks, values and folders as they come in the wild."""

import html
import json
import os
import subprocess
import sys

import nbformat
import pytest

from pipeline import main
from pipeline.runs.records import load_all


def page(home, name):
    return html.unescape((home / "reports" / "latest" / f"{name}.html").read_text())


def test_values_come_from_file_environment_and_command_line(make_step, home, tmp_path, monkeypatch):
    cell = "a: str = '0'\nb: str = '0'\nc: str = '0'\nd: list[str] = []\ne: int = 0"
    one = make_step("one", "print('got', a, b, c, d, e)", parameters=cell)
    (tmp_path / "values.yaml").write_text("a: 007\none:\n  b: 1e3\n  d: [01, x]\nc: no\n")
    monkeypatch.setenv("PIPELINE_PARAM_ONE__E", "5")
    monkeypatch.setenv("PIPELINE_PARAM_A", "environment")
    arguments = ["--params", str(tmp_path / "values.yaml"), "-p", "c=line"]
    assert main([one], home, arguments) == 0
    assert "got 007 1e3 line ['01', 'x'] 5" in page(home, "one")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("trails: 1", "there is no parameter 'trails' (FILE); did you mean 'trials'?"),
        ("trials: many", "trials is 'many', expected int"),
        ("- 1", "--params FILE: expected NAME: VALUE, or STEP: {NAME: VALUE}"),
        ("a: [", "--params FILE is no YAML"),
    ],
)
def test_a_wrong_file_is_named(make_step, home, tmp_path, capsys, content, says):
    path = tmp_path / "values.yaml"
    path.write_text(content)
    one = make_step("one", "1", parameters="trials: int = 1")
    assert main([one], home, ["--params", str(path)]) == 2
    assert says.replace("FILE", str(path)) in capsys.readouterr().err
    assert not (home / "var" / "runs").exists()


def test_a_file_that_is_not_there_is_named(make_step, home, capsys):
    assert main([make_step("one", "1")], home, ["--params", "no.yaml"]) == 2
    assert "--params no.yaml: No such file or directory" in capsys.readouterr().err


def test_an_unknown_variable_is_named(make_step, home, capsys, monkeypatch):
    monkeypatch.setenv("PIPELINE_PARAM_TRAILS", "1")
    assert main([make_step("one", "1", parameters="trials: int = 1")], home, []) == 2
    said = capsys.readouterr().err
    assert "there is no parameter 'trails' (PIPELINE_PARAM_TRAILS); did you mean 'trials'?" in said


def test_a_bad_default_is_refused_before_anything_starts(make_step, home, capsys):
    one = make_step("one", "1", parameters="share: Annotated[float, Lt(1)] = 2.0")
    assert main([one], home, []) == 2
    assert "one.ipynb: share's default is 2.0, expected" in capsys.readouterr().err
    assert not (home / "var" / "runs").exists()


def test_help_lists_the_parameters(make_step, home, capsys):
    one = make_step("one", "1", parameters="trials: int = 10  # settings tried")
    with pytest.raises(SystemExit):
        main([one], home, ["--help"])
    assert "trials  int  10  settings tried" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "one.ipynb is no notebook: it is not JSON"),
        ('{"nbformat": 3, "nbformat_minor": 0, "worksheets": []}', "notebook format 3, expected 4"),
    ],
)
def test_what_is_no_notebook_is_one_sentence(make_step, home, capsys, content, says):
    one = make_step("one", "1")
    one.notebook.write_text(content)
    assert main([one], home, []) == 2
    assert says in capsys.readouterr().err


def test_a_missing_notebook_is_one_sentence(make_step, home, capsys):
    one = make_step("one", "1")
    one.notebook.unlink()
    assert main([one], home, []) == 2
    assert f"there is no notebook {one.notebook}" in capsys.readouterr().err


@pytest.mark.slow
def test_an_older_minor_format_and_empty_cells_work(make_step, home):
    one = make_step("one", "", "print('fine')")
    content = json.loads(one.notebook.read_text())
    content["nbformat_minor"] = 2
    for cell in content["cells"]:
        del cell["id"]
    one.notebook.write_text(json.dumps(content))
    assert main([one], home, []) == 0
    assert "fine" in page(home, "one")


def test_magics_and_shell_commands_work(make_step, home):
    one = make_step("one", "%matplotlib inline\n!echo from the shell", "%%bash\necho from bash")
    assert main([one], home, []) == 0
    assert "from the shell" in page(home, "one")
    assert main([one], home, []) == 0


@pytest.mark.slow
def test_a_cell_that_may_fail_is_no_failure(make_step, home):
    one = make_step("one", "1 / 0", "print('on')")
    notebook = nbformat.read(one.notebook, as_version=4)
    notebook.cells[1].metadata["tags"] = ["raises-exception"]
    nbformat.write(notebook, one.notebook)
    assert main([one], home, []) == 0
    assert "on" in page(home, "one")


def test_a_notebook_that_names_no_kernel_gets_python(make_step, home):
    one = make_step("one", "print('fine', n)", parameters="n: int = 1")
    content = json.loads(one.notebook.read_text())
    content["metadata"] = {}
    one.notebook.write_text(json.dumps(content))
    assert main([one], home, ["-p", "n=2"]) == 0
    assert "fine 2" in page(home, "one")


def test_a_module_beside_the_notebook_is_found(make_step, home, tmp_path):
    (tmp_path / "beside.py").write_text("VALUE = 'from beside'\n")
    assert main([make_step("one", "import beside; print(beside.VALUE)")], home, []) == 0
    assert "from beside" in page(home, "one")


@pytest.mark.parametrize("flag", [[], ["--cold"]])
def test_warm_and_cold_kernels_see_the_same_world(make_step, home, flag):
    """The environment, the folder, the path, a clean __main__, and matplotlib's inline figures."""
    one = make_step(
        "one",
        "import numpy as np\nimport matplotlib.pyplot as plt",
        "import os, sys; print(os.environ['PIPELINE_RUN_ID'] in os.environ['PIPELINE_REPORT'])",
        "print(sys.path[0] == '' or sys.path[0] == os.getcwd(), __name__, 'np' in globals(), "
        "sorted(one for one in globals() if 'nursery' in one))",
        "plt.plot([1, 2]);",
    )
    assert main([one], home, flag) == 0
    assert "True __main__ True []" in page(home, "one")
    assert "data:image/png" in page(home, "one")


def test_warm_kernels_do_not_share_random_numbers(make_step, home):
    steps = [make_step(name, "import numpy as np", "np.random.rand()") for name in ("one", "two")]
    assert main(steps, home, []) == 0
    [run] = load_all(home / "var" / "runs")
    drawn = [
        nbformat.read(home / "var" / "runs" / run.id / f"{name}.ipynb", as_version=4)
        .cells[2].outputs[0].data["text/plain"]
        for name in ("one", "two")
    ]  # fmt: skip
    assert drawn[0] != drawn[1]


@pytest.mark.slow
def test_a_kernel_of_another_kind_is_started_as_it_says(make_step, home, tmp_path, monkeypatch):
    """Another interpreter, another language: through TCP, without the nursery."""
    folder = tmp_path / "jupyter" / "kernels" / "other"
    folder.mkdir(parents=True)
    argv = ["/usr/bin/env", sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "other", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    one = make_step("one", "print('from the other')")
    one.notebook.write_text(one.notebook.read_text().replace("python3", "other"))
    assert main([one], home, []) == 0
    assert "from the other" in page(home, "one")
    leaving = make_step("leaving", "exit()", "print('on')")
    leaving.notebook.write_text(leaving.notebook.read_text().replace("python3", "other"))
    assert main([leaving], home, []) == 1
    [run, _] = load_all(home / "var" / "runs")
    assert run.steps[0].failure == "SystemExit: a cell called exit()"
    assert run.steps[0].cell_status == ["ran", "failed", "not run"]


def test_a_run_without_a_reports_folder_to_write_to_does_not_start(make_step, home, capsys):
    home.mkdir(exist_ok=True)
    (home / "reports").write_text("a file")
    assert main([make_step("one", "1")], home, []) == 2
    assert "the run could not start" in capsys.readouterr().err
    assert "reports" in str(list(home.iterdir()))


READ_ONLY = """
mkdir -p {home}/reports && mount -t tmpfs -o ro tmpfs {home}/reports || exit 77
exec {python} {home}/run_pipeline.py
"""


def test_a_read_only_reports_folder_is_one_sentence(
    make_project, make_step, tmp_path, run_in_mount_namespace
):
    make_project(make_step("one", "1"))
    script = READ_ONLY.format(home=tmp_path, python=sys.executable)
    done = run_in_mount_namespace(script)
    assert done.returncode == 2
    assert "the run could not start: [Errno 30] Read-only file system" in done.stderr


@pytest.mark.slow
def test_a_large_output_is_kept_whole(make_step, home):
    one = make_step("one", "print('x' * 50_000_000)", "print('after')")
    assert main([one], home, []) == 0
    [path] = (home / "var" / "runs").glob("*/one.ipynb")
    assert path.stat().st_size > 50_000_000
    assert "after" in page(home, "one")


def test_a_secret_reaches_the_kernel_and_nothing_else(
    make_step, home, tmp_path, monkeypatch, capfd
):
    secret = "p@ss w0rd<&'\"\\end"
    monkeypatch.setenv("TOKEN", secret)
    used = f"open({str(tmp_path / 'used')!r}, 'w').write(token)"
    careless = "import sys, os; print(token); print(repr(token), file=sys.stderr); token"
    failing = "raise ValueError(f'cannot log in with {token}')"
    one = make_step("one", used, careless, failing, parameters="token: str = ''  # the key")
    assert main([one], home, ["-p", "token=env:TOKEN", "--json"]) == 1
    assert (tmp_path / "used").read_text() == secret
    files = [one for one in home.rglob("*") if one.is_file()]
    assert len(files) > 5
    assert [one for one in files if b"p@ss w0rd" in one.read_bytes()] == []
    assert "p@ss w0rd" not in "".join(capfd.readouterr())
    assert "env:TOKEN" in page(home, "one")


def test_a_secret_that_is_not_set_stops_before_anything_starts(
    make_step, home, capsys, monkeypatch
):
    monkeypatch.delenv("TOKEN", raising=False)
    one = make_step("one", "1", parameters="token: str = ''")
    assert main([one], home, ["-p", "token=env:TOKEN"]) == 2
    assert "TOKEN is not set" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["with space", "ünïcode's"])
def test_odd_notebook_names_work(make_step, home, name):
    assert main([make_step(name, "print('fine')")], home, []) == 0
    assert "fine" in page(home, name)


@pytest.mark.slow
def test_the_runner_works_inside_a_notebook_of_its_own(make_step, home, tmp_path, make_notebook):
    """A pipeline may be run from a kernel that another run has started."""
    inner = make_notebook("inner", "print('within')")
    step_, place = f"Step('inner', Path({str(inner)!r}))", f"Path({str(tmp_path / 'in')!r})"
    code = (
        "from pathlib import Path; from pipeline import Step, main; "
        f"print('code', main([{step_}], {place}, []))"
    )
    cell = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)"
    assert main([make_step("one", cell)], home, []) == 0
    assert "within" in page(tmp_path / "in", "inner")
    assert os.environ.get("PIPELINE_RUN_ID") is None


@pytest.mark.slow
@pytest.mark.parametrize("flag", [[], ["--cold"]])
def test_our_modules_are_imported_by_the_kernel_itself(
    make_step, home, tmp_path, flag, monkeypatch
):
    """What they do when they are imported, they do in the notebook's folder and environment."""
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
    for part in ("imported", "a line of the log", f"here True reports/{run.id}/one.html"):
        assert part in page(home, "one")


def test_a_display_may_be_updated_after_prints(make_step, home):
    prints = "import time\nfor n in range(3):\n    print(n, flush=True); time.sleep(0.2)"
    shown = f"{prints}\nh = display('OLD', display_id='h')\ndisplay('KEEP');"
    one = make_step("one", shown, "h.update('NEW')")
    assert main([one], home, []) == 0
    assert "NEW" in page(home, "one")
    assert "KEEP" in page(home, "one")
    assert "OLD" not in page(home, "one").split("code</summary>")[0]


@pytest.mark.parametrize("told", ['{"headline": [1]}', "[1]", '{"read": null}', "{"])
def test_a_malformed_hand_over_is_one_failed_step(make_step, home, capsys, told):
    cell = f"import os; open(os.environ['PIPELINE_HANDOVER'], 'w').write({told!r})"
    assert main([make_step("one", cell)], home, []) == 1
    assert "its result could not be recorded" in capsys.readouterr().out
    assert main([make_step("one", "1")], home, []) == 0


@pytest.mark.slow
def test_notebooks_of_one_name_and_odd_values_get_files_of_their_own(make_step, home, tmp_path):
    one = make_step("one", "print('this is', n)", parameters="n: str = ''")
    (tmp_path / "other").mkdir()
    two = make_step("two", "print('that')")
    two.notebook.rename(tmp_path / "other" / "one.ipynb")
    two = two._replace(notebook=tmp_path / "other" / "one.ipynb")
    assert main([one, two], home, ["--sweep", f"one.n=a b,a-b,a/b,{'x' * 300}"]) == 0
    [run] = load_all(home / "var" / "runs")
    pages = [(home / "reports" / run.id / one.report).read_text() for one in run.steps]
    for said, content in zip(["a b", "a-b", "a/b", "x" * 300], pages, strict=False):
        assert f"this is {said}\n" in content
    assert "that" in pages[4]


def test_lists_of_dates_reach_the_notebook(make_step, home):
    cell = "from datetime import date\n\ndays: list[date] = []"
    one = make_step("one", "print([one.year for one in days])", parameters=cell)
    assert main([one], home, ["-p", 'days=["2026-11-23", "1990-01-01"]']) == 0
    assert "[2026, 1990]" in page(home, "one")


def test_no_secret_leaves_by_the_back_door(make_step, home, monkeypatch, capfd):
    """The hand-over, the kernel's own stderr, a long text cut short, a default."""
    secret = "hush-" + "0123456789" * 6
    monkeypatch.setenv("TOKEN", secret)
    cell = (
        "import json, os; os.write(2, token.encode()); "
        "told = {'headline': {'key': token}, 'notice': token}; "
        "open(os.environ['PIPELINE_HANDOVER'], 'w').write(json.dumps(told))"
    )
    table = "import pandas as pd; pd.DataFrame({'key': [token]})"
    one = make_step("one", cell, table, parameters="token: str = 'env:TOKEN'")
    assert main([one], home, ["--json"]) == 0
    leaks = [
        one for one in home.rglob("*") if one.is_file() and b"hush-0123456789" in one.read_bytes()
    ]
    assert leaks == []
    assert "hush-0123456789" not in "".join(capfd.readouterr())


def test_too_few_jobs_are_refused(make_step, home, capsys):
    assert main([make_step("one", "1")], home, ["--jobs", "0"]) == 2
    assert "--jobs is 0, expected at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_reader_that_leaves_does_not_stop_the_run(make_project, make_step):
    made = make_project(make_step("one", "1"), make_step("two", "2"))
    command = f"{sys.executable} run_pipeline.py | head -1"
    subprocess.run(command, shell=True, cwd=made.folder, check=True, capture_output=True)
    assert made.latest_record.status == "done"


def test_all_that_is_wrong_is_told_together(make_step, home, tmp_path, capsys):
    (tmp_path / "values.yaml").write_text("- 1")
    arguments = "-p noequals --only trian --force prp -p trails=1 -p trials=many --jobs 0"
    arguments += f" --accept tran --sweep odd --params {tmp_path / 'values.yaml'}"
    one = make_step("train", "1", parameters="trials: int = 1")
    assert main([one], home, arguments.split()) == 2
    said = capsys.readouterr().err
    for problem in (
        "-p noequals: expected NAME=VALUE",
        "--sweep odd: expected NAME=VALUE",
        "there is no step 'trian'; did you mean 'train'?",
        "there is no step 'prp'",
        "there is no step 'tran'; did you mean 'train'?",
        "there is no parameter 'trails'; did you mean 'trials'?",
        "trials is 'many', expected int",
        "--jobs is 0, expected at least 1",
        "values.yaml: expected NAME: VALUE",
    ):
        assert said.count(problem) == 1
    assert not (home / "var" / "runs").exists()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_values_in_any_unicode_are_read(make_step, home, tmp_path, encoding):
    path = tmp_path / "values.yaml"
    path.write_bytes("# ünïcode\nname: Zoë\n".encode(encoding))
    one = make_step("one", "print('I am', name)", parameters="name: str = ''")
    assert main([one], home, ["--params", str(path)]) == 0
    assert "I am Zoë" in page(home, "one")


def test_a_file_in_another_encoding_is_named_with_the_way_out(make_step, home, tmp_path, capsys):
    path = tmp_path / "my values.yaml"
    path.write_bytes("# values\nname: Zoë\n".encode("latin-1"))
    one = make_step("one", "1", parameters="name: str = ''")
    assert main([one], home, ["--params", str(path)]) == 2
    said = capsys.readouterr().err
    assert f"--params {path}, line 2: expected UTF-8, but 0xeb is no letter of it" in said
    way_out = said.split("to convert it: ")[1].strip()
    subprocess.run(way_out, shell=True, check=True, cwd=tmp_path)
    assert main([one], home, ["--params", way_out.split("> ")[1].strip("'")]) == 0
