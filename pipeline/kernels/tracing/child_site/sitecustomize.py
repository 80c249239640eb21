"""Have a Python process that a notebook starts record what it opens, as the notebook's kernel does.

Python imports this module at its start: the kernel puts its folder first on the PYTHONPATH of what
it starts. Another module sitecustomize that it hides takes its place, and neither its folder nor
the runner is left where the process finds modules. It must not fail in any version of Python.
"""

import os
import sys
from pathlib import Path

TRACE_VARIABLE = "PIPELINE_CHILD_TRACE"  # as in `pipeline.kernels.protocol`
OWN_FOLDER = Path(__file__).resolve().parent
RUNNER_LEVEL = 3  # of OWN_FOLDER's parents, the one that has the package `pipeline`


def leave() -> None:
    """Leave the search path, and import the module that this one hides."""
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != OWN_FOLDER]
    own_module = sys.modules.pop(__name__)
    try:
        import sitecustomize  # noqa: F401
    except ImportError:
        sys.modules[__name__] = own_module


def start_tracing() -> None:
    """Start to record, if this is the version of Python that the kernel has."""
    version, _, options = os.environ.get(TRACE_VARIABLE, "").partition(":")
    trace_path, _, secret_variables = options.rpartition(":")
    if version != str(sys.hexversion) or not Path(trace_path).exists():
        return
    if not all(map(os.environ.get, filter(None, secret_variables.split("=")))):
        return  # a secret that it does not know could not be hidden
    runner_folder = str(OWN_FOLDER.parents[RUNNER_LEVEL])
    earlier_modules = set(sys.modules)
    sys.path.insert(0, runner_folder)
    try:
        from pipeline.kernels.tracing import file_tracer

        file_tracer.trace_child(trace_path, secret_variables.split("="))
    finally:
        sys.path.remove(runner_folder)
        for name in set(sys.modules) - earlier_modules:
            if name.partition(".")[0] == "pipeline":
                del sys.modules[name]


try:
    start_tracing()
finally:
    leave()
