"""A notebook with every kind of output, and a notebook that can fail."""
# ruff: noqa: E501

import nbformat

SHOWCASE_CELLS = [
    "# Everything a notebook may show\n\nWhich kinds of output does a report show, and how?",
    ("parameters", "rows: int = 40  # how many"),
    """import json, os, sys, warnings
import numpy as np, pandas as pd
import matplotlib.pyplot as plt
from IPython.display import HTML, SVG, Latex, Markdown, Math, display""",
    "## The bottom line",
    'Markdown(f"**{rows} rows**, worth $1,200 each or $48,000 in all; the mean is $\\\\bar x = 1.5$.")',
    "## Text\n\nA formula, $\\hat y = \\frac{1}{n}\\sum_i x_i$, and prices: $5 and $7.",
    r"""print("plain <script>alert(1)</script> & co")
print("\x1b[31mred\x1b[0m \x1b[1;32mbold green\x1b[0m \x1b[33myellow\x1b[0m \x1b[35mmagenta\x1b[0m")""",
    'warnings.warn("this is a warning")\nprint("to stderr", file=sys.stderr)',
    'for number in range(30_000):\n    print(f"line {number} of a huge output")',
    "## HTML",
    """HTML("<p>a script ran in here</p><script>document.body.dataset.ran = 'yes';"
     "try { parent.document.title = 'owned' } catch {}</script>")""",
    "HTML(\"<img src='https://example.com/x.png' onerror='alert(1)'><b onclick=alert(1)>bold</b>\")",
    "HTML(\"<script src='https://cdn.example.com/plot.js'></script><p>a plot</p>\")",
    r'display(Latex(r"$$\int_0^1 x^2 dx = \frac13$$"), Math("a^2+b^2"))',
    """SVG("<svg xmlns='http://www.w3.org/2000/svg' width='120' height='40'>"
    "<rect width='120' height='40' fill='#3b6fb6'/><script>alert(1)</script></svg>")""",
    "## Tables",
    """frame = pd.DataFrame({"name": [f"row {n}" for n in range(rows)], "value": np.arange(rows) * 7 % 11})
frame""",
    'pd.options.display.max_rows = 2000\npd.DataFrame(np.arange(6000).reshape(1500, 4), columns=list("abcd"))',
    'frame.head(4).style.background_gradient(subset=["value"])',
    "pd.DataFrame(np.ones((3, 40)))",
    "## Pictures",
    'plt.plot(np.sin(np.linspace(0, rows, 200)))\nplt.title("A sine wave");',
    "## Widgets",
    "from tqdm.auto import tqdm\nfor _ in tqdm(range(50)):\n    pass",
    """gone = {"application/vnd.jupyter.widget-view+json": {"model_id": "nowhere"}}
display({**gone, "text/plain": "Gone(value=1)"}, raw=True)""",
]
FAILING_CELLS = [
    "# Training\n\nDoes it break?",
    ("parameters", "divisor: int = 1  # 0 breaks it"),
    "## The data",
    'print("some output before")',
    "## The search",
    'print("about to divide")\nresult = 10 / divisor\nresult',
    "## Afterwards",
    "1 + 1",
]


def write_notebook(path, cells):
    """Write a notebook and return its path.

    cells: a tuple (tag, code) is a tagged code cell, a text that starts with # is markdown, and
    any other text is code.
    """
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    for cell in cells:
        if isinstance(cell, tuple):
            notebook.cells.append(nbformat.v4.new_code_cell(cell[1], metadata={"tags": [cell[0]]}))
        elif cell.startswith("#"):
            notebook.cells.append(nbformat.v4.new_markdown_cell(cell))
        else:
            notebook.cells.append(nbformat.v4.new_code_cell(cell))
    nbformat.write(notebook, path)
    return path


def write_showcase_notebook(path):
    """Write the notebook with every kind of output; return its path."""
    return write_notebook(path, SHOWCASE_CELLS)


def write_failing_notebook(path):
    """Write the notebook that fails if its parameter divisor is 0; return its path."""
    return write_notebook(path, FAILING_CELLS)
