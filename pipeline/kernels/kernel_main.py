"""The entry point of a notebook's kernel: ipykernel, which records the files it opens.

    python -P -m pipeline.kernels.kernel_main -f CONNECTION_FILE

The environment tells it where to record accesses and output; notebooks do not see the variables.
"""

import contextlib
import os
import sys
from typing import Any

from pipeline.kernels import file_tracer
from pipeline.kernels.protocol import ACCESS_LOG_VARIABLE, OUTPUT_FOLDER_VARIABLE


def run_kernel(arguments: list[str]) -> None:
    """Run the kernel until it is told to stop; then end the process."""
    trace_path = os.environ.pop(ACCESS_LOG_VARIABLE, "")
    if trace_path:
        file_tracer.start_tracing(trace_path)
    output_folder = os.environ.pop(OUTPUT_FOLDER_VARIABLE, "")
    if output_folder:
        _tee_output(output_folder)
    from ipykernel.kernelapp import IPKernelApp
    from ipykernel.zmqshell import ZMQExitAutocall

    ZMQExitAutocall.__call__ = _raise_system_exit  # type: ignore[method-assign]

    class KernelApp(IPKernelApp):
        def close(self) -> None:
            """Leave the sockets to the end of the process, which follows.

            Closing them in order can only deadlock, as ipykernel 7 does once in twenty times: its
            control thread still wants to say "idle".
            """
            self.reset_io()

    sys.argv = ["ipykernel_launcher", *arguments]
    if "" not in sys.path:  # modules beside the notebook; Python's -P leaves them out
        sys.path.insert(0, "")
    KernelApp.launch_instance(arguments)


def _raise_system_exit(_autocall: Any, code: Any = None) -> None:
    """End a cell that calls exit() or quit(), as sys.exit() does.

    ipykernel would only ask its client to stop it, and run the cell to its end.
    """
    raise SystemExit("a cell called exit()" if code is None else code)


def _tee_output(folder: str) -> None:
    """Write what is printed to files too, at once: a killed kernel's messages may be lost.

    folder: has the files stdout and stderr.
    """
    from ipykernel.iostream import OutStream

    descriptors = {
        name: os.open(f"{folder}/{name}", os.O_WRONLY | os.O_APPEND)
        for name in ("stdout", "stderr")
    }
    original_write = OutStream.write

    def write_to_both(stream: OutStream, text: str) -> int | None:
        if stream.name in descriptors and isinstance(text, str):
            with contextlib.suppress(OSError):  # a full disk is no reason to fail a print
                os.write(descriptors[stream.name], text.encode(errors="replace"))
        return original_write(stream, text)

    OutStream.write = write_to_both  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    run_kernel(sys.argv[1:])
