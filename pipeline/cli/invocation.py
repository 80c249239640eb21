"""Find out how this process was started, so that users are shown a command that works for them."""

import itertools
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.definition.overrides import ENVIRONMENT_PREFIX
from pipeline.runs.invocation import Invocation
from pipeline.workspace import Workspace

DEFAULT_SCRIPT = "run_pipeline.py"


def is_kernel() -> bool:
    """Return whether sys.argv has the arguments of a notebook's kernel; %run sets a script's."""
    path = Path(sys.argv[0])
    return path.stem == "ipykernel_launcher" or path.parent.name == "ipykernel"


def script_name() -> str:
    """Return the name of the script, as users type it."""
    name = Path(sys.argv[0]).name
    return DEFAULT_SCRIPT if is_kernel() or name in ("", "-", "-c") else name


def current_invocation(
    arguments: list[str], workspace: Workspace, variable_names: Iterable[str] = ()
) -> Invocation:
    """Return how this process was started, or that `main` was called with the arguments.

    variable_names: the environment variables that matter besides those that set parameters.
    """
    names = [*variable_names, *sorted(filter(_is_parameter_variable, os.environ))]
    folder = Path.cwd()
    is_typed = arguments == sys.argv[1:] and sys.argv[0] != "" and not is_kernel()
    return Invocation(
        command=[_interpreter(), *_script_words()] if is_typed else [],
        arguments=arguments,
        variables={name: os.environ[name] for name in names if name in os.environ},
        folder="" if folder == workspace.project else workspace.to_portable(str(folder)),
        note="; ".join(_describe_pipes(arguments)),
    )


def _describe_pipes(arguments: list[str]) -> Iterator[str]:
    """Yield a sentence for each input that cannot be read again, as by --params <(command)."""
    values = [value for name, value in itertools.pairwise(arguments) if name == "--params"]
    values += [word.partition("=")[2] for word in arguments if word.startswith("--params=")]
    for path in map(Path, values):
        if path.exists() and not path.is_file():
            yield f"{path} was a pipe: name a file with the same parameters"
    if sys.argv[0] == "-":
        yield "the script came from stdin: it is needed there again"


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
