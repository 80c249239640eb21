"""The entry point of a notebook's kernel: ipykernel, which records the files it opens.

    python -P -m pipeline.kernels.kernel_main -f CONNECTION_FILE

The environment tells it where to record accesses and output; notebooks do not see the variables.
"""

import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ipykernel.kernelapp import IPKernelApp
from IPython.core.autocall import ZMQExitAutocall

from pipeline.kernels.protocol import (
    ACCESS_LOG_VARIABLE,
    OUTPUT_FOLDER_VARIABLE,
    SECRETS_VARIABLE,
)
from pipeline.kernels.tracing import file_tracer, import_tracer
from pipeline.secret_marks import SecretMarks


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


class _EndCell(ZMQExitAutocall):
    """`exit` and `quit` in a notebook, which end their cell as sys.exit() does.

    ipykernel's would only ask its client to stop it, and run the cell to its end.
    """

    def __call__(self, code: Any = None) -> None:
        raise SystemExit() if code is None else SystemExit(code)


def run_kernel(arguments: list[str], before_user_code: Callable[[], None] | None = None) -> None:
    """Run the kernel until it is told to stop; then end the process.

    before_user_code: called when the kernel is ready.
    """
    callbacks = [before_user_code] if before_user_code else []
    trace_path = os.environ.pop(ACCESS_LOG_VARIABLE, "")
    secret_variables = os.environ.pop(SECRETS_VARIABLE, "").split("=")
    if trace_path:
        file_tracer.start_tracing(trace_path, SecretMarks(secret_variables).hide, arguments)
        callbacks.append(import_tracer.start_tracing(Path(trace_path)).note_kernel_modules)
    KernelApp.before_user_code = callbacks
    sys.argv = ["ipykernel_launcher", *arguments]
    if "" not in sys.path:  # modules beside the notebook; Python's -P leaves them out
        sys.path.insert(0, "")
    KernelApp.launch_instance(arguments)


if __name__ == "__main__":
    run_kernel(sys.argv[1:])
