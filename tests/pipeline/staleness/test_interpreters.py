"""Projects in the folder of their interpreter, run by it: what is theirs is tracked."""

import os
import shutil
import subprocess
import sys
import sysconfig
import uuid
from pathlib import Path

import pytest

from pipeline.staleness.access_kinds import RUNNER_PACKAGE
from tests.pipeline.conftest import RUN_PIPELINE_TEMPLATE, write_notebook

CELL = "import helper, os\nfrom lib import tools\nopen('data/a.csv').read(), os.listdir('data')"
FILES = {"helper.py": "X = 1", "lib/tools.py": "Y = 1", "data/a.csv": "1"}
REASONS = {  # a file that is changed or added -> what must be said of it
    "helper.py": "module helper.py was edited",
    "lib/tools.py": "module lib/tools.py was edited",
    "data/a.csv": "input data/a.csv is altered",
    "data/b.csv": "folder data has b.csv, which is new",
}


def make_environment(folder):
    """Make a virtual environment that has the packages of this one; return its interpreter."""
    command = [sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", folder]
    subprocess.run(command, check=True)
    [site_packages] = folder.glob("lib/python*/site-packages")
    package_folders = [sysconfig.get_path("purelib"), str(RUNNER_PACKAGE.parent)]
    (site_packages / "packages.pth").write_text("\n".join(package_folders))
    return folder / "bin" / "python"


@pytest.fixture
def folder_in_base_prefix():
    """Return a folder for a project, below that of the Python that environments are made of."""
    folder = Path(sys.base_prefix, "share", f"project-{uuid.uuid4().hex}")
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(reason=f"{folder} cannot be made ({error})")
    yield folder
    shutil.rmtree(folder)


def write_project(folder):
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    write_notebook(folder, "one", CELL)
    step = "Step('one', HERE / 'one.ipynb')"
    (folder / "run_pipeline.py").write_text(RUN_PIPELINE_TEMPLATE.format(steps=step))


def check_project(folder, interpreter):
    """Run the project; then change one file after the other, and check the reasons to run."""

    def run(*arguments):
        completed = subprocess.run(
            [interpreter, "run_pipeline.py", *arguments],
            **{"cwd": folder, "capture_output": True, "text": True, "timeout": 120},
            env={**os.environ, "JUPYTER_PATH": f"{sys.prefix}/share/jupyter"},
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout

    run()
    assert "nothing to do" in run()
    for name, reason in REASONS.items():
        (folder / name).write_text(FILES.get(name, "").replace("1", "2"))
        assert reason in run("explain")
        if name in FILES:
            (folder / name).write_text(FILES[name])
        else:
            (folder / name).unlink()
    assert "skip" in run("explain")
    [state_file] = (folder / "var" / "steps").glob("one*.json")
    assert "site-packages" not in state_file.read_text()


@pytest.mark.slow
def test_a_project_whose_folder_is_its_environment_is_tracked(tmp_path):
    interpreter = make_environment(tmp_path)
    write_project(tmp_path)
    check_project(tmp_path, interpreter)


@pytest.mark.slow
def test_a_project_in_the_folder_of_the_base_interpreter_is_tracked(folder_in_base_prefix):
    write_project(folder_in_base_prefix)
    check_project(folder_in_base_prefix, sys.executable)
