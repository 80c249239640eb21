"""Notebooks as they are after a run, and records of runs, made on the spot."""

import base64
import io
import json

import nbformat
import pytest
from PIL import Image

from pipeline.runs.records import RunRecord, StepRecord

v4 = nbformat.v4


def display_output(**data):
    """An output of the given forms: `output(html="<b>x</b>")`."""
    kinds = {"html": "text/html", "plain": "text/plain", "markdown": "text/markdown",
             "latex": "text/latex", "png": "image/png", "svg": "image/svg+xml"}  # fmt: skip
    return v4.new_output("display_data", {kinds.get(name, name): it for name, it in data.items()})


def stream_output(text, name="stdout"):
    return v4.new_output("stream", name=name, text=text)


def executed_cell(source, *outputs, status="completed", **metadata):
    cell = v4.new_code_cell(source, outputs=list(outputs), metadata=metadata)
    cell.metadata["papermill"] = {"status": status, "duration": 0.1}
    return cell


def executed_notebook(*cells):
    """Texts become Markdown cells."""
    made = [v4.new_markdown_cell(one) if isinstance(one, str) else one for one in cells]
    return v4.new_notebook(cells=made)


def encode_png(colour="red", size=(200, 100), square_position=None):
    """An encoded picture of one colour, perhaps with a black square at a place."""
    image = Image.new("RGB", size, colour)
    if square_position:
        image.paste("black", (*square_position, square_position[0] + 20, square_position[1] + 20))
    written = io.BytesIO()
    image.save(written, "PNG")
    return base64.b64encode(written.getvalue()).decode()


@pytest.fixture
def record_run(home):
    """Puts a run with its executed notebooks where the runner does: `recorded("id", train=nb)`."""

    def make(run_id, step_fields=None, **notebooks):
        steps = [StepRecord(one, f"{one}.html", "done", seconds=1.0) for one in notebooks]
        started = f"2026-11-{run_id[-2:]}T10:00:00+00:00"
        run = RunRecord(run_id, started, steps, ended=f"2026-11-{run_id[-2:]}T10:00:05+00:00")
        run.commit = (step_fields or {}).get("commit", "")
        for step in steps:
            for key, value in (step_fields or {}).items():
                setattr(step, key, value)
        folder = home / "var" / "runs" / run_id
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(run, default=lambda one: one.__dict__))
        for step, notebook in notebooks.items():
            nbformat.write(notebook, folder / f"{step}.ipynb")
        return run

    return make
