"""Warm kernels give the results of cold ones: in forks of one process, and in real kernels."""

import json
import re
import subprocess
import sys
from functools import partial

import pytest

from tests.support.forked_imports import run_cases

# code -> the reason why its import must be done in a cold kernel
REFUSED_CASES = {
    "import os; os.environ['OPENBLAS_NUM_THREADS'] = '3'; import numpy": (
        "it sets OPENBLAS_NUM_THREADS before it imports numpy"
    ),
    "import ctypes; ctypes.CDLL(None).setenv(b'OMP_NUM_THREADS', b'3', 1); import numpy": (
        "it sets OMP_NUM_THREADS before it imports numpy"
    ),
    "import os; os.environ['MPLBACKEND'] = 'svg'; import matplotlib.pyplot": (
        "it sets MPLBACKEND before it imports matplotlib"
    ),
    "open('settings.env', 'w').write('OMP_NUM_THREADS=3')\n"
    "import os; os.environ.update(line.split('=') for line in open('settings.env'))\n"
    "import numpy": "it sets OMP_NUM_THREADS before it imports numpy",
    "import os; os.environ.clear(); import numpy": "it removes HOME before it imports numpy",
    "open('matplotlibrc', 'w').write('lines.linewidth: 7'); import matplotlib": (
        "it has matplotlibrc in its folder before it imports matplotlib"
    ),
    "open('extending.cfg', 'w').close(); import extending": (
        "it has extending.cfg in its folder before it imports extending"
    ),
    "import extended; extended.load = None; import extending": (
        "it replaces extended.load before it imports extending"
    ),
    "import sys; open('numpy.py', 'w').close(); sys.path.insert(0, ''); import numpy": (
        "it has another module numpy on its path before it imports numpy"
    ),
    "import sys; sys.modules['numpy'] = None; import matplotlib": (
        "it replaces the module numpy before it imports matplotlib"
    ),
    "import os; os.cpu_count = lambda: 7; import numpy": (
        "it replaces os.cpu_count before it imports numpy"
    ),
    "import builtins; builtins.sorted = list; import numpy": (
        "it replaces builtins.sorted before it imports numpy"
    ),
    "import json; json.loads = None; import numpy": (
        "it replaces json.loads before it imports numpy"
    ),
    "import subprocess; subprocess._args_from_interpreter_flags = None; import numpy": (
        "it replaces subprocess._args_from_interpreter_flags before it imports numpy"
    ),
    "import socket; socket.socket = None; import numpy": (
        "it replaces socket.socket before it imports numpy"
    ),
    "import os; os.name = 'other'; import numpy": "it replaces os.name before it imports numpy",
    "import numpy.linalg; numpy.linalg.norm = None; import matplotlib": (
        "it replaces numpy.linalg.norm before it imports matplotlib"
    ),
    "import sys; sys.setrecursionlimit(4321); import numpy": (
        "it sets the recursion limit before it imports numpy"
    ),
    "import locale; locale.setlocale(locale.LC_NUMERIC, 'C.UTF-8'); import numpy": (
        "it sets the locale before it imports numpy"
    ),
    "import logging; logging.basicConfig(level='DEBUG'); import matplotlib": (
        "it configures logging before it imports matplotlib"
    ),
    "import logging; logging.getLogger('matplotlib').setLevel('ERROR'); import matplotlib": (
        "it configures the logger matplotlib before it imports matplotlib"
    ),
    "import sys; sys.argv = ['program', '--option']; import numpy": (
        "it changes sys.argv before it imports numpy"
    ),
    "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()): import numpy": (
        "it replaces sys.stdout before it imports numpy"
    ),
    "import builtins; original = builtins.__import__\n"
    "builtins.__import__ = lambda *arguments: original(*arguments)\n"
    "import numpy": "it replaces builtins.__import__ before it imports numpy",
    "import sys; sys.addaudithook(lambda *_: None); import numpy": (
        "it adds an audit hook before it imports numpy"
    ),
    "import sys\nclass Finder:\n    find_spec = lambda *_: None\n"
    "sys.meta_path.append(Finder); import numpy": (
        "it changes sys.meta_path before it imports numpy"
    ),
    "import sys; sys.meta_path.pop(0); import numpy": (
        "it changes sys.meta_path before it imports numpy"
    ),
    "import sys; sys.path_hooks.pop(0); import numpy": (
        "it changes sys.path_hooks before it imports numpy"
    ),
    "import sys; sys.setprofile(lambda *_: None); import numpy": (
        "it sets a profile function before it imports numpy"
    ),
    "import tracemalloc; tracemalloc.start(); import numpy": (
        "it traces memory before it imports numpy"
    ),
}
LAZY_IMPORT = """
import importlib.util, sys
spec = importlib.util.find_spec("numpy")
spec.loader = importlib.util.LazyLoader(spec.loader)
sys.modules["numpy"] = numpy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(numpy)
print(numpy.arange(3).sum(), type(numpy), type(numpy.__loader__))
import matplotlib
print(sys.modules["numpy"] is numpy)
"""
EXTENDED_MODULE = """
class Table: pass
def load(): return "plain"
"""
EXTENDING_MODULE = """
import atexit, os, tempfile
import extended
tempfile.gettempdir()
extended.load = lambda: "extended"
extended.Table.summary = "added"
FOLDER, EXISTS = os.getcwd(), os.path.exists("extending.cfg")
atexit.register(print)
"""
SETTING_MODULE = """
import gc, os, signal, socket, sys, threading
sys.excepthook = print
os.umask(0o077); signal.signal(signal.SIGUSR1, print); sys.setrecursionlimit(3333)
socket.setdefaulttimeout(7); gc.disable(); threading.stack_size(1 << 20)
"""
SHOW_SETTINGS = """
import gc, os, signal, socket, sys
print(os.umask(0), signal.getsignal(signal.SIGUSR1), sys.getrecursionlimit())
print(socket.getdefaulttimeout(), gc.isenabled(), sys.excepthook)
"""
SHOW_EXTENSIONS = """
import atexit, extended
print(extended.load(), hasattr(extended.Table, "summary"), atexit._ncallbacks())
"""
EQUAL_CASES = [
    f"{SHOW_SETTINGS}\nimport setting; {SHOW_SETTINGS}",
    f"import os, tempfile; os.environ['TMPDIR'] = '/var/tmp'; print(tempfile.gettempdir())\n"
    f"{SHOW_EXTENSIONS}",
    f"{SHOW_EXTENSIONS}\nimport extending, os; {SHOW_EXTENSIONS}\n"
    "print(os.path.relpath(extending.FOLDER), extending.EXISTS)\nimport numpy",
    LAZY_IMPORT,
    "import importlib.util; spec = importlib.util.find_spec('numpy')\n"
    "print(type(spec.loader), spec.origin, spec.submodule_search_locations, spec.has_location)\n"
    "print(spec.loader.get_source('numpy') == open(spec.origin).read(), spec.loader.path)\n"
    "import pkgutil; print(pkgutil.get_data('numpy', 'version.py')[:30])\n"
    "import numpy; print(type(numpy.__loader__), type(numpy.__spec__.loader))",
    "import os, random, site, warnings\n"
    "os.mkdir('vendor'); open('vendor/numpy.py', 'w').close()\n"
    "site.addsitedir('vendor'); os.environ['XQZ'] = '0'; os.chdir('/'); random.seed(1)\n"
    "warnings.simplefilter('error'); import numpy\n"
    "print(numpy.arange(2), os.getcwd(), random.random(), warnings.filters[:2])",
    "import atexit; print(atexit._ncallbacks())\n"
    "import numpy; numpy.random.seed(3); numpy.seterr(all='raise')\n"
    "import matplotlib; matplotlib.rcParams['lines.linewidth'] = 7\n"
    "from matplotlib import pyplot; print(pyplot.rcParams['lines.linewidth'])\n"
    "print(numpy.random.random(), numpy.geterr(), atexit._ncallbacks())",
    "import threading; results = []\n"
    "def add():\n    import numpy; results.append(numpy.arange(5).sum())\n"
    "thread = threading.Thread(target=add); thread.start(); thread.join(); print(results)\n"
    "import importlib, numpy.version; module = importlib.reload(numpy.version)\n"
    "print(module is numpy.version, module.__spec__.origin)",
]
INVENTORY = """
import atexit, gc, json, locale, multiprocessing.util, os, resource, signal, sys, threading
import warnings

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
        "exit callbacks": atexit._ncallbacks(),
        "finders": [type(finder).__name__ for finder in sys.meta_path
                    if type(finder).__name__ != "HandoverFinder"],
        "command": sys.orig_argv[1:4], "started in": multiprocessing.process.ORIGINAL_DIR,
    }

inventories = [take_inventory()]
"""
INVENTORY_CELLS = [
    INVENTORY,
    "import numpy\ninventories.append(take_inventory())",
    "import matplotlib\nhasattr(matplotlib, 'pyplot'), 'matplotlib.pyplot' in sys.modules",
    "import requests, pandas\n"  # requests appends filters of warnings to the others
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
def test_an_import_is_refused_or_gives_what_it_gives_cold(tmp_path):
    (tmp_path / "extended.py").write_text(EXTENDED_MODULE)
    (tmp_path / "extending.py").write_text(EXTENDING_MODULE)
    (tmp_path / "setting.py").write_text(SETTING_MODULE)
    cases = {code: {"code": code, "cold": False} for code in REFUSED_CASES}
    cases |= {code: {"code": code, "cold": True} for code in EQUAL_CASES}
    results = run_cases(["numpy", "matplotlib.pyplot", "extending", "setting"], cases, tmp_path)
    assert {code: results[code]["reason"] for code in REFUSED_CASES} == REFUSED_CASES
    equal_results = [results[code] for code in EQUAL_CASES]
    assert [result["warm"] or result["reason"] for result in equal_results] == [
        result["cold"] for result in equal_results
    ]
    assert all(result["cold"] and "Traceback" not in result["cold"] for result in equal_results)


@pytest.mark.slow
def test_steps_give_the_same_in_warm_and_cold_kernels(make_project, make_step, tmp_path):
    """A step that must start cold says so, leaves nothing of its first attempt, is remembered."""
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "numpy.py").write_text("VENDORED = 'vendored'\n")
    started = "open('starts', 'a').write('x'); print('started')"
    vendored = ["import sys; sys.path.insert(0, 'vendor')", "import numpy; print(numpy.VENDORED)"]
    never_imported = "if False:\n    import matplotlib.pyplot"
    project = make_project(
        make_step("one", *INVENTORY_CELLS, never_imported),
        make_step("path", started, *vendored, needs=(), retries=0),
    )
    command = [sys.executable, str(tmp_path / "run_pipeline.py"), "--jobs", "1"]
    run = partial(subprocess.run, cwd="/", capture_output=True, text=True)
    completed = run(command)
    assert completed.returncode == 0, completed.stdout
    reason = "it has another module numpy on its path before it imports numpy"
    steps = {step.name: step for step in project.latest_record.steps}
    assert [step.cold_start for step in steps.values()] == ["", reason]
    assert steps["path"].attempts == []
    assert re.findall(".*again, cold.*", completed.stdout) == [
        f"path       starts again, cold: {reason}"
    ]
    assert f"because {reason}" in project.report_html("path")
    assert printed(project.executed_notebook("path")) == ["started\n", "vendored\n"]
    assert (tmp_path / "starts").read_text() == "xx"
    assert list(json.loads((tmp_path / "var" / "cold_starts.json").read_text())) == ["path"]
    warm_inventories = json.loads((tmp_path / "inventory.json").read_text())
    warm_outputs = printed(project.executed_notebook("one"))
    completed = run([*command, "--force", "one", "--cold"])
    assert completed.returncode == 0, completed.stdout
    assert warm_outputs == printed(project.executed_notebook("one"))
    cold_inventories = json.loads((tmp_path / "inventory.json").read_text())
    for warm, cold in zip(warm_inventories, cold_inventories, strict=True):
        assert warm == cold
