"""What a script says that was started by a Python without the packages, or too old a one."""

import ast
import os
import shutil
import subprocess
import sys

import pytest

from housing.paths import PROJECT_ROOT
from pipeline import startup

OLDEST_PYTHON = (3, 6)
SCRIPT = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from pipeline import Step, main
sys.exit(main([Step("one", Path("one.ipynb"))], Path.cwd()))
"""


@pytest.fixture
def script(tmp_path, make_notebook):
    """A project's script, in a folder with a notebook."""
    make_notebook("one", "1")
    path = tmp_path / "run it.py"
    path.write_text(SCRIPT.format(root=str(PROJECT_ROOT)))
    return path


def start_without_packages(script, *arguments, **environment):
    """Start the script by a Python that sees no installed package."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-S", script.name, *arguments],
        cwd=script.parent,
        env={**kept, "VIRTUAL_ENV": "", "CONDA_PREFIX": "", **environment},
        capture_output=True,
        text=True,
    )


def make_environment(folder):
    interpreter = folder / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.touch()
    return interpreter


def test_the_environment_beside_the_script_is_named(script):
    make_environment(script.parent / ".venv")
    completed = start_without_packages(script, "--only", "one", "-p", "text=a b")
    assert (completed.returncode, completed.stdout) == (2, "")
    [line] = completed.stderr.splitlines()
    assert "has no papermill, nbclient, nbconvert and 7 more packages; start it with: " in line
    assert line.endswith(".venv/bin/python 'run it.py' --only one -p 'text=a b'")


def test_the_active_environment_is_named(script, tmp_path):
    interpreter = make_environment(tmp_path.parent / f"{tmp_path.name} conda")
    completed = start_without_packages(script, CONDA_PREFIX=str(interpreter.parents[1]))
    assert completed.returncode == 2
    assert completed.stderr.strip().endswith(f"start it with: '{interpreter}' 'run it.py'")


def test_without_an_environment_the_way_to_one_is_named(script):
    completed = start_without_packages(script)
    assert completed.returncode == 2
    assert "-m pip install" in completed.stderr
    (script.parent / "Makefile").touch()
    assert start_without_packages(script).stderr.strip().endswith("starts it: make run")


def test_the_project_s_own_script_says_it_too(tmp_path):
    completed = subprocess.run(
        [sys.executable, "-S", "run_pipeline.py"], cwd=PROJECT_ROOT, capture_output=True, text=True
    )
    assert completed.returncode == 2
    assert len(completed.stderr.splitlines()) == 1
    assert "has no " in completed.stderr


def test_an_error_in_the_project_s_own_modules_is_not_hidden(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "run.py")])
    (tmp_path / "ours").mkdir()
    with pytest.raises(ModuleNotFoundError):
        startup.explain_import_error(ModuleNotFoundError("no ours.typo", name="ours.typo"))
    with pytest.raises(TypeError):
        startup.explain_import_error(TypeError("a fault"))
    with pytest.raises(SystemExit):
        startup.explain_import_error(ModuleNotFoundError("no numpy", name="numpy"))


def test_an_old_python_is_told_so(monkeypatch, capsys):
    monkeypatch.setattr(startup, "MIN_PYTHON", (99, 0))
    with pytest.raises(SystemExit) as exit_error:
        startup.explain_import_error(TypeError("unsupported operand type(s) for |"))
    assert exit_error.value.code == 2
    assert "is too old: 99.0 or newer is needed; " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["run_pipeline.py", "pipeline/__init__.py", "pipeline/startup.py"])
def test_what_an_old_python_reads_is_in_its_syntax(name):
    tree = ast.parse((PROJECT_ROOT / name).read_text(), feature_version=OLDEST_PYTHON)
    assert tree.body


@pytest.mark.slow
def test_each_python_here_says_it(script):
    for name in ("python3.6", "python3.8", "python3.9", "python3.10"):
        interpreter = shutil.which(name)
        # a shim may stand for an interpreter that is not there
        if (
            interpreter
            and subprocess.run([interpreter, "-c", ""], capture_output=True).returncode == 0
        ):
            completed = subprocess.run([interpreter, script], capture_output=True, text=True)
            assert "is too old" in completed.stderr
