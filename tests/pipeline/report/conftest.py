"""Build executed notebooks and records of runs without running anything."""

import base64
import copy
import html
import io
import json

import nbformat
import pytest
from PIL import Image

from pipeline.definition.project import Project
from pipeline.report.live import ReportWriter
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.runs.status import StepStatus
from pipeline.workspace import Workspace

v4 = nbformat.v4
MIME_TYPES = {
    "html": "text/html",
    "plain": "text/plain",
    "markdown": "text/markdown",
    "latex": "text/latex",
    "png": "image/png",
    "svg": "image/svg+xml",
}


def display_output(**contents):
    """Return an output with the given formats: `display_output(html="<b>x</b>")`."""
    mime_bundle = {MIME_TYPES.get(name, name): content for name, content in contents.items()}
    return v4.new_output("display_data", mime_bundle)


def stream_output(text, name="stdout"):
    """Return an output of text that a cell wrote to stdout or stderr."""
    return v4.new_output("stream", name=name, text=text)


def executed_cell(source, *outputs, status="completed", **metadata):
    """Return a code cell with its outputs, as papermill leaves it."""
    cell = v4.new_code_cell(source, outputs=list(outputs), metadata=metadata)
    cell.metadata["papermill"] = {"status": status, "duration": 0.1}
    return cell


def executed_notebook(*cells):
    """Return a notebook of the cells; a string becomes a Markdown cell."""
    return v4.new_notebook(
        cells=[v4.new_markdown_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    )


def encode_png(color="red", size=(200, 100), square_position=None):
    """Return a PNG of one color in base64, with a black square if a position is given."""
    image = Image.new("RGB", size, color)
    if square_position:
        x, y = square_position
        image.paste("black", (x, y, x + 20, y + 20))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def project(home):
    """A project whose runs are grouped by their data."""
    return Project(Workspace(home), "run_pipeline.py", grouping_fact="data")


@pytest.fixture
def record_run(home):
    """Record a run with its executed notebooks as the runner does: `record_run("a-01", train=nb)`.

    The second argument sets fields of all its steps, and the commit of the run.
    """

    def record(run_id, step_fields=None, **notebooks):
        steps = [
            StepRecord(name, f"{name}.html", StepStatus.DONE, seconds=1.0) for name in notebooks
        ]
        day = run_id[-2:]
        run = RunRecord(
            run_id, f"2026-11-{day}T10:00:00+00:00", steps, ended=f"2026-11-{day}T10:00:05+00:00"
        )
        run.commit = (step_fields or {}).get("commit", "")
        for step in steps:
            for name, value in copy.deepcopy(step_fields or {}).items():
                setattr(step, name, value)
        run_dir = home / "var" / "runs" / run_id
        run_dir.mkdir(parents=True)
        (run_dir / "run.json").write_text(json.dumps(run.to_dict()))
        for name, notebook in notebooks.items():
            nbformat.write(notebook, run_dir / f"{name}.ipynb")
        return run

    return record


@pytest.fixture
def publish_page(project):
    """Publish a page of a recorded step: `publish_page(run, "train", "card", content)`.

    content: the page's title and Markdown.
    """

    def publish(run, step_name, page_name, content):
        [step] = [step for step in run.steps if step.name == step_name]
        step.pages[page_name] = content["title"]
        results_file = project.workspace.task_files(run.id, step.file_stem).results
        results_file.write_text(json.dumps({"pages": {page_name: content}}))

    return publish


@pytest.fixture
def read_page(project):
    """Write the pages of a run, and read one: `read_page(run, "train")` for that of a step."""

    def read(run, name, single_file=False):
        assert ReportWriter(project, run, single_file).rewrite_pages() is None
        path = project.workspace.report_folder(run.id) / f"{name}.html"
        return html.unescape(path.read_text())

    return read
