"""Notebooks of the shapes in public bug reports, each with the report that it is from."""

from functools import partial

from nbformat import NotebookNode

from pipeline.runs.status import StepStatus
from tests.support.public_suites.notebooks import PublicNotebook, code, markdown

ReportedNotebook = partial(PublicNotebook, "reported")

SECRET = "correct horse\nbattery staple"
SECRET_VARIABLE = "REPORTED_TOKEN"  # its value ends in a newline
COUNT_THREADS = """import numpy, threadpoolctl
numpy.ones((2, 2)) @ numpy.ones((2, 2))
[p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]"""
ODD_TRACEBACK = """class OddError(Exception):
    def _render_traceback_(self):
        return {"not": "a list of texts"}

raise OddError("no plain traceback")"""
CATCH_INTERRUPT = """try:
    while True:
        pass
except KeyboardInterrupt:
    print("caught")"""
PLOTLY = """figure = {"data": [{"y": [1, 3, 2]}], "layout": {"title": {"text": "A line"}}}
display({"application/vnd.plotly.v1+json": figure, "text/plain": "Figure"}, raw=True)"""
ALTAIR = """chart = {"mark": "bar", "data": {"values": [{"a": 1}]}}
display({"application/vnd.vegalite.v6.json": chart, "text/plain": "Chart"}, raw=True)"""
CAPTURE = """import ipywidgets
output = ipywidgets.Output()
display(output)
with output:
    print("captured text")
    display({"text/plain": "captured <b>"}, raw=True)
    raise ValueError("captured failure")"""
HEADINGS = "# 1. First\n\n## Notes\n\n# 2. Second\n\n## Notes\n\n[to the notes](#Notes)"


def leave_injected_cell(notebook: NotebookNode) -> None:
    """Insert the cell that an earlier execution of papermill has left."""
    notebook.cells.insert(1, code("# Parameters\nrows = 77\n", "injected-parameters"))


NOTEBOOKS = [
    ReportedNotebook(  # papermill#435
        "exit in a function.ipynb",
        (
            code("import sys\ndef stop():\n    print('early')\n    sys.exit(0)"),
            code("stop()"),
            code("1 / 0"),
        ),
        stops_at="stop()",
        shows=("early",),
    ),
    ReportedNotebook(  # papermill#435
        "exit with a text.ipynb",
        (code("import sys\nsys.exit('no rows')"), code("1 / 0")),
        StepStatus.FAILED,
        stops_at="no rows",
        failure="SystemExit: no rows",
    ),
    ReportedNotebook(  # papermill#630
        "not a number.ipynb",
        (
            code("rate: float = 1.0\nlimit: float = 1.0", "parameters"),
            code("print(rate, limit)"),
        ),
        shows=("nan inf",),
        parameters={"rate": "nan", "limit": "inf"},
    ),
    ReportedNotebook(  # papermill#163
        "injected cell left.ipynb",
        (code("rows = 5", "parameters"), code("print('rows', rows)")),
        shows=("rows 5",),
        hides=("rows 77",),
        edit=leave_injected_cell,
    ),
    ReportedNotebook(  # MyST-NB#350
        "no exception where expected.ipynb",
        (code("print('fine')", "raises-exception"), code("print('after')")),
        shows=("fine", "after"),
    ),
    ReportedNotebook(  # elyra#2881
        "odd traceback.ipynb",
        (code("1"), code(ODD_TRACEBACK), code("2")),
        StepStatus.FAILED,
        stops_at="OddError",
        failure="OddError: no plain traceback",
    ),
    ReportedNotebook(
        "interrupt caught.ipynb",
        (code("1"), code(CATCH_INTERRUPT), code("print('went on')")),
        StepStatus.TIMED_OUT,
        stops_at="KeyboardInterrupt",
        failure="took longer than its limit of 5 s",
        time_limit=5,
    ),
    ReportedNotebook(  # nbconvert#923
        "interact.ipynb",
        (
            code(
                "from ipywidgets import interact\n@interact(x=3)\ndef square(x):\n    print(x * x)"
            ),
            code("@interact(x=3)\ndef fail(x):\n    raise ValueError('no square')"),
            code(CAPTURE),
        ),
        shows=("9\n", "no square", "captured text", "captured <b>", "captured failure"),
        hides=("not kept",),
    ),
    ReportedNotebook(  # plotly.py#1983, altair#329
        "plotly and altair.ipynb",
        (code(PLOTLY), code(ALTAIR)),
        shows=("lotly", "A plot by Vega or Altair is missing here"),
        hides=("not valid",),
    ),
    ReportedNotebook(  # nbconvert#1682, nbconvert#1233
        "numbered headings.ipynb",
        (markdown(HEADINGS),),
        shows=("1. First", "2. Second"),
    ),
    ReportedNotebook(  # BentoML#2787
        "threads of BLAS.ipynb",
        (code("import os\nos.environ['OPENBLAS_NUM_THREADS'] = '1'"), code(COUNT_THREADS)),
        shows=("[1]",),
    ),
    ReportedNotebook(  # distributed#6681
        "vendored module.ipynb",
        (
            code("import sys\nsys.path.insert(0, 'vendored')"),
            code("import tqdm\nprint('tqdm is', tqdm.ORIGIN)"),
        ),
        shows=("tqdm is ours",),
        files={"vendored/tqdm.py": "ORIGIN = 'ours'\n"},
    ),
    ReportedNotebook(  # lephare#366
        "backend of matplotlib.ipynb",
        (
            code("import os\nos.environ['MPLBACKEND'] = 'svg'"),
            code("import matplotlib\nprint('backend', matplotlib.get_backend())"),
        ),
        shows=("backend svg",),
    ),
    ReportedNotebook(  # actions/runner#2265
        "secret of two lines.ipynb",
        (
            code('token = ""', "parameters"),
            code("print(token.strip(), repr(token.encode()))"),
            code("for line in token.split('\\n'):\n    print(line)"),
        ),
        parameters={"token": f"env:{SECRET_VARIABLE}"},
    ),
    ReportedNotebook(
        "hostile bottom line.ipynb",
        (
            markdown("## The bottom line"),
            code("from IPython.display import Markdown\nMarkdown('5 < 6 and 7 > 2')"),
            code("class Value:\n    __repr__ = lambda self: '<script>alert(1)</script>'\nValue()"),
        ),
        shows=("5 < 6 and 7 > 2",),
    ),
    ReportedNotebook("no cells.ipynb", ()),
    ReportedNotebook("only text.ipynb", (markdown("# Only text"),), shows=("Only text",)),
    ReportedNotebook(
        "kernel exits.ipynb",
        (code("import os\nos._exit(0)"), code("print('after')")),
        StepStatus.KILLED,
        stops_at="os._exit",
        failure="the kernel",
    ),
    ReportedNotebook(
        "default of the wrong type.ipynb",
        (code("rows: int = 'many'", "parameters"),),
        refused=("default of the wrong type.ipynb", "rows", "'many'"),
    ),
]
