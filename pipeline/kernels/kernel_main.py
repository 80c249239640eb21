"""Becoming a notebook's kernel: ipykernel as ever, with the files it opens noted down.

    python -P -m pipeline.kernels.kernel_main -f CONNECTION_FILE

Environment: PIPELINE_TRACE, the file that gets a line for each file that is opened (see tracer);
PIPELINE_TEE, the folder of the files stdout and stderr, which get what is printed at once.
"""

import contextlib
import os
import sys
from typing import Any

from pipeline.kernels import file_tracer


def run_kernel(arguments: list[str]) -> None:
    """Runs the kernel until it is told to stop; ends the process."""
    trace = os.environ.pop("PIPELINE_TRACE", "")
    if trace:
        file_tracer.start(trace)
    tee = os.environ.pop("PIPELINE_TEE", "")
    if tee:
        _tee_output(tee)
    from ipykernel.kernelapp import IPKernelApp
    from ipykernel.zmqshell import ZMQExitAutocall

    ZMQExitAutocall.__call__ = _raise_system_exit

    class KernelApp(IPKernelApp):
        def close(self) -> None:
            """The process ends right after: closing its sockets in order can only deadlock, as
            ipykernel 7 does once in twenty times (its control thread still wants to say "idle").
            """
            self.reset_io()

    sys.argv = ["ipykernel_launcher", *arguments]
    if "" not in sys.path:  # modules beside the notebook; Python's -P leaves them out
        sys.path.insert(0, "")
    KernelApp.launch_instance(arguments)


def _raise_system_exit(_autocall: Any, code: Any = None) -> None:
    """exit() and quit() end a cell as sys.exit() does; ipykernel would only ask its client to stop
    it, and run the cell to its end."""
    raise SystemExit("a cell called exit()" if code is None else code)


def _tee_output(folder: str) -> None:
    """What is printed reaches a file in the same moment: a killed kernel's messages may not."""
    from ipykernel.iostream import OutStream

    files = {
        name: os.open(f"{folder}/{name}", os.O_WRONLY | os.O_APPEND)
        for name in ("stdout", "stderr")
    }
    write = OutStream.write

    def write_to_both(stream: OutStream, text: str) -> int | None:
        if stream.name in files and isinstance(text, str):
            with contextlib.suppress(OSError):  # a full disk is no reason to fail a print
                os.write(files[stream.name], text.encode(errors="replace"))
        return write(stream, text)

    OutStream.write = write_to_both


if __name__ == "__main__":
    run_kernel(sys.argv[1:])
