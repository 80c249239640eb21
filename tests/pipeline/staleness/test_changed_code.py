"""What is no part of a cell's syntax tree, and what is not there yet, in real runs."""

import json
import os
import shutil

import nbformat
import pytest

pytestmark = pytest.mark.slow

OPTIONAL_IMPORT = """
import helper
try:
    import late_package
except ImportError:
    late_package = None
print(late_package)
"""
SEARCH_PLUGINS = """
import importlib
for number in (1, 2):
    try:
        importlib.import_module(f"late_plugin_{number}")
    except ImportError:
        pass
"""


def edit_cell(path, index, **changes):
    """Change the source or the tags of a cell; add a cell if there is none of that index."""
    notebook = nbformat.read(path, as_version=4)
    if index == len(notebook.cells):
        notebook.cells.append(nbformat.v4.new_code_cell())
    cell = notebook.cells[index]
    cell.source = changes.get("source", cell.source)
    cell.metadata.tags = changes.get("tags", [])
    nbformat.write(notebook, path)


def test_a_change_beside_the_syntax_tree_is_noticed_and_then_settled(
    make_step, make_project, tmp_path
):
    (tmp_path / "helper.py").write_text('"""Old."""\n')
    packages = tmp_path / "env" / "site-packages"
    packages.mkdir(parents=True)
    step = make_step("one", OPTIONAL_IMPORT, "40 + 2;", "1 / 1", SEARCH_PLUGINS)
    project = make_project(step)
    environment = {"PYTHONPATH": f"{packages}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}

    def run(*arguments):
        exit_code, output = project.run(*arguments, **environment)
        assert exit_code == 0, output
        return output

    run()
    assert "nothing to do" in run()

    edit_cell(step.notebook, 5, source="# only a comment")
    (tmp_path / "helper.py").write_text('"""New."""\n')
    assert "nothing to do" in run()

    (packages / "late_package.py").write_text("")
    (tmp_path / "late_plugin_2.py").write_text("")
    metadata = packages / "late_package-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: late-package\nVersion: 1.2\n")
    (metadata / "RECORD").write_text("late_package.py,,\n")
    explanation = run("explain")
    assert "package late_package: none -> 1.2" in explanation
    assert f"package late_plugin_2: none -> {tmp_path / 'late_plugin_2.py'}" in explanation

    edit_cell(step.notebook, 2, source="40 + 2")
    edit_cell(step.notebook, 3, tags=["skip-execution"])
    explanation = run("explain")
    assert "cell 3 (The one report) was edited" in explanation
    assert "cell 4 (The one report) has other tags" in explanation

    run()
    assert "nothing to do" in run()
    cells = project.executed_notebook("one").cells
    assert cells[2].outputs[0].data["text/plain"] == "42"
    assert not cells[3].outputs
    [record] = project.latest_record.steps
    assert record.cell_status[3] == "skipped by its tag"
    assert record.cells_done == record.cells == 6
    assert "cell 4: skipped by its tag" in project.report_html("one")
    assert "late_package.py" in cells[1].outputs[0].text


IMPORT_REQUIRING = """
import importlib
from pathlib import Path

import table

importlib.import_module("_".join(["lazy", "sheet"]))
try:
    import late_package
except ImportError:
    SOURCES = Path(table.__file__).parent
    (SOURCES / "late_package.py").write_text("")
"""


def test_a_package_that_another_needs_and_one_installed_meanwhile_are_noticed(
    make_step, make_project, tmp_path
):
    packages = tmp_path / "env" / "site-packages"
    packages.mkdir(parents=True)

    def install(name, version, source="", metadata=""):
        for folder in packages.glob(f"{name}-*.dist-info"):
            shutil.rmtree(folder)
        (packages / f"{name}.py").write_text(source)
        folder = packages / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n{metadata}")
        (folder / "RECORD").write_text(f"{name}.py,,\n")

    install("base_numbers", "1.0")
    install("lazy_sheet", "1.0")
    install("unused", "1.0")
    install(
        "table",
        "1.0",
        "import base_numbers, six",
        "Requires-Dist: base-numbers\nRequires-Dist: six\nRequires-Dist: unused ; extra == 'dev'\n",
    )
    project = make_project(make_step("one", IMPORT_REQUIRING))
    environment = {"PYTHONPATH": f"{packages}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}

    def run(*arguments):
        exit_code, output = project.run(*arguments, **environment)
        assert exit_code == 0, output
        return output

    run()
    state = json.loads((tmp_path / "var" / "steps" / "one.json").read_text())
    assert state["packages"]["late_package"] == "none"
    assert set(state["required_packages"]) == {"base_numbers", "lazy_sheet", "six"}, state
    assert "package late_package: none -> " in run("explain")
    run()
    assert "nothing to do" in run()
    install("unused", "2.0")
    assert "nothing to do" in run()
    install("base_numbers", "2.0")
    install("lazy_sheet", "1.5")
    explanation = run("explain")
    assert "package base_numbers: 1.0 -> 2.0 (needed by another package)" in explanation
    assert "package lazy_sheet: 1.0 -> 1.5 (needed by another package)" in explanation
