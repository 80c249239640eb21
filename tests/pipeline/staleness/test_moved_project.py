"""A finished project that is copied or moved: nothing has to run again there."""

import shutil
import subprocess
import sys

import pytest

from pipeline import Step
from tests.pipeline.conftest import write_notebook

WRITE = (
    "import os\n"
    "from pathlib import Path\n"
    "import helper\n"
    "from package.module import VALUE\n"
    "names = os.listdir('data')\n"
    "Path('out.txt').write_text(Path('data/in.txt').read_text() + helper.SUFFIX + str(VALUE))"
)
FIND_PLUGIN = "import importlib\nimportlib.import_module('plug' + 'in').VALUE"
READ = "print(open('out.txt').read())"


RUN_PIPELINE = """
import sys
from pathlib import Path

from pipeline import Step, main

HERE = Path(__file__).parent
sys.exit(main([Step("write", HERE / "write.ipynb"), Step("read", HERE / "read.ipynb")], HERE))
"""


def write_project(folder):
    """Write steps that depend on a file, a folder, modules and each other; return them."""
    (folder / "data").mkdir()
    (folder / "data" / "in.txt").write_text("in")
    (folder / "helper.py").write_text("SUFFIX = '!'\n")
    (folder / "plugin.py").write_text("VALUE = 2\n")
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").touch()
    (folder / "package" / "module.py").write_text("VALUE = 1\n")
    (folder / "run_pipeline.py").write_text(RUN_PIPELINE)
    return [
        Step("write", write_notebook(folder, "write", WRITE, FIND_PLUGIN)),
        Step("read", write_notebook(folder, "read", READ)),
    ]


@pytest.fixture(scope="module")
def finished_project(run_once):
    """The folder of a project that has run."""
    return run_once(write_project)


def copy_project(folder, target):
    """Copy as `cp -r` does: all files get new times."""
    return shutil.copytree(folder, target, symlinks=True, copy_function=shutil.copy)


def run_script(folder, *arguments):
    command = [sys.executable, "run_pipeline.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_a_copy_of_a_finished_project_is_up_to_date(finished_project, tmp_path_factory):
    copy = copy_project(finished_project, tmp_path_factory.mktemp("elsewhere") / "copy")
    lines = run_script(copy, "explain").splitlines()
    assert [line.split()[:2] for line in lines] == [["write", "skip"], ["read", "skip"]]
    assert "nothing to do" in run_script(copy)


def test_a_moved_project_is_up_to_date_and_sees_its_own_changes(finished_project, tmp_path_factory):
    first_copy = copy_project(finished_project, tmp_path_factory.mktemp("here") / "copy")
    moved = copy_project(first_copy, tmp_path_factory.mktemp("elsewhere") / "moved")
    shutil.rmtree(first_copy)
    assert "nothing to do" in run_script(moved)
    (moved / "package" / "module.py").write_text("VALUE = 3\n")
    assert "write      run   module package/module.py was edited" in run_script(moved, "explain")
    (moved / "package" / "module.py").write_text("VALUE = 1\n")
    (moved / "plugin.py").write_text("VALUE = 3\n")
    assert "write      run   module plugin.py was edited" in run_script(moved, "explain")
    (moved / "plugin.py").write_text("VALUE = 2\n")
    (moved / "data" / "more.txt").touch()
    assert "folder data has more.txt, which is new" in run_script(moved, "explain")


def test_many_reasons_are_shortened(finished_project, tmp_path):
    folder = copy_project(finished_project, tmp_path / "copy")
    for number in range(20):
        (folder / "package" / f"module{number}.py").write_text("VALUE = 1\n")
    imports = "\n".join(f"import package.module{number}" for number in range(20))
    (folder / "helper.py").write_text(f"SUFFIX = '!'\n{imports}\n")
    first_line = run_script(folder, "explain").splitlines()[0]
    assert first_line.endswith(" and 18 more")
    assert len(first_line) < 200
