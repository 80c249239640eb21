"""A finished project that is copied or moved: nothing has to run again there."""

import shutil
import subprocess
import sys

import pytest

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


@pytest.fixture
def finished_project(make_project, make_step, tmp_path):
    """A project whose steps depend on a file, a folder, modules and each other; it has run."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "in.txt").write_text("in")
    (tmp_path / "helper.py").write_text("SUFFIX = '!'\n")
    (tmp_path / "plugin.py").write_text("VALUE = 2\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "module.py").write_text("VALUE = 1\n")
    project = make_project(make_step("write", WRITE, FIND_PLUGIN), make_step("read", READ))
    exit_code, output = project.run()
    assert exit_code == 0, output
    return project


def copy_project(project, target):
    """Copy as `cp -r` does: all files get new times."""
    shutil.copytree(project.folder, target, symlinks=True, copy_function=shutil.copy)
    return target


def run_script(folder, *arguments):
    command = [sys.executable, "run_pipeline.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_a_copy_of_a_finished_project_is_up_to_date(finished_project, tmp_path_factory):
    copy = copy_project(finished_project, tmp_path_factory.mktemp("elsewhere") / "copy")
    lines = run_script(copy, "explain").splitlines()
    assert [line.split()[:2] for line in lines] == [["write", "skip"], ["read", "skip"]]
    assert "nothing to do" in run_script(copy)


def test_a_moved_project_is_up_to_date_and_sees_its_own_changes(finished_project, tmp_path_factory):
    moved = copy_project(finished_project, tmp_path_factory.mktemp("elsewhere") / "moved")
    for path in finished_project.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "nothing to do" in run_script(moved)
    (moved / "package" / "module.py").write_text("VALUE = 3\n")
    assert "write      run   module package/module.py was edited" in run_script(moved, "explain")
    (moved / "package" / "module.py").write_text("VALUE = 1\n")
    (moved / "plugin.py").write_text("VALUE = 3\n")
    assert "write      run   module plugin.py was edited" in run_script(moved, "explain")
    (moved / "plugin.py").write_text("VALUE = 2\n")
    (moved / "data" / "more.txt").touch()
    assert "folder data has more.txt, which is new" in run_script(moved, "explain")


def test_many_reasons_are_shortened(finished_project):
    for number in range(20):
        (finished_project.folder / "package" / f"module{number}.py").write_text("VALUE = 1\n")
    imports = "\n".join(f"import package.module{number}" for number in range(20))
    (finished_project.folder / "helper.py").write_text(f"SUFFIX = '!'\n{imports}\n")
    first_line = run_script(finished_project.folder, "explain").splitlines()[0]
    assert first_line.endswith(" and 18 more")
    assert len(first_line) < 200
