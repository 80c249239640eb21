"""Links from the report of one notebook to that of another."""

import html
import re
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup

from pipeline.report.run_pages import RunPages
from pipeline.runs.status import StepStatus
from tests.pipeline.report.conftest import executed_cell, executed_notebook


@pytest.fixture
def linked_targets(home, project, record_run):
    """Write the report of the first step alone: `linked_targets(links, train=notebook)`.

    links: Markdown of that step; None in place of a notebook: the step has not run. Returns (file,
    anchor) of each link. There are ten more steps, so that a page names only those beside its step.
    """
    (home / "notebooks").mkdir()

    def write(links, **notebooks):
        first = executed_notebook("# Prep", links)
        first.metadata["papermill"] = {"input_path": str(home / "notebooks" / "01_prep.ipynb")}
        others = {f"filler{number}": executed_notebook() for number in range(10)}
        steps = {"01_prep": first, **others, **notebooks}
        for name in steps:
            (home / "notebooks" / f"{name}.ipynb").touch()
        run = record_run(
            "20261101-01", **{name: nb or executed_notebook() for name, nb in steps.items()}
        )
        for step in run.steps:
            if steps[step.name] is None:
                step.status = StepStatus.NOT_RUN
                project.workspace.executed_notebook(run.id, step.name).unlink()
        pages = RunPages(project, run, single_file=False)
        pages.write_step(run.steps[0])
        pages.write_step(run.steps[-1])
        folder = project.workspace.report_folder(run.id)
        main = (folder / "01_prep.html").read_text().partition("<main")[2].partition("<footer")[0]
        hrefs = [html.unescape(href) for href in re.findall(r'<a href="([^"]+)"', main)]
        targets = [tuple(map(unquote, href.partition("#")[::2])) for href in hrefs]
        assert all((folder / name).exists() for name, _ in targets)
        return targets

    return write


def test_a_link_to_a_heading_of_another_notebook_leads_there(home, project, linked_targets):
    expected_headings = {
        "1-the-best-model": "1. The best model",
        "1.-The-best-model": "1. The best model",
        "1.%20The%20best%20model": "1. The best model",
        "same": "Same",
        "Same": "Same",
        "same-1": "Same, second",
        "a-bold-move": "A bold move",
        "%C3%BCber--code-": "Über & code",
        "code": "Code",
        "main": "Main",
    }
    links = " ".join(f"[x](02_train.ipynb#{fragment})" for fragment in expected_headings)
    train = executed_notebook(
        "# Train", "## 1. The best model", "## Same", "## Same\n\nsecond", "## A <b>bold</b> move",
        "## Über & `code` 🚀", "## Code", "## Main",
    )  # fmt: skip
    train.metadata["papermill"] = {"input_path": str(home / "notebooks" / "02_train.ipynb")}
    targets = linked_targets(links, **{"02_train": train})
    assert {name for name, _ in targets} == {"02_train.html"}
    page = BeautifulSoup(
        (project.workspace.report_folder("20261101-01") / "02_train.html").read_text(),
        "html.parser",
    )
    for (_, anchor), heading in zip(targets, expected_headings.values(), strict=True):
        [element] = page.find_all(id=anchor)
        element = (
            element
            if element.name == "h2"
            else element.find_parent("h2") or element.find_previous("h2")
        )
        text, _, paragraph = heading.partition(", ")
        assert text in element.get_text(), anchor
        if text == "Same":
            assert bool(element.find_next_sibling("p")) == bool(paragraph), anchor


def test_a_link_means_the_step_that_executed_the_notebook(home, linked_targets):
    def executed_at(path):
        notebook = executed_notebook(executed_cell("1"))
        notebook.metadata["papermill"] = {"input_path": str(path)}
        return notebook

    folder = home / "notebooks"
    notebooks = {
        "train-final": None,
        "train": executed_at(folder / "train.ipynb"),
        "moved": executed_at("/of/an/earlier/place/moved.ipynb"),
        "later": None,
        "other": executed_at(folder / "named otherwise.ipynb"),
        "sweep-n-1": None,
    }
    (folder / "named otherwise.ipynb").touch()
    links = "[a](train.ipynb) [b](moved.ipynb) [c](later.ipynb) [d](<named otherwise.ipynb>)"
    targets = linked_targets(f"{links} [e](other.ipynb) [f](sweep.ipynb)", **notebooks)
    names = [name for name, _ in targets]
    assert names == ["train.html", "moved.html", "later.html", "other.html"]
