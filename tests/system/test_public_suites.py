"""The notebooks of the test suites of papermill, nbclient and nbconvert end as they must.

Each as its suite has it, where pip can fetch the source packages, else in a shape made here.
"""

import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

from pipeline import main
from pipeline.definition.notebook_file import is_added_cell
from pipeline.runs import records
from pipeline.runs.records import RunRecord
from pipeline.runs.status import CellStatus, StepStatus
from tests.support.public_suites import (
    bug_reports,
    nbclient_notebooks,
    nbconvert_notebooks,
    papermill_notebooks,
    source_packages,
)
from tests.support.public_suites.notebooks import PublicNotebook
from tests.support.public_suites.pages import find_problems, read_content, read_status

pytestmark = pytest.mark.slow

SUITES = [
    *nbclient_notebooks.NOTEBOOKS,
    *papermill_notebooks.NOTEBOOKS,
    *nbconvert_notebooks.NOTEBOOKS,
]
MADE_HERE = [*SUITES, *bug_reports.NOTEBOOKS]
OUTPUT_OF_BINDER = "papermill/papermill/tests/notebooks/simple_output.ipynb"
JOBS = 4  # two more than a small machine has cores: several notebooks sleep


class FinishedRun(NamedTuple):
    """A run of all notebooks that are not refused."""

    home: Path
    record: RunRecord

    def run_file(self, notebook: PublicNotebook, suffix: str) -> Path:
        """Return the report (.html) or the executed notebook (.ipynb) of a notebook."""
        [step] = [step for step in self.record.steps if step.name == notebook.step_name]
        folder = "reports" if suffix == ".html" else "var/runs"
        return self.home / folder / self.record.id / f"{step.file_stem}{suffix}"


def run_all(notebooks: list[PublicNotebook], home: Path) -> FinishedRun:
    """Run the notebooks in one run, those that fail among them."""
    notebooks = [notebook for notebook in notebooks if not notebook.refused]
    for notebook in notebooks:
        notebook.write_files(home)
    with pytest.MonkeyPatch.context() as monkeypatch:
        set_environment(monkeypatch, home)
        assert run_command(notebooks, home, "--quiet", "--jobs", str(JOBS)) == 1  # some fail
    [record] = records.load_all(home / "var" / "runs")
    return FinishedRun(home, record)


def set_environment(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Set the variables that notebooks read, and have `python` be this one."""
    monkeypatch.setenv("NBEXECUTE_TEST_PARALLEL_TMPDIR", str(home))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv(bug_reports.SECRET_VARIABLE, f"{bug_reports.SECRET}\n")
    monkeypatch.setattr(sys, "argv", ["run_pipeline.py"])


def run_command(notebooks: list[PublicNotebook], home: Path, *arguments: str) -> int:
    """Run a command of the runner on the notebooks, with their parameters; return its exit code."""
    steps = [notebook.as_step(home) for notebook in notebooks]
    parameters = [option for notebook in notebooks for option in notebook.parameter_arguments()]
    return main(steps, home, [*arguments, *parameters])


@pytest.fixture(scope="module")
def suites_home(tmp_path_factory, pytestconfig):
    """Return a folder with all notebooks; those of the suites are made if pip cannot fetch them."""
    home = tmp_path_factory.mktemp("suites")
    try:
        packages = source_packages.fetch_source_packages(pytestconfig.cache.mkdir("suites"))
    except LookupError:
        packages = []
    for package in packages:
        source_packages.extract_notebooks(package, home)
    for notebook in MADE_HERE:
        if not notebook.locate(home).exists():
            notebook.write_shape(home)
    return home


@pytest.fixture(scope="module")
def finished_run(suites_home):
    """Return the finished run of all notebooks that are not refused."""
    return run_all(MADE_HERE, suites_home)


def by_step_name(notebooks, refused=False):
    """Parametrize a test by notebooks: those that are refused, or those that are run."""
    selected = [notebook for notebook in notebooks if bool(notebook.refused) == refused]
    return pytest.mark.parametrize("notebook", selected, ids=lambda notebook: notebook.step_name)


def check_end(run, notebook):
    """Check how a step has ended: its status, in which cell, and the sentence about it."""
    [step] = [step for step in run.record.steps if step.name == notebook.step_name]
    assert (step.status, step.failure[: len(notebook.failure)]) == (
        notebook.status,
        notebook.failure,
    )
    executed = nbformat.read(run.run_file(notebook, ".ipynb"), as_version=nbformat.NO_CONVERT)
    nbformat.validate(executed)
    statuses = [
        CellStatus.from_papermill(cell.metadata.papermill.status) for cell in executed.cells
    ]
    cells = zip(executed.cells, statuses, strict=True)
    assert [status for cell, status in cells if not is_added_cell(cell)] == step.cell_status
    if notebook.stops_at:
        started = [
            cell
            for cell, status in zip(executed.cells, statuses, strict=True)
            if status != CellStatus.NOT_RUN
        ]
        assert notebook.stops_at in started[-1].source
        assert (statuses[len(started) - 1] == CellStatus.RAN) == (
            notebook.status == StepStatus.DONE
        )
    else:
        assert CellStatus.FAILED not in statuses


def check_report(run, notebook):
    """Check that a step's report is a whole page that shows what it must."""
    html = run.run_file(notebook, ".html").read_text()
    assert read_status(html) == notebook.status
    assert find_problems(html) == []
    content = read_content(html)
    text = content.get_text()
    assert [shown for shown in notebook.shows if shown not in text] == []
    assert [hidden for hidden in notebook.hides if hidden in text] == []
    assert [selector for selector in notebook.elements if not content.select(selector)] == []


def check_refusal(notebook, home, capsys):
    """Check that a notebook is refused in a sentence, before anything starts."""
    assert main([notebook.as_step(home)], home, ["--quiet"]) == 2
    message = capsys.readouterr().err
    assert [text for text in notebook.refused if text not in message] == []
    assert "Traceback" not in message
    assert not list((home / "var" / "runs").glob(f"*/{Path(notebook.path).name}"))


@by_step_name(MADE_HERE)
class TestNotebook:
    def test_it_ends_as_stated(self, finished_run, notebook):
        check_end(finished_run, notebook)

    def test_its_report_shows_it(self, finished_run, notebook):
        check_report(finished_run, notebook)


@by_step_name(MADE_HERE, refused=True)
def test_a_notebook_is_refused(notebook, suites_home, capsys):
    check_refusal(notebook, suites_home, capsys)


def test_each_notebook_of_the_suites_is_listed(suites_home):
    paths = {
        path for suite in source_packages.SUITES for path in (suites_home / suite).rglob("*.ipynb")
    }
    paths.discard(suites_home / OUTPUT_OF_BINDER)
    assert paths == {notebook.locate(suites_home) for notebook in SUITES}


class TestRun:
    def test_its_record_is_strict_json(self, finished_run):
        text = (
            finished_run.home / "var" / "runs" / finished_run.record.id / "run.json"
        ).read_text()
        record = json.loads(text, parse_constant=lambda name: pytest.fail(f"it has {name}"))
        assert len(record["steps"]) == len(finished_run.record.steps)

    def test_it_met_no_problem(self, finished_run):
        assert finished_run.record.problems == []

    def test_what_is_done_stays_up_to_date(self, finished_run, capsys):
        done = {step.name for step in finished_run.record.steps if step.status == StepStatus.DONE}
        names = {step.name for step in finished_run.record.steps}
        notebooks = [notebook for notebook in MADE_HERE if notebook.step_name in names]
        with pytest.MonkeyPatch.context() as monkeypatch:
            set_environment(monkeypatch, finished_run.home)
            assert run_command(notebooks, finished_run.home, "explain") == 0
        lines = capsys.readouterr().out.splitlines()
        assert [
            line for line in lines if line.split()[0] in done and line.split()[1] != "skip"
        ] == []
        assert len(lines) >= len(names)


def test_no_line_of_a_secret_is_written(finished_run):
    for path in finished_run.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert [
                line for line in bug_reports.SECRET.split("\n") if line.encode() in content
            ] == [], path
