"""Small notebooks to run, made on the spot."""

import nbformat
import pytest

from pipeline import Step


@pytest.fixture
def notebook(tmp_path):
    """Makes a notebook of the given code cells; the first is tagged parameters if asked."""

    def make(name, *cells, parameters=None):
        sources = [parameters, *cells] if parameters else cells
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in sources])
        made.cells.insert(0, nbformat.v4.new_markdown_cell(f"# The {name} report"))
        if parameters:
            made.cells[1].metadata["tags"] = ["parameters"]
        made.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
        path = tmp_path / f"{name}.ipynb"
        nbformat.write(made, path)
        return path

    return make


@pytest.fixture
def step(notebook):
    """Makes a step of one notebook: `step("prep", "1 + 1")`."""

    def make(name, *cells, parameters=None):
        return Step(name, notebook(name, *cells, parameters=parameters))

    return make
