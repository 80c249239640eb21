"""What the service says that was started by a Python without its packages, or too old a one."""

import ast
import shutil
import subprocess
import sys

import pytest

from app import startup
from housing.paths import PROJECT_ROOT

OLDEST_PYTHON = (3, 7)
FILES = ("__init__.py", "__main__.py", "startup.py")


def start_without_packages(folder):
    """Start the service of a checkout by a Python that sees no installed package."""
    return subprocess.run(
        [sys.executable, "-S", "-m", "app", "--an option"],
        cwd=folder,
        env={},
        capture_output=True,
        text=True,
    )


def test_a_python_without_the_packages_names_the_command_that_works(tmp_path):
    (tmp_path / "app").mkdir()
    for name in FILES:
        shutil.copy(PROJECT_ROOT / "app" / name, tmp_path / "app")
    completed = start_without_packages(tmp_path)
    assert (completed.returncode, completed.stdout) == (2, "")
    [line] = completed.stderr.splitlines()
    assert "has no uvicorn; install what it needs: " in line
    assert line.endswith(" -m pip install -r requirements-serve.txt")
    (tmp_path / "Makefile").touch()
    line = start_without_packages(tmp_path).stderr.strip()
    assert line.endswith("; this sets up what it needs and starts it: make serve")
    interpreter = tmp_path / ".venv" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.touch()
    line = start_without_packages(tmp_path).stderr.strip()
    assert line.endswith("; start it with: .venv/bin/python -m app '--an option'")


def test_an_error_in_the_project_s_own_modules_is_not_hidden():
    with pytest.raises(ModuleNotFoundError):
        startup.explain_import_error(ModuleNotFoundError("no app.typo", name="app.typo"), "app")
    with pytest.raises(TypeError):
        startup.explain_import_error(TypeError("a fault"), "app")


def test_an_old_python_is_named(monkeypatch, capsys):
    monkeypatch.setattr(startup, "MIN_PYTHON", (99, 0))
    with pytest.raises(SystemExit) as exit_error:
        startup.explain_import_error(TypeError("unsupported operand type(s) for |"), "app")
    assert exit_error.value.code == 2
    assert "is too old: 99.0 or newer is needed; " in capsys.readouterr().err


@pytest.mark.parametrize("name", FILES)
def test_what_an_old_python_reads_is_in_its_syntax(name):
    text = (PROJECT_ROOT / "app" / name).read_text()
    assert ast.parse(text, feature_version=OLDEST_PYTHON).body
