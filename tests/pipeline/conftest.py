"""Small notebooks to run, made on the spot; and a project of them, run as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest

from pipeline import Step
from pipeline.runs import records

RUN_PIPELINE_TEMPLATE = """
import sys
from pathlib import Path

from pipeline import Step, main

HERE = Path(__file__).parent
sys.exit(main([{steps}], HERE))
"""


@pytest.fixture
def make_notebook(tmp_path):
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
def make_step(make_notebook):
    """Makes a step of one notebook: `step("prep", "1 + 1")`."""

    def make(name, *cells, parameters=None, **options):
        return Step(name, make_notebook(name, *cells, parameters=parameters), **options)

    return make


class PipelineProject:
    """A folder with a run_pipeline.py and its notebooks, run in processes of its own."""

    def __init__(self, folder, steps):
        self.folder = folder
        shown = ", ".join(
            f"Step({one.name!r}, HERE / {one.notebook.name!r}, {one.needs!r}, {one.time_limit!r}, "
            f"{one.memory_limit!r}, {one.retries!r}, {one.backoff!r})"
            for one in steps
        )
        (folder / "run_pipeline.py").write_text(RUN_PIPELINE_TEMPLATE.format(steps=shown))

    def start(self, *arguments, **environment):
        """The process, its stdout a pipe."""
        return subprocess.Popen(
            [sys.executable, "run_pipeline.py", *arguments], cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **environment},
            start_new_session=True,
            # a shell that starts this in the background has it ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip

    def run(self, *arguments, **environment):
        """(exit code, what it said)"""
        process = self.start(*arguments, **environment)
        said, _ = process.communicate(timeout=120)
        return process.returncode, said

    @property
    def latest_record(self):
        """The newest run's record."""
        return records.load_all(self.folder / "var" / "runs")[0]

    def executed_notebook(self, step_name):
        """The newest executed copy of a notebook."""
        path = sorted((self.folder / "var" / "runs").glob(f"*/{step_name}.ipynb"))[-1]
        return nbformat.read(path, as_version=4)

    def report_html(self, step_name):
        """The newest report of a step."""
        return (self.folder / "reports" / "latest" / f"{step_name}.html").read_text()

    def wait_for_output(self, text, step_name, timeout_seconds=30):
        """Until the executed notebook on disk says the text; gives the seconds that took."""
        started = time.monotonic()
        while time.monotonic() - started < timeout_seconds:
            for path in (self.folder / "var" / "runs").glob(f"*/{step_name}.ipynb"):
                cells = json.loads(path.read_text())["cells"]  # whole at any moment
                if text in json.dumps([one.get("outputs") for one in cells]):
                    return time.monotonic() - started
            time.sleep(0.02)
        raise AssertionError(f"{text} never appeared")

    def run_processes(self):
        """Those that a run here has started and that are still there."""
        found = []
        for run in (self.folder / "var" / "runs").glob("*"):
            for one in psutil.process_iter():
                try:
                    if one.environ().get("PIPELINE_RUN_ID") == run.name:
                        found.append(one)
                except psutil.Error:
                    pass
        return found


@pytest.fixture
def run_in_mount_namespace():
    """Runs a shell script that may mount file systems, seen by nobody else; it exits with 77
    where it cannot mount."""

    def run(script):
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode == 77 or "unshare failed" in done.stderr:
            pytest.skip(reason="no file system can be mounted here")
        return done

    return run


@pytest.fixture
def make_project(tmp_path, make_step):
    """Makes a project: `project(step("prep", "1"), ...)`."""

    def make(*steps):
        return PipelineProject(tmp_path, steps)

    return make
