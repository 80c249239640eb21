"""Find out how this process was started, so that users are shown a command that works for them."""

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from pipeline.definition.overrides import ENVIRONMENT_PREFIX
from pipeline.runs.invocation import Invocation
from pipeline.workspace import Workspace


def current_invocation(
    arguments: list[str], workspace: Workspace, variable_names: Iterable[str] = ()
) -> Invocation:
    """Return how this process was started.

    arguments: of the script. variable_names: the environment variables that matter besides those
    that set parameters.
    """
    names = [*variable_names, *sorted(filter(_is_parameter_variable, os.environ))]
    folder = Path.cwd()
    return Invocation(
        command=[_interpreter(), *_script_words()],
        arguments=arguments,
        variables={name: os.environ[name] for name in names if name in os.environ},
        folder="" if folder == workspace.project else workspace.to_portable(str(folder)),
    )


def _is_parameter_variable(name: str) -> bool:
    return name.startswith(ENVIRONMENT_PREFIX)


def _interpreter() -> str:
    """Return the interpreter as a word that starts it from this folder.

    The name that was typed stands for an interpreter that every shell finds; that of a virtual
    environment is a path, as the next shell may have activated another one.
    """
    typed_name = sys.orig_argv[0] if sys.orig_argv else ""
    is_environment = sys.prefix != sys.base_prefix or "CONDA_PREFIX" in os.environ
    if not is_environment and typed_name and os.sep not in typed_name:
        path = shutil.which(typed_name)
        if path and os.path.realpath(path) == os.path.realpath(sys.executable):
            return typed_name
    return relative_to_here(sys.executable or "python")


def relative_to_here(path: str) -> str:
    """Return the path relative to the current folder if it is below that."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


def _script_words() -> list[str]:
    """Return the interpreter's options and the script, such as -X dev run_pipeline.py.

    The script alone if it was not started from a command line, but by %run in a notebook.
    """
    n_arguments = len(sys.argv) - 1
    words = sys.orig_argv[1 : len(sys.orig_argv) - n_arguments]
    is_script = words[-1:] == sys.argv[:1] or words[-2:-1] in (["-m"], ["-c"])
    is_complete = sys.orig_argv[len(sys.orig_argv) - n_arguments :] == sys.argv[1:]
    return words if is_script and is_complete else sys.argv[:1]
