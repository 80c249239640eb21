"""The notebooks of nbconvert's tests."""

from functools import partial

import nbformat
from nbformat import NotebookNode

from pipeline.runs.status import StepStatus
from tests.support.public_suites.nbclient_notebooks import CIRCLE, PNG_BASE64, STDIN_ERROR
from tests.support.public_suites.notebooks import PublicNotebook, code, markdown, raw

NbconvertNotebook = partial(PublicNotebook, "nbconvert")

PICTURE = ("main img[src^='data:image/']",)
MISSING_KERNEL = "is not installed here"
PLOT = "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([0, 1], [1, 0])"
OLD_MATPLOTLIB_SETTING = (
    "from IPython.display import set_matplotlib_formats\nset_matplotlib_formats('png', 'pdf')"
)
SVG_FILE = {"testimage.svg": f'<svg xmlns="http://www.w3.org/2000/svg">{CIRCLE}</svg>'}
SLIDER = "import ipywidgets\nipywidgets.IntSlider(value=7, max=10, description='Test:')"
NOTE_CLASS = """class Note:
    def __init__(self, text):
        self.text = text

    def _repr_html_(self):
        return f"<div style='font-weight: bold'>{self.text}</div>"

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/x-rst": f".. note::\\n   {self.text}"}
"""


def attach_picture(notebook: NotebookNode) -> None:
    """Attach a picture to the markdown cells."""
    for cell in notebook.cells:
        cell["attachments"] = {"image.png": {"image/png": PNG_BASE64}}


def inject_scripts(notebook: NotebookNode) -> None:
    """Put scripts into the title, a tag, the widgets' state, and outputs that are kept."""
    notebook.metadata["title"] = "TITLE</title><script>alert('title')</script>"
    notebook.metadata["widgets"] = {
        "application/vnd.jupyter.widget-state+json": {
            "foo": "pwntester</script><script>alert('widgets');//",
            "state": {"wid1": {}},
        }
    }
    notebook.cells[0].metadata["tags"] = ["FOO\"><script>alert('cell_tag')</script><div \""]
    for mime_type in ("image/svg+xml", "image/png", "text/html", "text/markdown"):
        cell = code("")
        script = f"\"><script>alert('{mime_type} output')</script>"
        output = nbformat.v4.new_output("execute_result", {mime_type: script})
        output["metadata"] = {"width": script, "filenames": {mime_type: script}}
        cell["outputs"] = [output]
        notebook.cells.append(cell)


NOTEBOOKS = [
    NbconvertNotebook(
        "exporters/files/attachment.ipynb",
        (markdown("![image.png](attachment:image.png)"),),
        elements=PICTURE,
        edit=attach_picture,
    ),
    NbconvertNotebook(
        "exporters/files/notebook2.ipynb",
        (
            markdown("# NumPy and Matplotlib examples\n\nFirst import NumPy and Matplotlib:"),
            code("%pylab inline"),
            code("a = np.random.uniform(size=(100, 100))"),
            code("a.shape"),
            code("evs = np.linalg.eigvals(a)", "remove_cell"),
            code("evs.shape", "remove_output"),
            code("hist(evs.real)", "remove_input"),
            markdown(
                "Whether [header links are rendered](#numpy-and-matplotlib-examples)\n\n"
                "one *test* two *tests*. three *tests*",
                tags=["remove_cell"],
            ),
        ),
        shows=("NumPy and Matplotlib examples", "(100, 100)"),
        elements=PICTURE,
    ),
    NbconvertNotebook(
        "exporters/files/notebook3.ipynb",
        (code('input("test input:")'), code("")),
        StepStatus.FAILED,
        stops_at="input",
        failure=STDIN_ERROR,
    ),
    NbconvertNotebook(
        "exporters/files/notebook_inject.ipynb",
        (
            code(""),
            raw("Payload in raw cell <script>alert('raw cell')</script>"),
            markdown("<script>alert('markdown cell')</script>"),
        ),
        edit=inject_scripts,
    ),
    NbconvertNotebook(
        "exporters/files/pngmetadata.ipynb",
        (code("%config InlineBackend.figure_formats = set(['retina'])"), code(PLOT)),
        refused=("pngmetadata.ipynb", "'python3_mydev'", MISSING_KERNEL),
        kernelspec={"name": "python3_mydev", "display_name": "IPython mydev (Python 3)"},
    ),
    NbconvertNotebook(
        "exporters/files/prompt_numbers.ipynb",
        (code("import numpy as np"), code("np.zeros(100).shape"), code(""), code("")),
        shows=("(100,)",),
    ),
    NbconvertNotebook(
        "exporters/files/rawtest.ipynb",
        (
            raw("<b>raw html</b>", "text/html"),
            raw("``raw rst``", "text/restructuredtext"),
            raw('def bar():\n    """raw python"""', "text/x-python"),
            raw("\\LaTeX\n% raw latex", "text/latex"),
            raw("# no raw_mimetype metadata, should be included by default"),
            raw("garbage format defined, should never be included", "doesnotexist"),
        ),
        shows=("raw html", "should be included by default"),
        hides=("raw rst", "raw python", "raw latex", "should never be included"),
        kernelspec=None,
    ),
    NbconvertNotebook(
        "exporters/files/rst_output.ipynb",
        (code(NOTE_CLASS), code('Note("Testing testing")')),
        shows=("Testing testing",),
    ),
    NbconvertNotebook(
        "exporters/files/svg.ipynb",
        (code(f"from IPython.display import SVG\nSVG('{CIRCLE}')"),),
        elements=("main svg, main img[src^='data:image/svg']",),
    ),
    *(
        NbconvertNotebook(f"files/{name}.ipynb", (code(SLIDER),), shows=("Test:", "7"))
        for name in ("Unexecuted_widget", "Unexecuted_widget_2")
    ),
    NbconvertNotebook(
        "files/Widget_List.ipynb",
        (
            code(SLIDER),
            markdown("### FloatSlider"),
            code("ipywidgets.FloatSlider(value=7.5, description='Test:')"),
            markdown("### Text"),
            code("ipywidgets.Text(value='Hello World', description='String:')"),
            markdown("### HTML"),
            code("ipywidgets.HTML(value='Hello <b>World</b>', description='Some HTML')"),
            code("tab = ipywidgets.Tab()\ntab.children = [ipywidgets.Text(description='P0')]\ntab"),
            code("tab.selected_index = 0"),
        ),
        shows=("FloatSlider", "7.5", "String:", "Hello World", "Some HTML"),
    ),
    NbconvertNotebook(
        "files/latex-linked-image.ipynb",
        (markdown("![image](testimage.svg)"),),
        elements=PICTURE,
        files=SVG_FILE,
    ),
    NbconvertNotebook(
        "files/markdown_display_priority.ipynb",
        (code(OLD_MATPLOTLIB_SETTING), code("")),
        refused=("markdown_display_priority.ipynb", "'Python [Root]'", MISSING_KERNEL),
        kernelspec={"name": "Python [Root]", "display_name": "Python [Root]"},
    ),
    NbconvertNotebook(
        "files/notebook1.ipynb",
        (
            markdown("# A simple SymPy example\n\nFirst we import SymPy and initialize printing:"),
            code("from sympy import *\n\ninit_printing()"),
            code('x, y, z = symbols("x y z")'),
        ),
        StepStatus.FAILED,
        stops_at="from sympy import",
        failure="ModuleNotFoundError: No module named 'sympy'",
        shows=("A simple SymPy example", "First we import SymPy"),
        kernelspec=None,
    ),
    NbconvertNotebook(
        "files/notebook2.ipynb",
        (
            markdown("# NumPy and Matplotlib examples"),
            code("%matplotlib inline\nimport matplotlib\nprint(matplotlib.backends.backend)"),
            code(OLD_MATPLOTLIB_SETTING),
            code("a.shape"),
        ),
        StepStatus.FAILED,
        stops_at="set_matplotlib_formats",
        failure="ImportError: cannot import name 'set_matplotlib_formats'",
        shows=("NumPy and Matplotlib examples", "inline"),
        kernelspec=None,
    ),
    NbconvertNotebook(
        "files/notebook3_with_errors.ipynb",
        (
            code('print(f"Hello world, my number is {24 - 1}")'),
            code('print("Some text before the error")\nraise RuntimeError("deliberate exception")'),
            code('print(f"The answer is: {43 - 1}")'),
        ),
        StepStatus.FAILED,
        stops_at="raise RuntimeError",
        failure="RuntimeError: ",
        shows=("my number is 23", "Some text before the error", "deliberate exception"),
        hides=("is: 42",),
        kernelspec=None,
    ),
    NbconvertNotebook(
        "files/notebook4_jpeg.ipynb",
        (
            code("import io\nfrom PIL import Image as Picture\nfrom IPython.display import Image"),
            code("file = io.BytesIO()\nPicture.new('RGB', (2, 2)).save(file, 'jpeg')"),
            code("Image(file.getvalue())"),
        ),
        elements=("main img[src^='data:image/jpeg']",),
    ),
    NbconvertNotebook(
        "files/notebook5_embed_images.ipynb",
        (
            markdown("![](./testimage.svg)"),
            markdown("<img src='./testimage.svg'></img>"),
            markdown("<div>\n    <img src='./testimage.svg'></img>\n</div>"),
        ),
        elements=("main img[src^='data:image/'] ~ img, main div img[src^='data:image/']", *PICTURE),
        hides=("./containerized_deployments.jpeg",),
        files=SVG_FILE,
    ),
    NbconvertNotebook(
        "files/notebook_jl.ipynb",
        (code("function foobar(x)\n    100x\nend"),),
        refused=("notebook_jl.ipynb", "'julia-0.4'", MISSING_KERNEL),
        kernelspec={"name": "julia-0.4", "display_name": "Julia", "language": "julia"},
    ),
    NbconvertNotebook(
        "files/notebook_tags.ipynb",
        (
            code('print("this cell should have tags in html output")', "mycelltag"),
            code('print("this cell should NOT have tags in html output")'),
            markdown("This markdown cell should **not** have tags in the html output"),
        ),
        shows=(
            "this cell should have tags",
            "this cell should NOT have tags",
            "This markdown cell",
        ),
        elements=("main strong",),
    ),
    NbconvertNotebook(
        "preprocessors/files/HelloWorld.ipynb",
        (code('print("Hello World")'),),
        shows=("Hello World",),
        kernelspec=None,
    ),
    NbconvertNotebook(
        "preprocessors/files/MixedMarkdown.ipynb",
        (code('print("this is a code cell")'), markdown("# This is a markdown cell")),
        shows=("this is a code cell", "This is a markdown cell"),
    ),
]
