"""Whatever a cell raises, its step names the cell; some exceptions are a good end."""

import json

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from pipeline.kernels import cell_errors
from pipeline.kernels.cell_errors import describe_error, is_successful_exit, normalize_error
from pipeline.runs.status import CellStatus, StepStatus

# the body of an exception's class -> the start of the failure
ODD_EXCEPTIONS = {
    "def __str__(self): raise ValueError": "ValueError",
    "def __str__(self): return None": "TypeError: __str__ returned non-string",
    "def __str__(self): return '\\n \\n  second line\\nthird'": "Odd: second line",
    "def __str__(self): return 'x' * 3_000_000": "Odd: xxx",
    "def __str__(self): return '\\ud800'": "Odd: \\ud800",
    "def __str__(self): return '\\x00\\x1b[31mred'": "Odd: ",
    "def _render_traceback_(self): return None": "Odd",
    "def _render_traceback_(self): return 'one\\ntwo'": "Odd",
    "def _render_traceback_(self): return [1, None, ['a']]": "Odd",
    "def _render_traceback_(self): raise RuntimeError": "Odd",
    "__module__ = None": "Odd",
}


@pytest.mark.parametrize(
    ("exit_code", "sentence"),
    [
        (7, "the kernel exited with code 7"),
        (0, "the kernel exited with code 0"),
        (-11, "the kernel was killed by SIGSEGV"),
        (-9, "the kernel was killed by SIGKILL; often the machine has run out of memory"),
    ],
)
def test_a_dead_kernel_s_exit_code_becomes_a_sentence(exit_code, sentence):
    assert cell_errors.describe_kernel_exit(exit_code) == sentence


@pytest.mark.parametrize("value", ["", "0", "None", "False"])
def test_these_exits_are_good_ends(value):
    assert is_successful_exit("SystemExit", value)
    assert not is_successful_exit("ValueError", value)


@pytest.mark.parametrize("value", ["1", "-1", "2.0", "no data today", "True"])
def test_these_exits_are_failures(value):
    assert not is_successful_exit("SystemExit", value)


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        ({"keepkernel": False}, ""),
        ({"keepkernel": 1}, "1"),
        ({"keepkernel": "why"}, "why"),
        ({}, ""),
    ],
)
def test_a_kernel_that_asks_for_its_end_has_raised_system_exit(payload, value):
    content = {"status": "ok", "payload": [{"source": "page"}, {"source": "ask_exit", **payload}]}
    with pytest.raises(CellExecutionError) as raised:
        cell_errors.raise_exit({"content": content}, cell=None, cell_index=0)
    assert (raised.value.ename, raised.value.evalue) == ("SystemExit", value)
    cell_errors.raise_exit({"content": {"status": "ok", "payload": []}}, cell=None, cell_index=0)
    cell_errors.raise_exit({"content": {"status": "ok"}})


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ValueError", "", "ValueError"),
        ("ValueError", "\n\n a\nb", "ValueError: a"),
        ("", "", "an error without a name"),
        ("KeyError", "'a'", "KeyError: 'a'"),
        ("ValueError", "x" * 10_000, "ValueError: " + "x" * 488 + "…"),
    ],
)
def test_an_error_is_one_short_line(name, value, sentence):
    assert describe_error(name, value) == sentence


@pytest.mark.parametrize("traceback", [None, "a\nb", ["a", 1, None], ("a",), 3, []])
@pytest.mark.parametrize("value", [None, 3, "text", ["a"]])
def test_each_error_is_valid_in_a_notebook(value, traceback):
    error = normalize_error({"ename": value, "evalue": value, "traceback": traceback})
    nbformat.v4.new_output("error", **error)
    assert nbformat.v4.new_output("error", **normalize_error({})).traceback == []


@pytest.mark.slow
def test_every_exception_names_its_cell(make_project, make_step):
    """Also if IPython or nbclient cannot show it."""
    sources = [f"class Odd(Exception):\n    {body}\nraise Odd('text')" for body in ODD_EXCEPTIONS]
    steps = [
        make_step(f"s{number}", "1", source, "2", needs=()) for number, source in enumerate(sources)
    ]
    # an invalid output is no reason to stop
    steps.append(make_step("shown", "display({'text/plain': 3}, raw=True); 7", needs=()))
    project = make_project(*steps)
    assert project.run("--json")[0] == 1
    run = project.latest_record
    for step, failure in zip(run.steps, ODD_EXCEPTIONS.values(), strict=False):
        assert (step.status, step.cell_status[2]) == (StepStatus.FAILED, CellStatus.FAILED), step
        assert step.failure.startswith(failure), step.failure
        assert len(step.failure) < 600
        notebook = project.executed_notebook(step.name)
        nbformat.validate(notebook)
        assert notebook.cells[2].outputs[-1].output_type == "error"
    assert run.steps[-1].status is StepStatus.DONE
    outputs = json.dumps(project.executed_notebook("shown").cells[1].outputs)
    assert "cannot be shown, as it is not valid" in outputs
    assert '"7"' in outputs
