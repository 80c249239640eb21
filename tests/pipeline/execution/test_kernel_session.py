"""Notebooks that end early, in a real kernel."""

import json

import nbformat
import pytest

from pipeline.runs.results import Metric
from pipeline.runs.status import CellStatus, StepStatus

PUBLISH_NOT_A_NUMBER = """
from pipeline.notebook import Metric, publish
publish({"score": Metric(x, "none", "", float("-inf"))}, facts={"rows": 3})
"""


CAPTURE_OUTPUT = """
with widget:
    print("x")
    widget.clear_output()
    display("y")
"""


def refuse_constant(constant):
    raise AssertionError(f"{constant} is no JSON")


def test_a_notebook_ends_early_and_well_with_parameters_that_json_does_not_know(
    make_project, make_step
):
    """One run shows: NaN everywhere, a cell left by papermill, and the end by sys.exit(0)."""
    step = make_step(
        "early",
        "assert y == 1 and x != x",
        PUBLISH_NOT_A_NUMBER,
        "import sys; print('no new data'); sys.exit(0)",
        "raise RuntimeError('it went on')",
        parameters="x: float = 1.0\ny = 1",
    )
    notebook = nbformat.read(step.notebook, as_version=4)
    for source in ("x = 2.0", "y = 5"):
        leftover = nbformat.v4.new_code_cell(source, metadata={"tags": ["injected-parameters"]})
        notebook.cells.insert(2, leftover)
    notebook.metadata["papermill"] = {"parameters": {"y": 5}, "version": "1"}
    nbformat.write(notebook, step.notebook)
    project = make_project(step)
    exit_code, output = project.run("--json", "-p", "x=nan")
    assert exit_code == 0, output
    events = [json.loads(line, parse_constant=refuse_constant) for line in output.splitlines()]
    assert events[-1]["headline"]["score"] == {
        "value": "NaN", "text": "none", "better": "", "before": "-Infinity"
    }  # fmt: skip
    for path in (project.folder / "var").rglob("*.json"):
        json.loads(path.read_text(), parse_constant=refuse_constant)
    [step_record] = project.latest_record.steps
    score = step_record.headline["score"]
    assert isinstance(score, Metric)
    assert (str(score.value), score.before) == ("nan", float("-inf"))
    assert step_record.status is StepStatus.DONE
    assert step_record.cell_status == [CellStatus.RAN] * 5 + [CellStatus.NOT_RUN]
    ignored, ended = step_record.notes
    assert "2 cells tagged injected-parameters in early.ipynb were ignored" in ignored
    assert "ended by its own decision in cell 5" in ended
    assert ended in project.report_html("early")
    executed = project.executed_notebook("early")
    assert executed.metadata.papermill.parameters == {"x": "NaN"}
    assert executed.metadata.papermill.exception is False
    assert executed.metadata.papermill.input_path == str(step.notebook)
    assert "nothing to do" in project.run("-p", "x=nan")[1]
    assert "x = 1.0 -> NaN" not in project.run("explain", "-p", "x=nan")[1]
    assert "skip" in project.run("explain", "-p", "x=NaN")[1]
    assert "run" in project.run("explain", "-p", "x=inf")[1]


def test_each_cell_ends_whose_output_a_widget_shows(make_project, make_step):
    """nbclient answers each output, so that a reply of the kernel may come unnoticed."""
    create = "import ipywidgets; widget = ipywidgets.Output()"
    step = make_step("captured", create, *[CAPTURE_OUTPUT] * 60, time_limit=20)
    exit_code, output = make_project(step).run()
    assert exit_code == 0, output


@pytest.mark.slow
def test_each_way_to_end_a_notebook(make_project, make_step):
    """As papermill has it: exit code 0 is a good end, any other a failure."""
    good_ends = ["exit()", "quit()", "exit(0)", "import sys; sys.exit()", "raise SystemExit(None)"]
    failures = {
        "exit(1)": "SystemExit: 1",
        "import sys; sys.exit('no data')": "SystemExit: no data",
        "raise SystemExit(2)": "SystemExit: 2",
    }
    sources = [*good_ends, *failures]
    steps = [
        make_step(f"s{number}", source, "raise RuntimeError", needs=())
        for number, source in enumerate(sources)
    ]
    project = make_project(*steps)
    assert project.run()[0] == 1
    for source, step in zip(sources, project.latest_record.steps, strict=True):
        failure = failures.get(source, "")
        assert step.failure == failure, source
        assert step.status is (StepStatus.FAILED if failure else StepStatus.DONE)
        assert step.cell_status[2] is CellStatus.NOT_RUN
