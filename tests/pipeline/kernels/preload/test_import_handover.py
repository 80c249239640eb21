"""Warm kernels give the results of cold ones: in real kernels."""

import json
import re

import pytest

# the second step runs in a kernel that has numpy and matplotlib in advance
PRELOADING_CELL = "import numpy, matplotlib.pyplot"
REASONS = {
    "environment": (
        ["import os\nos.environ['OPENBLAS_NUM_THREADS'] = '3'", "import numpy"],
        "it sets OPENBLAS_NUM_THREADS before it imports numpy",
    ),
    "c_environment": (
        ["import ctypes; ctypes.CDLL(None).setenv(b'OMP_NUM_THREADS', b'3', 1)", "import numpy"],
        "it sets OMP_NUM_THREADS before it imports numpy",
    ),
    "path": (
        ["import sys; sys.path.insert(0, 'vendor')", "import numpy; print(numpy.VENDORED)"],
        "it has another module numpy on its path before it imports numpy",
    ),
    "fake": (
        [
            "import sys; sys.modules['numpy'] = None",
            "try:\n    import matplotlib.pyplot\nexcept ImportError:\n    print('refused')",
        ],
        "it replaces the module numpy before it imports matplotlib",
    ),
    "patched": (
        ["import os; os.cpu_count = lambda: 7", "import numpy"],
        "it replaces os.cpu_count before it imports numpy",
    ),
    "recursion": (
        ["import sys; sys.setrecursionlimit(4321)", "import numpy; sys.getrecursionlimit()"],
        "it sets the recursion limit before it imports numpy",
    ),
}
INVENTORY = """
import gc, json, locale, os, resource, signal, sys, threading, warnings

def take_inventory():
    ours = ("pipeline", "multiprocessing", "_multiprocessing", "mmap", "__mp_main__")
    return {
        "modules": sorted(name for name in sys.modules if not name.startswith(ours)),
        "flags": str(sys.flags), "path": sys.path, "name": sys.argv[0],
        "main": sorted(vars(sys.modules["__main__"])),
        "variables": {name: value for name, value in os.environ.items()
                      if not name.startswith(("PIPELINE_", "JPY_"))},
        "filters": [str(entry) for entry in warnings.filters],
        "locale": locale.setlocale(locale.LC_ALL), "umask": os.umask(0o022),
        "signals": [str(signal.getsignal(number)).split(" at ")[0]
                    for number in signal.valid_signals()],
        "niceness": os.nice(0), "collector": [gc.isenabled(), gc.get_threshold()],
        "limits": [resource.getrlimit(getattr(resource, name))
                   for name in dir(resource) if name.startswith("RLIMIT")],
        "recursion": sys.getrecursionlimit(), "threads": threading.active_count(),
    }

inventories = [take_inventory()]
"""
INVENTORY_CELLS = [
    INVENTORY,
    "import numpy\ninventories.append(take_inventory())",
    "import matplotlib\nhasattr(matplotlib, 'pyplot'), 'matplotlib.pyplot' in sys.modules",
    "import requests, sklearn, pandas\n"  # requests appends filters of warnings to the others
    "print(pandas.options.display.max_columns, numpy.__spec__.origin)\n"
    "inventories.append(take_inventory())",
    "del sys.modules['numpy']\n"
    "try:\n    import numpy\nexcept ImportError as error:\n    print(str(error)[:60])",
    "json.dump(inventories, open('inventory.json', 'w'))",
]


def printed(notebook):
    """Return the outputs of a notebook's cells, without what differs at each execution."""
    return [
        re.sub(r"ipykernel_\d+", "", output.get("text") or output.get("data", {})["text/plain"])
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type != "error"
    ]


@pytest.mark.slow
def test_a_warm_kernel_looks_like_a_cold_one(make_project, make_step, tmp_path):
    never_imported = "if False:\n    import sklearn.ensemble, matplotlib.pyplot"
    cells = [*INVENTORY_CELLS, never_imported]
    project = make_project(make_step("one", *cells))
    inventories, outputs = [], []
    for flags in ([], ["--cold"]):
        exit_code, output = project.run("--force", *flags)
        assert (exit_code, project.latest_record.steps[0].cold_start) == (0, ""), output
        inventories.append(json.loads((tmp_path / "inventory.json").read_text()))
        outputs.append(printed(project.executed_notebook("one")))
    assert outputs[0] == outputs[1]
    for warm, cold in zip(*inventories, strict=True):
        assert warm == cold


@pytest.mark.slow
def test_what_an_import_depends_on_starts_the_step_cold(make_project, make_step, tmp_path):
    """The step says so, leaves nothing of the first attempt, and remembers it."""
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "numpy.py").write_text("VENDORED = 'vendored'\n")
    started = "open('starts', 'a').write('x'); print('started')"
    steps = [
        make_step(name, PRELOADING_CELL if name == "first" else started, *cells, retries=0)
        for name, (cells, _) in {"first": ([], ""), **REASONS}.items()
    ]
    project = make_project(*steps)
    exit_code, output = project.run("--jobs", "1")
    assert exit_code == 0, output
    records = {step.name: step for step in project.latest_record.steps}
    assert {name: records[name].cold_start for name in REASONS} == {
        name: reason for name, (_, reason) in REASONS.items()
    }
    assert records["first"].cold_start == ""
    for name, (_, reason) in REASONS.items():
        assert f"starts again, cold: {reason}" in output
        assert f"because {reason}" in project.report_html(name)
        assert records[name].attempts == []
        assert json.dumps(printed(project.executed_notebook(name))).count("started") == 1
    assert "vendored" in str(printed(project.executed_notebook("path")))
    assert "4321" in str(printed(project.executed_notebook("recursion")))
    (tmp_path / "starts").unlink()
    _, output = project.run("--force", "environment")
    assert "starts again" not in output
    assert (tmp_path / "starts").read_text() == "x"
