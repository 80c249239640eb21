"""Small notebooks to run, and a project of them that is run as a user runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import nbformat
import psutil
import pytest

from pipeline import Step, main
from pipeline.runs import records

RUN_PIPELINE_TEMPLATE = """
import sys
from pathlib import Path

from pipeline import Step, main

HERE = Path(__file__).parent
sys.exit(main([{steps}], HERE))
"""
CANNOT_MOUNT_EXIT_CODE = 77


def write_notebook(folder, name, *cells, parameters=None):
    """Write a notebook of the given code cells, after a cell tagged `parameters` if given."""
    sources = [parameters, *cells] if parameters else cells
    code_cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=code_cells)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell(f"# The {name} report"))
    if parameters:
        notebook.cells[1].metadata["tags"] = ["parameters"]
    kernel_spec = {"name": "python3", "display_name": "", "language": "python"}
    notebook.metadata["kernelspec"] = kernel_spec
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


@pytest.fixture
def make_notebook(tmp_path):
    """Make a notebook of the given code cells, after a cell tagged `parameters` if given."""
    return partial(write_notebook, tmp_path)


@pytest.fixture
def make_step(make_notebook):
    """Make a step of one notebook: `make_step("prep", "1 + 1")`."""

    def make(name, *cells, parameters=None, **options):
        return Step(name, make_notebook(name, *cells, parameters=parameters), **options)

    return make


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    """Run steps once for all tests of a file: `run_once(write_steps)` returns the folder.

    write_steps: called with the folder, which is the home too; returns the steps.
    """

    def run(write_steps):
        folder = tmp_path_factory.mktemp("finished")
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.chdir(folder)
            monkeypatch.setattr(sys, "argv", ["run_pipeline.py"])
            assert main(write_steps(folder), folder, ["--quiet"]) == 0
        return folder

    return run


@pytest.fixture
def copy_finished(tmp_path, monkeypatch):
    """Copy a finished project, which stays up to date, and enter the copy."""

    def copy(folder):
        copied_folder = shutil.copytree(folder, tmp_path / "copy", symlinks=True)
        monkeypatch.chdir(copied_folder)
        return copied_folder

    return copy


class PipelineProject:
    """A folder with a run_pipeline.py and its notebooks, run in processes of its own."""

    def __init__(self, folder, steps):
        self.folder = folder
        sources = ", ".join(
            f"Step({step.name!r}, HERE / {step.notebook.name!r}, {step.needs!r}, "
            f"{step.time_limit!r}, {step.memory_limit!r}, {step.retries!r}, {step.backoff!r})"
            for step in steps
        )
        (folder / "run_pipeline.py").write_text(RUN_PIPELINE_TEMPLATE.format(steps=sources))

    def start(self, *arguments, **environment):
        """Start a run; return the process, whose stdout is a pipe."""
        return subprocess.Popen(
            [sys.executable, "run_pipeline.py", *arguments],
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
            # a shell that starts the tests in the background has it ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, *arguments, **environment):
        """Run to the end; return the exit code and the output."""
        process = self.start(*arguments, **environment)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

    @property
    def latest_record(self):
        """The newest run's record."""
        return records.load_all(self.folder / "var" / "runs")[0]

    def executed_notebook(self, step_name):
        """Return the newest executed copy of a notebook."""
        path = sorted((self.folder / "var" / "runs").glob(f"*/{step_name}.ipynb"))[-1]
        return nbformat.read(path, as_version=4)

    def report_html(self, step_name):
        """Return the newest report of a step."""
        return (self.folder / "reports" / "latest" / f"{step_name}.html").read_text()

    def wait_for_output(self, text, step_name, timeout_seconds=30):
        """Wait until the executed notebook on disk has an output with the text; return the seconds.

        Parses the notebook at each look: it must be complete at any moment.
        """
        started = time.monotonic()
        while time.monotonic() - started < timeout_seconds:
            for path in (self.folder / "var" / "runs").glob(f"*/{step_name}.ipynb"):
                cells = json.loads(path.read_text())["cells"]
                if text in json.dumps([cell.get("outputs") for cell in cells]):
                    return time.monotonic() - started
            time.sleep(0.02)
        raise AssertionError(f"{text} never appeared")

    def run_processes(self):
        """Return the processes that runs of this project have started and that still exist."""
        processes = []
        for run_folder in (self.folder / "var" / "runs").glob("*"):
            for process in psutil.process_iter():
                try:
                    if process.environ().get("PIPELINE_RUN_ID") == run_folder.name:
                        processes.append(process)
                except psutil.Error:
                    pass
        return processes


@pytest.fixture
def run_in_mount_namespace():
    """Run a shell script that mounts file systems which no other process sees.

    The test is skipped if the script exits with CANNOT_MOUNT_EXIT_CODE, or has no such namespace.
    """

    def run(script):
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
        completed = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if completed.returncode == CANNOT_MOUNT_EXIT_CODE or "unshare failed" in completed.stderr:
            pytest.skip(reason="no file system can be mounted here")
        return completed

    return run


@pytest.fixture
def make_project(tmp_path, make_step):
    """Make a project: `make_project(make_step("prep", "1"), ...)`."""

    def make(*steps):
        return PipelineProject(tmp_path, steps)

    return make
