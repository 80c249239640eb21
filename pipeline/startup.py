"""Say in one sentence what the Python lacks that has started a script, and how to start it.

This module is imported by the interpreter that users happen to have: it needs the standard library
of Python 3.6 only.
"""

import importlib.util
import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn

MIN_PYTHON = (3, 11)
EXIT_CODE = 2  # nothing was started
MAX_NAMED_PACKAGES = 3
# what a run needs, by the names of the modules
RUNNER_PACKAGES = (
    "papermill",
    "nbclient",
    "nbconvert",
    "nbformat",
    "ipykernel",
    "jupyter_client",
    "jinja2",
    "psutil",
    "yaml",
    "rich",
)
# the folders of a virtual environment beside the script, and its interpreter
ENVIRONMENT_FOLDERS = (".venv", "venv", "env")
INTERPRETERS = ("bin/python", "Scripts/python.exe")


def require_python() -> None:
    """Exit with a sentence if this Python is too old."""
    if sys.version_info < MIN_PYTHON:
        exit_with_advice(
            "Python {} is too old: " + ".".join(map(str, MIN_PYTHON)) + " or newer is needed"
        )


def require_packages() -> None:
    """Exit with a sentence if this Python lacks a package that every run needs."""
    missing = [name for name in RUNNER_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        n_more = len(missing) - MAX_NAMED_PACKAGES
        names = ", ".join(missing[:MAX_NAMED_PACKAGES])
        more = f" and {n_more} more packages" if n_more > 0 else ""
        exit_with_advice("this Python ({}) has no " + names + more)


def explain_import_error(error: Exception) -> NoReturn:
    """Exit with a sentence if an import failed as this Python lacks a package, or is too old.

    Raises the error if it has another cause.
    """
    require_python()
    package = (getattr(error, "name", None) or "").partition(".")[0]
    is_missing = isinstance(error, ModuleNotFoundError) and package and not _is_ours(package)
    if not is_missing:
        raise error
    exit_with_advice("this Python ({}) has no " + package)


def _is_ours(package: str) -> bool:
    """Return whether a package is a folder beside the script: then its code is wrong."""
    folder = _script_folder()
    return (folder / package).is_dir() or (folder / (package + ".py")).exists()


def exit_with_advice(problem: str) -> NoReturn:
    """Exit, and say what the problem is and which command works.

    problem: a sentence in which {} stands for the version of this Python.
    """
    version = "{}.{}.{}".format(*sys.version_info[:3])
    sys.stderr.write("{}; {}\n".format(problem.replace("{}", version, 1), find_advice()))
    raise SystemExit(EXIT_CODE)


def find_advice() -> str:
    """Return the end of the sentence: the command that starts the script with what it needs."""
    words = " ".join(shlex.quote(word) for word in _script_words())
    interpreter = find_interpreter()
    if interpreter:
        return f"start it with: {shlex.quote(interpreter)} {words}"
    if (_script_folder() / "Makefile").exists():
        folder = os.path.relpath(str(_script_folder()))
        option = "" if folder == "." else " -C " + shlex.quote(folder)
        return f"this sets up what it needs and starts it: make{option} run"
    return f"install what it needs: {sys.executable or 'python'} -m pip install -e '.[run]'"


def find_interpreter() -> str:
    """Return the interpreter of the environment beside the script, or of the active one.

    Empty if there is none, or if it is the one that runs.
    """
    environments = [_script_folder() / name for name in ENVIRONMENT_FOLDERS]
    active = (os.environ.get(name) for name in ("VIRTUAL_ENV", "CONDA_PREFIX"))
    environments += [Path(folder) for folder in active if folder]
    for environment in environments:
        is_current = os.path.realpath(str(environment)) == os.path.realpath(sys.prefix)
        for name in INTERPRETERS:
            if (environment / name).exists() and not is_current:
                path = str(environment / name)
                relative_path = os.path.relpath(path)
                return path if relative_path.startswith("..") else relative_path
    return ""


def _script_folder() -> Path:
    return Path.cwd() / Path(sys.argv[0]).parent


def _script_words() -> list:
    """Return the script and its arguments as they were typed; python -m NAME for a package."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = getattr(spec, "name", "")
    if name:
        package = name[: -len(".__main__")] if name.endswith(".__main__") else name
        return ["-m", package, *sys.argv[1:]]
    return list(sys.argv)
