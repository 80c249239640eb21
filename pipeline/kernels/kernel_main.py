"""The entry point of a notebook's kernel: ipykernel, which records the files it opens.

    python -P -m pipeline.kernels.kernel_main -f CONNECTION_FILE

The environment tells it where to record accesses and output; notebooks do not see the variables.
"""

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ipykernel.kernelapp import IPKernelApp
from IPython.core.autocall import ZMQExitAutocall
from jupyter_client.jsonutil import json_default

from pipeline.kernels.protocol import (
    ACCESS_LOG_VARIABLE,
    OUTPUT_FOLDER_VARIABLE,
    SECRETS_VARIABLE,
)
from pipeline.kernels.tracing import file_tracer, import_tracer

SURROGATE_PATTERN = re.compile("[\ud800-\udfff]")


class KernelApp(IPKernelApp):
    """ipykernel, which keeps a copy of what is printed, and ends a cell that calls exit()."""

    # called when the kernel is ready, before any of the user's code runs
    before_user_code: Sequence[Callable[[], None]] = ()

    def initialize(self, argv: list[str] | None = None) -> None:
        """Prepare the kernel."""
        super().initialize(argv)
        shell: Any = self.shell
        end_cell = _EndCell(shell)
        shell.push({"exit": end_cell, "quit": end_cell}, interactive=False)
        _end_forks_with_their_cell(shell)
        shell.events.register("post_run_cell", _replace_missing_streams)
        _send_lone_surrogates(self.session)

    def init_extensions(self) -> None:
        """Load the user's extensions, whose code is the first of the user's that runs."""
        for callback in self.before_user_code:
            callback()
        super().init_extensions()

    def init_io(self) -> None:
        """Have what is printed written to files too, at once: a killed kernel's messages get lost.

        The folder that the environment names has the files stdout and stderr.
        """
        super().init_io()
        folder = os.environ.pop(OUTPUT_FOLDER_VARIABLE, "")
        streams: list[Any] = [sys.stdout, sys.stderr] if folder else []
        for stream in streams:
            file: Any = io.FileIO(f"{folder}/{stream.name}", "a")
            stream.echo = io.TextIOWrapper(
                file, encoding="utf-8", errors="replace", write_through=True
            )

    def close(self) -> None:
        """Leave the sockets to the end of the process, which follows.

        Closing them in order can only deadlock, as ipykernel 7 does once in twenty times: its
        control thread still wants to say "idle".
        """
        self.reset_io()


def _replace_missing_streams(_result: Any) -> None:
    """Have a stream that a cell has set to None discard what is written, as Python itself does.

    ipykernel flushes both for each output, and would not answer the next cell.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name, None) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open from now on


def _send_lone_surrogates(session: Any) -> None:
    """Have messages with lone surrogates sent, as their escapes: UTF-8 does not know them."""
    pack = session.pack

    def pack_any(message: Any) -> bytes:
        try:
            return pack(message)
        except UnicodeEncodeError:
            text = json.dumps(message, default=json_default, ensure_ascii=False)
            return SURROGATE_PATTERN.sub(lambda each: rf"\\u{ord(each[0]):04x}", text).encode()

    session.pack = pack_any


def _end_forks_with_their_cell(shell: Any) -> None:
    """End a child of os.fork() at the end of its cell, as a script's child ends with the script.

    Else it would be a second kernel, which takes the messages of the first one.
    """
    kernel_pid = os.getpid()

    def end_fork(result: Any) -> None:
        if os.getpid() == kernel_pid:
            return
        error = result.error_in_exec or result.error_before_exec
        code = error.code if isinstance(error, SystemExit) else error and 1
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))

    shell.events.register("post_run_cell", end_fork)


class _EndCell(ZMQExitAutocall):
    """`exit` and `quit` in a notebook, which end their cell as sys.exit() does.

    ipykernel's would only ask its client to stop it, and run the cell to its end.
    """

    def __call__(self, code: Any = None) -> None:
        raise SystemExit() if code is None else SystemExit(code)


def run_kernel(
    arguments: list[str],
    before_user_code: Callable[[], None] | None = None,
    preloaded_modules: Mapping[str, ModuleType] | None = None,
) -> None:
    """Run the kernel until it is told to stop; then end the process.

    before_user_code: called when the kernel is ready. preloaded_modules: those that the notebook
    may take over, by name.
    """
    callbacks = [before_user_code] if before_user_code else []
    trace_path = os.environ.pop(ACCESS_LOG_VARIABLE, "")
    secret_variables = os.environ.pop(SECRETS_VARIABLE, "").split("=")
    if trace_path:
        file_tracer.start_tracing(
            trace_path,
            secret_variables,
            ignored_paths=arguments,
            modules=sys.modules | dict(preloaded_modules or {}),
        )
        file_tracer.trace_children(trace_path, secret_variables)
        callbacks.append(import_tracer.start_tracing(Path(trace_path)).note_kernel_modules)
    KernelApp.before_user_code = callbacks
    sys.argv = ["ipykernel_launcher", *arguments]
    if "" not in sys.path:  # modules beside the notebook; Python's -P leaves them out
        sys.path.insert(0, "")
    KernelApp.launch_instance(arguments)


if __name__ == "__main__":
    run_kernel(sys.argv[1:])
