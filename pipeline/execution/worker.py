"""A worker: a process that runs notebooks one after the other with papermill, for the runner.

    python -P -m pipeline.execution.worker

Reads JSON lines from stdin: a job, or {"stop": STATUS, "why": SENTENCE} for the running job; the
end of stdin stops it too. Writes JSON lines to stdout: each cell's start and end, then how the
notebook ended.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# jsonschema imports this grammar of internationalised web addresses if it can: two seconds, for a
# check of formats that no notebook needs. Without it jsonschema skips the check.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

import papermill  # noqa: E402
from papermill.exceptions import PapermillExecutionError  # noqa: E402

from pipeline.definition import parameters  # noqa: E402
from pipeline.execution import papermill_engine  # noqa: E402
from pipeline.execution.messages import FAILED, NotebookJob, StopCallback  # noqa: E402
from pipeline.execution.parameter_translator import PythonExpression  # noqa: E402

# the fields of NotebookJob that say how it ended
RESULT_FIELDS = (
    "status",
    "failure",
    "traceback",
    "output",
    "cell_status",
    "peak_mb",
    "retryable",
)
ATOMIC_PIPE_WRITE_BYTES = 4096  # Linux's PIPE_BUF: one write takes as many, or none


class _JsonLineReader:
    """A buffered reader of JSON lines from a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.buffer = descriptor, b""

    def fill_buffer(self) -> bool:
        """Read what is available, or wait for it; return False at the end of the stream."""
        chunk = os.read(self.descriptor, 1 << 16)
        self.buffer += chunk
        return bool(chunk)

    def take_messages(self) -> Iterator[dict[str, Any]]:
        """Remove and yield each complete message that was read."""
        while b"\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\n")
            yield json.loads(line)


def main() -> None:
    """Run the jobs that arrive on stdin until it closes."""
    event_descriptor = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not mix with the events
    reader = _JsonLineReader(0)

    def send_event(event: str, **fields: Any) -> None:
        text = json.dumps({"event": event, **fields}, default=str)
        with contextlib.suppress(BrokenPipeError):
            if len(text) < ATOMIC_PIPE_WRITE_BYTES:
                os.write(event_descriptor, text.encode() + b"\n")
            else:
                _write_line(event_descriptor, text)

    while reader.fill_buffer():
        for message in reader.take_messages():
            if "notebook" in message:  # else a stop request that came after the job's end
                send_event("end", **_run_job(message, send_event, reader))


def _write_line(descriptor: int, text: str) -> None:
    """Write a line of any length, in as many pieces as the pipe takes."""
    unwritten = text.encode() + b"\n"
    while unwritten:
        unwritten = unwritten[os.write(descriptor, unwritten) :]


def _run_job(
    request: dict[str, Any], send_event: Callable[..., None], reader: _JsonLineReader
) -> dict[str, Any]:
    """Run one notebook; return how it ended, as the fields of the final event."""

    @contextlib.contextmanager
    def listen_for_stop(stop: StopCallback) -> Iterator[None]:
        def take_stop_requests() -> None:
            for message in reader.take_messages():
                stop(message["stop"], message["why"])

        def on_readable() -> None:
            if not reader.fill_buffer():
                stop("stopped", "the runner is gone")
                loop.remove_reader(reader.descriptor)
            take_stop_requests()

        loop = asyncio.get_running_loop()
        loop.add_reader(reader.descriptor, on_readable)
        take_stop_requests()  # those that arrived together with the job
        try:
            yield
        finally:
            loop.remove_reader(reader.descriptor)

    job = NotebookJob(
        executed_path=Path(request["executed"]),
        working_folder=Path(request["folder"]),
        environment=request["environment"],
        socket_folder=Path(request["sockets"]),
        time_limit=request["time_limit"],
        memory_limit=request["memory_limit"],
        secret_values=[os.environ[variable] for variable in request["secrets"]],
        send_event=send_event,
        listen_for_stop=listen_for_stop,
    )
    _execute_notebook(request["notebook"], request["values"], job)
    return {name: getattr(job, name) for name in RESULT_FIELDS}


def _execute_notebook(
    notebook: str, encoded_values: dict[str, dict[str, Any]], job: NotebookJob
) -> None:
    """Execute a notebook with papermill; `job` gets any error."""
    values = {name: _decode_value(encoded) for name, encoded in encoded_values.items()}
    try:
        papermill.execute_notebook(
            notebook,
            None,
            values,
            engine_name=papermill_engine.ENGINE_NAME,
            progress_bar=False,
            job=job,
            kernel_name=parameters.kernel_name(Path(notebook)),
            language="python",
        )
    except PapermillExecutionError:
        pass  # a cell failed, which the job has recorded in more detail
    except Exception as error:
        job.finish(FAILED, f"{type(error).__name__}: {error}".splitlines()[0])


def _decode_value(encoded_value: dict[str, Any]) -> Any:
    if "code" in encoded_value:
        return PythonExpression(encoded_value["code"])
    return encoded_value["value"]


if __name__ == "__main__":
    main()
