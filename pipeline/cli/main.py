"""The entry point of a project's script: parse the command line and do what it says."""

import errno
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.cli.commands import RunnerCommands
from pipeline.cli.invocation import current_invocation, is_kernel, script_name
from pipeline.cli.parser import AddCommand, CommandLine, Option
from pipeline.definition.project import CommitComparison, Project
from pipeline.definition.steps import Step
from pipeline.runs.os_errors import explain_os_error
from pipeline.runs.prune import PinnedRuns
from pipeline.workspace import Workspace

CTRL_C_EXIT_CODE = 130
# that name no file: they come from stdout, as all else that is written has a name
OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def main(
    pipeline: list[Step],
    home: Path,
    arguments: list[str] | None = None,
    *,
    project_folder: Path | None = None,
    commands: Sequence[Callable[[AddCommand], None]] = (),
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, Option] | None = None,
    pinned_runs: PinnedRuns = dict,
    grouping_fact: str = "",
    compare_commits: CommitComparison | None = None,
    variables: Sequence[str] = (),
) -> int:
    """Do what the command line says and return the exit code.

    0: done, or nothing to do. 1: a step or the command failed (RuntimeError, OSError). 2: the
    command line is wrong (ValueError, LookupError), or a folder cannot be used (OSError), and
    nothing was started. 3: the verdict of an on-demand step is as bad as --fail-on says, or worse.
    130, 143: stopped by Ctrl-C, by SIGTERM.

    home: the folder for var/ and reports/. arguments: default sys.argv[1:]. What a project adds:
    project_folder: of its code; default home. A moved project, with its home, stays up to date.
    commands: functions that add the project's own commands by the function that they are called
    with. environment: variables of the kernels, unless the user's environment sets them. options:
    "--name" -> the variable it sets in the kernels' environment. pinned_runs: returns run id ->
    reason for the runs that something outside depends on; they are marked, and never deleted.
    grouping_fact: the name of a fact that notebooks publish; only runs with the same text of it, up
    to a comma, are compared by default. compare_commits: adds a table to the page that compares two
    runs. variables: names of environment variables that the script reads; a command that users are
    shown repeats those that are set.
    """
    _open_closed_streams()
    if not _has_current_folder():
        _print_error("the current folder has been deleted; change to another one first")
        return 2
    if arguments is None:
        _restart_in_utf8()
    _escape_unprintable_characters()
    if arguments is None:
        arguments = [] if is_kernel() else sys.argv[1:]
    workspace = Workspace(home, project_folder)
    option_variables = [option.variable for option in (options or {}).values()]
    project = Project(
        workspace=workspace,
        script=script_name(),
        environment=environment or {},
        pinned_runs=pinned_runs,
        grouping_fact=grouping_fact,
        compare_commits=compare_commits,
        invocation=current_invocation(arguments, workspace, [*variables, *option_variables]),
    )
    command_line = CommandLine(project.script, pipeline)
    RunnerCommands(project, pipeline, options or {}).add_to(command_line)
    for add_commands in commands:
        add_commands(command_line.add_command)
    return _run_command(command_line, arguments)


def _run_command(command_line: CommandLine, arguments: list[str]) -> int:
    """Run the command; print an error as a sentence. Return the exit code, as `main` does."""
    exit_code = 0
    try:
        exit_code = command_line.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has enough
        _discard_output()
    except (ValueError, LookupError) as error:
        # the text of a KeyError has quotes around it
        _print_error(error.args[0] if isinstance(error, KeyError) and error.args else error)
        return 2
    except OSError as error:
        return _explain_failure(error)
    except RuntimeError as error:
        _print_error(error)
        return 1
    except KeyboardInterrupt:
        _print_error("stopped by Ctrl-C")
        return CTRL_C_EXIT_CODE
    return exit_code


def _explain_failure(error: OSError) -> int:
    """Print what went wrong and the way out; return the exit code."""
    explanation = explain_os_error(error)
    if error.errno in OUTPUT_ERRORS and error.filename is None:
        _discard_output()
        _print_error(f"the output cannot be written: {error.strerror}")
    else:
        _print_error(explanation or error)
    return 2 if explanation else 1


def _discard_output() -> None:
    """Discard what has not been printed yet: the interpreter would try again at its end."""
    with suppress(OSError, ValueError):  # stdout is no file in a notebook
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_error(message: object) -> None:
    """Print to stderr; the exit code tells of the error even if that cannot be written."""
    with suppress(OSError):
        print(message, file=sys.stderr, flush=True)


def _open_closed_streams() -> None:
    """Open standard streams that the caller has closed, as by >&-; what is printed is discarded.

    Else the next file that is opened would get the number of a standard stream.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _escape_unprintable_characters() -> None:
    """Print escapes for what the terminal cannot show, which is no failure."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _has_current_folder() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _restart_in_utf8() -> None:
    """Start the script again in Python's UTF-8 mode if file names have another encoding.

    As with the locale C and without its coercion, where a name with an umlaut cannot be used.
    """
    is_script = Path(sys.argv[0]).is_file()  # what came from a pipe cannot be read again
    is_first_start = os.environ.get("PYTHONUTF8") != "1"  # else it has no effect, as with -E
    if is_script and is_first_start and sys.getfilesystemencoding() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"  # for the kernels, too
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
