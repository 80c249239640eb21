"""Importing the package does nothing but define names: a program decides what happens, and when."""

import ast
import json
import os
import subprocess
import sys

import pytest

from housing.paths import PROJECT_ROOT

pytestmark = pytest.mark.slow

PACKAGE = "housing"
# Imports first the libraries that the modules import at their top, then the modules, and observes
# what the modules alone change. Classes and functions of the libraries are compared by identity.
SCRIPT = """
import contextlib, importlib, inspect, json, logging, os, sys, warnings

libraries, modules = json.loads(sys.argv[1])
for name in libraries:
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module(name)

def public_state():
    state = {}
    for name in {library.partition(".")[0] for library in libraries}:
        for module_name, module in list(sys.modules.items()):
            if module is None or module_name.partition(".")[0] != name:
                continue
            for attribute, value in list(vars(module).items()):
                if inspect.isclass(value) and value.__module__ == module_name:
                    for member, content in list(vars(value).items()):
                        if callable(content):
                            state[f"{module_name}.{attribute}.{member}"] = id(content)
                elif callable(value):
                    state[f"{module_name}.{attribute}"] = id(value)
    return state

def settings():
    matplotlib, pandas = sys.modules["matplotlib"], sys.modules["pandas"]
    return {
        "environment": dict(os.environ),
        "warnings": [repr(filter) for filter in warnings.filters],
        "log handlers": [repr(handler) for handler in logging.root.handlers],
        "excepthook": repr(sys.excepthook),
        "finders": [repr(finder) for finder in sys.meta_path],
        "matplotlib": repr(matplotlib.rcParams),
        "pandas": repr(pandas.options.d),
    }

actions = []

def observe(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            actions.append(f"open {path} to write")
    elif event in (
        "os.putenv", "os.mkdir", "os.rename", "subprocess.Popen", "os.fork", "os.system",
        "ctypes.dlopen", "socket.connect", "sqlite3.connect", "signal.signal",
    ):
        actions.append(f"{event} {arguments[:1]}")

before, settings_before = public_state(), settings()
sys.addaudithook(observe)
for name in modules:
    importlib.import_module(name)
observed_actions = list(actions)
after = public_state()
print(json.dumps({
    "settings": [key for key, value in settings().items() if value != settings_before[key]],
    "patched": [name for name, identity in before.items() if after.get(name) != identity],
    "actions": observed_actions,
    "loaded": [name for name in ("mlflow", "lightgbm", "onnxruntime") if name in sys.modules],
}))
"""


def list_modules():
    """Return the names of the package's modules."""
    paths = (PROJECT_ROOT / PACKAGE).rglob("*.py")
    names = (path.relative_to(PROJECT_ROOT).with_suffix("").parts for path in paths)
    return sorted(".".join(parts).removesuffix(".__init__") for parts in names)


def list_libraries():
    """Return the modules of other packages that are imported when the package is."""
    libraries = set()
    for path in (PROJECT_ROOT / PACKAGE).rglob("*.py"):
        for node in ast.parse(path.read_text()).body:  # neither in functions nor for types only
            if isinstance(node, ast.Import):
                libraries |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                libraries.add(node.module)
                libraries |= {f"{node.module}.{alias.name}" for alias in node.names}  # or a name
    return sorted(name for name in libraries if name.partition(".")[0] != PACKAGE)


def test_importing_every_module_changes_nothing_and_writes_nothing(tmp_path):
    # not this process's: it has imported the modules, so a default they set would be there already
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    completed = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([list_libraries(), list_modules()])],
        cwd=tmp_path,
        env=environment | {"HOUSING_HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    assert json.loads(completed.stdout) == {
        "settings": [],
        "patched": [],
        "actions": [],
        "loaded": [],
    }
    assert completed.stderr == ""
    assert list(tmp_path.iterdir()) == [tmp_path / "a home"]  # the fixture's


def test_mlflow_is_imported_in_the_environment_of_the_project(tmp_path):
    """Its defaults hold for MLflow however it is reached, and do not override the user's."""
    code = (
        "import os; from housing.tracking import probe, mlflow_env; mlflow_env.load_mlflow(); "
        "print([os.environ[name] == value for name, value in probe.MLFLOW_ENVIRONMENT.items()])"
    )
    variable = "MLFLOW_HTTP_REQUEST_TIMEOUT"
    environment = {name: text for name, text in os.environ.items() if "MLFLOW" not in name}
    completed = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {variable: "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(completed.stdout.lower()) == [True, True, True, True, True, False]
