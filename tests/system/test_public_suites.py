"""The notebooks of the test suites of papermill, nbclient and nbconvert end as they must.

Each in a shape made here, always, and as its suite has it, where pip can fetch the source packages.
"""

import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

from pipeline import main
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
def run_of_shapes(tmp_path_factory):
    """Return the finished run of the notebooks made here."""
    home = tmp_path_factory.mktemp("made")
    for notebook in MADE_HERE:
        notebook.write_shape(home)
    return run_all(MADE_HERE, home)


@pytest.fixture(scope="module")
def fetched_home(tmp_path_factory, pytestconfig):
    """Return a folder with the suites' own notebooks; skip the test if they cannot be fetched."""
    home = tmp_path_factory.mktemp("fetched")
    try:
        packages = source_packages.fetch_source_packages(pytestconfig.cache.mkdir("suites"))
    except LookupError as error:
        pytest.skip(reason=f"pip cannot fetch the source packages here: {error}")
    for package in packages:
        source_packages.extract_notebooks(package, home)
    return home


@pytest.fixture(scope="module")
def run_of_fetched(fetched_home):
    """Return the finished run of the suites' own notebooks."""
    return run_all(SUITES, fetched_home)


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
    assert statuses == step.cell_status
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
class TestNotebookMadeHere:
    def test_it_ends_as_stated(self, run_of_shapes, notebook):
        check_end(run_of_shapes, notebook)

    def test_its_report_shows_it(self, run_of_shapes, notebook):
        check_report(run_of_shapes, notebook)


@by_step_name(SUITES)
class TestFetchedNotebook:
    def test_it_ends_as_stated(self, run_of_fetched, notebook):
        check_end(run_of_fetched, notebook)

    def test_its_report_shows_it(self, run_of_fetched, notebook):
        check_report(run_of_fetched, notebook)


@by_step_name(MADE_HERE, refused=True)
def test_a_notebook_made_here_is_refused(notebook, tmp_path, capsys):
    notebook.write_shape(tmp_path)
    check_refusal(notebook, tmp_path, capsys)


@by_step_name(SUITES, refused=True)
def test_a_fetched_notebook_is_refused(notebook, fetched_home, capsys):
    check_refusal(notebook, fetched_home, capsys)


def test_each_notebook_of_the_suites_is_listed(fetched_home):
    paths = {
        path for suite in source_packages.SUITES for path in (fetched_home / suite).rglob("*.ipynb")
    }
    paths.discard(fetched_home / OUTPUT_OF_BINDER)
    assert paths == {notebook.locate(fetched_home) for notebook in SUITES}


@pytest.mark.parametrize("run_name", ["run_of_shapes", "run_of_fetched"])
class TestRun:
    def test_its_record_is_strict_json(self, run_name, request):
        run = request.getfixturevalue(run_name)
        text = (run.home / "var" / "runs" / run.record.id / "run.json").read_text()
        json.loads(text, parse_constant=lambda name: pytest.fail(f"the record has {name}"))

    def test_it_met_no_problem(self, run_name, request):
        assert request.getfixturevalue(run_name).record.problems == []

    def test_what_is_done_stays_up_to_date(self, run_name, request, capsys):
        run = request.getfixturevalue(run_name)
        done = {step.name for step in run.record.steps if step.status == StepStatus.DONE}
        names = {step.name for step in run.record.steps}
        notebooks = [notebook for notebook in MADE_HERE if notebook.step_name in names]
        with pytest.MonkeyPatch.context() as monkeypatch:
            set_environment(monkeypatch, run.home)
            assert run_command(notebooks, run.home, "explain") == 0
        lines = capsys.readouterr().out.splitlines()
        assert [
            line for line in lines if line.split()[0] in done and line.split()[1] != "skip"
        ] == []
        assert len(lines) >= len(names)


def test_no_line_of_a_secret_is_written(run_of_shapes):
    for path in run_of_shapes.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert [
                line for line in bug_reports.SECRET.split("\n") if line.encode() in content
            ] == [], path
