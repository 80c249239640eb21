"""Many commands of a project's script, each in a process of its own under odd surroundings.

    python -m tests.support.forked_commands <commands.json >results.json

The runner is imported once, and each command is a fork: it takes 20 ms, where a new process would
take 300. `run_commands` starts it.
"""

import ctypes
import json
import os
import resource
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PACKAGE_FOLDER = Path(__file__).parents[2]
SCRIPT = "run_pipeline.py"
PRELOADED_MODULES = (
    "pipeline.cli.main",
    "pipeline.cli.progress",
    "pipeline.cli.terminal_progress",
    "pipeline.execution.crash_recovery",
    "pipeline.execution.scheduler",
    "pipeline.report.pages.comparison",
    "pipeline.report.run_pages",
    "pipeline.report.exporter",
)
# of Linux: the version of the interface of capset(2), with two words for each set
CAPABILITY_VERSION = 0x20080522
CLOSED = "closed"


@dataclass
class Command:
    """A command of the script in a folder, and its surroundings."""

    arguments: list[str]
    folder: str
    environment: dict[str, str | None] = field(default_factory=dict)  # None: not set
    stdout: str = ""  # a file, or closed; default: it is captured
    umask: int = 0o022
    max_open_files: int = 0  # 0: as here
    privileged: bool = True  # whether root may ignore the permissions of files


@dataclass
class Result:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


def run_commands(commands: Sequence[Command], setup: str = "") -> list[Result]:
    """Run the commands one after the other; return how each ended.

    setup: shell commands that run before, in a namespace of their own in which file systems can be
    mounted. Raises CalledProcessError if they fail, or there is no such namespace.
    """
    words = [sys.executable, "-m", "tests.support.forked_commands"]
    if setup:
        script = f'{setup}\nexec "$@"'
        namespace = ["unshare", "--user", "--map-root-user", "--mount"]
        words = [*namespace, "sh", "-c", script, "sh", *words]
    completed = subprocess.run(
        words,
        input=json.dumps([asdict(command) for command in commands]),
        cwd=PACKAGE_FOLDER,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_FOLDER)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [Result(**content) for content in json.loads(completed.stdout)]


def main() -> None:
    """Run the commands of the JSON on stdin; write how each ended to stdout."""
    commands = [Command(**content) for content in json.load(sys.stdin)]
    for name in PRELOADED_MODULES:
        __import__(name)
    json.dump([asdict(_run(command)) for command in commands], sys.stdout)


def _run(command: Command) -> Result:
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process_id = os.fork()
        if not process_id:
            _run_in_fork(command, stdout.fileno(), stderr.fileno())
        _, status = os.waitpid(process_id, 0)
        stdout.seek(0)
        stderr.seek(0)
        texts = [stream.read().decode(errors="replace") for stream in (stdout, stderr)]
        return Result(os.waitstatus_to_exitcode(status), *texts)


def _run_in_fork(command: Command, stdout: int, stderr: int) -> None:
    """Be the command, and end this process."""
    exit_code: Any = 99
    try:
        os.chdir(command.folder)
        _redirect(command, stdout, stderr)
        _set_environment(command)
        sys.argv = [SCRIPT, *command.arguments]
        sys.orig_argv = [sys.executable, *sys.argv]
        os.umask(command.umask)
        if command.max_open_files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (command.max_open_files,) * 2)
        if not command.privileged:
            _drop_capabilities()
        runpy.run_path(SCRIPT, run_name="__main__")
        exit_code = 0
    except SystemExit as exit_error:
        exit_code = exit_error.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        _end(exit_code or 0)


def _redirect(command: Command, stdout: int, stderr: int) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(stderr, 2)
    if command.stdout == CLOSED:
        os.close(1)
        sys.stdout = None  # as in a new interpreter
        return
    os.dup2(os.open(command.stdout, os.O_WRONLY) if command.stdout else stdout, 1)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)


def _set_environment(command: Command) -> None:
    tempfile.tempdir = None
    for name, value in command.environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _drop_capabilities() -> None:
    """Make root obey the permissions of files, as any owner of files does."""
    if os.geteuid() == 0:
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
        if ctypes.CDLL(None, use_errno=True).capset(header, (ctypes.c_uint32 * 6)()):
            raise OSError(ctypes.get_errno(), "cannot drop the capabilities of root")


def _end(exit_code: int) -> None:
    """End as an interpreter does, which flushes stdout and complains if it cannot."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        os.write(2, f"Exception ignored in sys.stdout: {error}\n".encode())
        exit_code = 120
    os._exit(exit_code)


if __name__ == "__main__":
    main()
