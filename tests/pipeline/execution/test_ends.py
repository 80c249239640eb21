"""Each kind of end that a step can have: what terminal, record and page say of it."""

import html
import json
import os
import re
import subprocess
import sys
from typing import NamedTuple

import nbformat
import pytest

from pipeline.runs import records
from tests.pipeline.conftest import write_notebook

SCRIPT = """
import sys
from pathlib import Path
from pipeline import Step, main
HERE = Path(__file__).parent
OPTIONS = {options!r}
STEPS = [Step(name, HERE / (name + ".ipynb"), (), **OPTIONS.get(name, {{}})) for name in {names!r}]
STEPS.append(Step("after", HERE / "after.ipynb", ("raised",)))
sys.exit(main(STEPS, HERE))
"""
OPTIONS = {
    "slow": {"time_limit": 2.0},
    "big": {"memory_limit": 0.3},
    "recovered": {"retries": 1, "backoff": 0.1},
}
FAIL_ONCE = (
    "import os, pathlib\nmark = pathlib.Path('mark')\n"
    "if not mark.exists():\n    mark.touch()\n    os._exit(3)"
)


class End(NamedTuple):
    """A notebook's code cells, and what is to be said of its end."""

    cells: tuple[str, ...]
    status: str
    failed_cell: int | None  # from 1; the title is the first cell, the parameters are the second
    extent: str  # on the page
    failure: str
    advice: str = ""
    absent: str = "the cell above"


JUPYTER = "in JupyterLab and run it up to cell {} (set n = 3 in its parameters cell)"
ENDS = {
    "done": End(("n",), "done", None, "", "", absent="What to do"),
    "raised": End(
        ("1", "1 / 0", "2"),
        "failed",
        4,
        "failed after 3 of 5 cells",
        "ZeroDivisionError: division by zero",
        JUPYTER.format(4),
        "when it last worked",
    ),
    "imported": End(
        ("import nothing_here",), "failed", 3, "after 2 of 3", "No module named", JUPYTER.format(3)
    ),
    "grouped": End(
        ("raise ExceptionGroup('several', [ValueError('a')])",),
        "failed",
        3,
        "after 2 of 3",
        "ExceptionGroup: several (1 sub-exception)",
    ),
    "misspelt": End(("x = = 2",), "failed", 3, "after 2 of 3", "SyntaxError: invalid syntax (line"),
    "exited": End(
        ("import os; os._exit(3)",),
        "killed",
        3,
        "was killed after 2 of 3",
        "the kernel exited with code 3",
        JUPYTER.format(3),
    ),
    "killed": End(
        ("import os; os.kill(os.getpid(), 9)",),
        "killed",
        3,
        "was killed after 2 of 3",
        "SIGKILL",
        "let the step hold less at a time",
        "memory_limit",
    ),
    "slow": End(
        ("import time; time.sleep(60)",),
        "timed out",
        3,
        "timed out after 2 of 3",
        "its limit of 2 s",
        "raise time_limit of the step slow",
    ),
    "big": End(
        ("b = bytearray(10**9)\nimport time; time.sleep(60)",),
        "killed",
        3,
        "was killed after 2 of 3",
        "its limit is 0.3 GB",
        "raise memory_limit of the step big",
    ),
    "recovered": End((FAIL_ONCE,), "done", None, "Attempt 1 killed", "", absent="What to do"),
    "expected": End(("1 / 0", "2"), "done", None, "", "", absent="What to do"),
    "dead": End(
        ("1",),
        "failed",
        None,
        "failed before its first cell",
        "the kernel died before it was ready",
        "--kernel dead=NAME runs the step in another one",
        "in JupyterLab",
    ),
    "missing": End(
        ("1",), "failed", None, "failed before its first cell", "no-such-engine", "kernelspec list"
    ),
}
KERNELS = {
    "dead": ["/bin/sh", "-c", "echo cannot start the engine >&2; exit 4"],
    "missing": ["no-such-engine", "{connection_file}"],
}


class Ends(NamedTuple):
    """What a run with a step of each kind has left."""

    run: records.RunRecord
    output: str
    shown: str
    pages: dict[str, str]  # texts by step


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """Run a step of each kind."""
    folder = tmp_path_factory.mktemp("ends")
    for name, end in ENDS.items():
        path = write_notebook(folder, name, *end.cells, parameters="n: int = 1")
        notebook = nbformat.read(path, as_version=4)
        if name in KERNELS:
            notebook.metadata["kernelspec"]["name"] = name
        if name == "expected":
            notebook.cells[2].metadata["tags"] = ["raises-exception"]
        nbformat.write(notebook, path)
    for name in ("empty", "text"):
        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_markdown_cell("only words")] if name == "text" else []
        nbformat.write(notebook, folder / f"{name}.ipynb")
    write_notebook(folder, "after", "1")
    for name, command in KERNELS.items():
        spec = {"argv": command, "display_name": name, "language": "python"}
        (folder / "share" / "kernels" / name).mkdir(parents=True)
        (folder / "share" / "kernels" / name / "kernel.json").write_text(json.dumps(spec))
    names = [*ENDS, "empty", "text"]
    (folder / "run_pipeline.py").write_text(SCRIPT.format(options=OPTIONS, names=names))
    environment = {**os.environ, "JUPYTER_PATH": str(folder / "share")}

    def start(*arguments):
        command = [sys.executable, "run_pipeline.py", *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    completed = start("-p", "n=3", "--jobs", "2")
    assert completed.returncode == 1, completed.stderr
    [run] = records.load_all(folder / "var" / "runs")
    pages = {step.name: _page_text(folder / "reports" / run.id / step.report) for step in run.steps}
    return Ends(run, completed.stdout, start("show", "latest").stdout, pages)


def _page_text(path):
    body = path.read_text().partition("<body")[2]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", body)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDS)
def test_terminal_record_and_page_tell_the_same_end(ends, name):
    end = ENDS[name]
    [step] = [step for step in ends.run.steps if step.name == name]
    assert (step.status, step.failed_cell) == (end.status, end.failed_cell)
    assert end.failure in step.failure
    page = ends.pages[name]
    for text in (
        end.extent,
        end.failure,
        end.advice,
        "run_pipeline.py -p n=3 --jobs 2: it resumes",
    ):
        if end.failure or text in (end.extent, end.advice):
            assert text in page
    assert end.absent not in page
    if end.failure:
        cell = f", in cell {end.failed_cell}" if end.failed_cell else ""
        assert f"The step {name} {step.status.phrase} {step.extent}{cell}: " in ends.output
        shown_cell = f"in cell {end.failed_cell}: " if end.failed_cell else ""
        assert f"  {shown_cell}{step.failure}\n" in ends.shown
    if end.failed_cell:
        assert f"In cell {end.failed_cell}" in page
        assert f"cell {end.failed_cell}: {step.cell_status[end.failed_cell - 1]}" in page
    assert ("Made by executing" in page) == (name not in KERNELS)


@pytest.mark.slow
def test_a_kernel_that_does_not_start_says_why(ends):
    assert "cannot start the engine" in ends.pages["dead"]
    assert "the kernel 'dead' did not start" in ends.pages["dead"]
    assert "stderr: cannot start the engine" in ends.shown


@pytest.mark.slow
def test_notebooks_without_code_are_done(ends):
    steps = {step.name: step for step in ends.run.steps}
    assert steps["empty"].status == steps["text"].status == "done"
    assert "no cells to show" in ends.pages["empty"]
    assert "only words" in ends.pages["text"]
    assert re.search(r"empty +0/0 cells", ends.output)


@pytest.mark.slow
def test_a_step_that_did_not_run_names_the_one_that_kept_it_from_running(ends):
    assert "It did not run, as raised failed." in ends.pages["after"]
    assert (
        "What did not run 1 more cell of this notebook, and the step after."
        in (ends.pages["raised"])
    )
    assert "the step after" not in ends.pages["imported"]
    assert "it did not run, as raised did not succeed" in ends.shown
