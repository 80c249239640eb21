"""The notebooks of papermill's tests."""

from functools import partial

from nbformat import NotebookNode

from pipeline.runs.status import StepStatus
from tests.support.public_suites.notebooks import PYTHON_KERNEL, PublicNotebook, code, markdown

PapermillNotebook = partial(PublicNotebook, "papermill")

NOT_REACHED = 'print("Cell should not execute.")'
MISSING_KERNEL = "is not installed here"
RUN_PAPERMILL = """%%bash
cd ../../../
python -m papermill papermill/tests/notebooks/simple_execute.ipynb \\
  papermill/tests/notebooks/simple_output.ipynb -p msg 'Hello'"""
BROKEN_PARAMETERS = """msg = None
a: float = 2.25 # Variable a
b = [
    'Hello', # First element
    'World'
] # type: List[str] Nice list
c: "NoneType" = None
d = a == 3
= 2"""
ERROR_HEADING = markdown(
    '<span style="color:red">An Exception was encountered at \'<a href="#papermill-error-cell">'
    "In [1]</a>'.</span>",
    tags=["papermill-error-cell-tag"],
)
ERROR_ANCHOR = markdown(
    '<span id="papermill-error-cell" style="color:red">Execution encountered an exception here and '
    "stopped:</span>",
    tags=["papermill-error-cell-tag"],
)


def leave_run_metadata(notebook: NotebookNode) -> None:
    """Give the notebook the outputs and the metadata of an execution that failed."""
    notebook.metadata["papermill"] = {"exception": True, "duration": 1.5, "parameters": {}}
    for cell in notebook.cells:
        cell.metadata["papermill"] = {"status": "failed", "exception": True}
        if cell.cell_type == "code":
            cell["execution_count"] = 7


def exit_notebook(name: str, source: str) -> PublicNotebook:
    """Return a notebook that ends early and well."""
    return PapermillNotebook(
        name,
        (code("import sys"), code(source), code(NOT_REACHED)),
        stops_at=source.partition("\n")[0],
        hides=("Cell should not execute.",),
    )


NOTEBOOKS = [
    PapermillNotebook(
        "binder.ipynb",
        (
            markdown("[See input here!](simple_execute.ipynb)"),
            code(RUN_PAPERMILL),
            markdown("[See output here!](simple_output.ipynb)"),
        ),
        shows=("See input here!", "See output here!"),
    ),
    PapermillNotebook("blank-vscode.ipynb", (code(""),), kernelspec=None),
    PapermillNotebook(
        "broken.ipynb",
        (code('print "We\'re good."'), code("assert False"), code('print "Not reached."')),
        StepStatus.FAILED,
        stops_at='print "We',
        failure="SyntaxError: Missing parentheses in call to 'print'",
        edit=leave_run_metadata,
    ),
    PapermillNotebook(
        "broken1.ipynb",
        (
            ERROR_HEADING,
            markdown("A markdown cell that makes the execution counts different to indices"),
            ERROR_ANCHOR,
            code('print("We\'re good.")'),
            code("assert False"),
            code('print "Not reached."'),
        ),
        StepStatus.FAILED,
        stops_at="assert False",
        failure="AssertionError",
        shows=("We're good.",),
        hides=("An Exception was encountered at",),  # it tells of another run
        edit=leave_run_metadata,
    ),
    PapermillNotebook(
        "broken2.ipynb",
        (
            code('print("We\'re good.")'),
            code("from IPython.core.display import display, HTML\nassert False"),
            code('print "Not reached."'),
        ),
        StepStatus.FAILED,
        stops_at="IPython.core.display",
        failure="ImportError: cannot import name 'display'",
        shows=("We're good.",),
    ),
    PapermillNotebook(
        "complex_parameters.ipynb",
        (code(BROKEN_PARAMETERS, "parameters"),),
        refused=("complex_parameters.ipynb", "parameters cell", "'= 2'", "invalid syntax"),
    ),
    PapermillNotebook(
        "gcs/gcs_in/gcs-simple_notebook.ipynb",
        (
            markdown("# Running Code"),
            code("a = 10"),
            code("print(a)"),
            markdown("## sys.stdout and sys.stderr"),
            code("import sys\nprint('hi, stdout')\nprint('hi, stderr', file=sys.stderr)"),
            markdown("## Output is asynchronous"),
            code("for i in range(8):\n    print(i)"),
        ),
        shows=("Running Code", "10\n", "hi, stdout", "hi, stderr", "0\n1\n2\n3\n4\n5\n6\n7\n"),
    ),
    PapermillNotebook(
        "keyboard_interrupt.ipynb",
        (code("from time import sleep\nsleep(60)"),),
        StepStatus.TIMED_OUT,
        stops_at="sleep",
        failure="took longer than its limit of 5 s",
        time_limit=5,
    ),
    PapermillNotebook(
        "line_magic_error.ipynb",
        (code("%undefined-line-magic"), code(NOT_REACHED)),
        StepStatus.FAILED,
        stops_at="%undefined-line-magic",
        failure="UsageError: Line magic function `%undefined-line-magic` not found",
        hides=("Cell should not execute.",),
    ),
    PapermillNotebook(
        "nb_version_4.4.ipynb",
        (code("# Parameters\nvar = 1", "parameters"), code("print(var)")),
        shows=("2\n",),
        parameters={"var": "2"},
    ),
    PapermillNotebook(
        "no_parameters.ipynb",
        (code("msg = None"), code("print(msg)"), code("")),
        shows=("None\n",),
    ),
    PapermillNotebook(
        "notimplemented_translator.ipynb",
        (code("msg = None", "parameters"),),
        refused=("notimplemented_translator.ipynb", "'r'", MISSING_KERNEL),
        kernelspec={"name": "r", "display_name": "r", "language": "R"},
    ),
    PapermillNotebook(
        "read_check.ipynb",
        (code("import os"), code("assert os.path.isfile('check.txt')\nprint('NB_CWD')")),
        shows=("NB_CWD",),
        files={"check.txt": "exists"},
    ),
    PapermillNotebook(
        "report_mode_test.ipynb",
        (code("a = 1\nb = 1", "parameters"), code("print(a + b)")),
        shows=("1\n",),
        parameters={"a": "0"},
    ),
    PapermillNotebook(
        "result_no_exec.ipynb",
        (code('# Parameters\nfoo = 1\nbar = "hello"\n', "parameters"),),
        edit=leave_run_metadata,
    ),
    PapermillNotebook(
        "s3/s3_in/s3-simple_notebook.ipynb",
        (code("msg = None", "parameters"), code("print(msg)"), code("")),
        shows=("None\n",),
    ),
    PapermillNotebook(
        "simple_execute.ipynb",
        (
            code("msg = None", "parameters"),
            code("#papermill_description=DESC\nprint(msg)"),
            markdown(""),
        ),
        shows=("Hello\n",),
        parameters={"msg": "Hello"},
    ),
    exit_notebook("sysexit.ipynb", "sys.exit()"),
    exit_notebook("sysexit0.ipynb", "sys.exit(0)"),
    PapermillNotebook(
        "sysexit1.ipynb",
        (code("import sys"), code("sys.exit(1)"), code(NOT_REACHED)),
        StepStatus.FAILED,
        stops_at="sys.exit(1)",
        failure="SystemExit: 1",
        hides=("Cell should not execute.",),
    ),
    exit_notebook("systemexit.ipynb", "raise SystemExit"),
    PapermillNotebook(
        "test_autosave.ipynb",
        (code("import time\nfor i in range(25):\n    time.sleep(0.01)\n    print(i)"),),
        shows=("23\n24\n",),
        kernelspec={**PYTHON_KERNEL, "name": "python"},  # Jupyter's other name of python3
    ),
    PapermillNotebook(
        "test_logging.ipynb",
        (
            code("import logging\nlogging.basicConfig(level=20)\nlogging.info('test text')"),
            code('print("hello world")'),
            code("from ggplot import mpg"),
            code(""),
        ),
        StepStatus.FAILED,
        stops_at="ggplot",
        failure="ModuleNotFoundError: No module named 'ggplot'",
        shows=("test text", "hello world"),
    ),
    PapermillNotebook(
        "test_notebooknode_io.ipynb", (code("print('Hello World')"),), shows=("Hello World",)
    ),
]
