"""Say in one sentence what the Python lacks that has started the service, and how to start it.

This module is imported by the interpreter that users happen to have: it needs the standard library
of Python 3.7 only.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn

MIN_PYTHON = (3, 11)
PROJECT_FOLDER = Path(__file__).resolve().parents[1]
OUR_PACKAGES = ("app", "housing")


def explain_import_error(error: Exception, module: str, make_target: str = "") -> NoReturn:
    """Exit with code 2 and a sentence if this Python lacks a package, or is too old.

    module: as it was started by python -m. make_target: that does the same. Raises the error if it
    has another cause.
    """
    version = "{}.{}.{}".format(*sys.version_info[:3])
    package = (getattr(error, "name", None) or "").partition(".")[0]
    if sys.version_info < MIN_PYTHON:
        problem = f"Python {version} is too old: {MIN_PYTHON[0]}.{MIN_PYTHON[1]} or newer is needed"
    elif isinstance(error, ModuleNotFoundError) and package and package not in OUR_PACKAGES:
        problem = f"this Python ({version}) has no {package}"
    else:
        raise error
    sys.stderr.write(f"{problem}; {_find_advice(module, make_target)}\n")
    raise SystemExit(2)


def _find_advice(module: str, make_target: str) -> str:
    """Return the end of the sentence: the command that starts the module with what it needs."""
    arguments = ["-m", module, *sys.argv[1:]]
    environment = PROJECT_FOLDER / ".venv"
    is_current = os.path.realpath(environment) == os.path.realpath(sys.prefix)
    if (environment / "bin" / "python").exists() and not is_current:
        path = os.path.relpath(environment / "bin" / "python")
        interpreter = str(environment / "bin" / "python") if path.startswith("..") else path
        return "start it with: " + " ".join(map(shlex.quote, [interpreter, *arguments]))
    if (PROJECT_FOLDER / "Makefile").exists() and make_target:
        folder = os.path.relpath(PROJECT_FOLDER)
        option = "" if folder == "." else f" -C {shlex.quote(folder)}"
        return f"this sets up what it needs and starts it: make{option} {make_target}"
    requirements = shlex.quote(os.path.relpath(PROJECT_FOLDER / "requirements-serve.txt"))
    interpreter = shlex.quote(sys.executable or "python")
    return f"install what it needs: {interpreter} -m pip install -r {requirements}"
