"""A worker: a process that runs notebooks one after the other with papermill, for the runner.

    python -P -m pipeline.execution.worker

Reads the messages JobRequest and StopRequest from stdin, whose end stops a running job too. Writes
CellStarted and CellEnded to stdout, and JobResult when the notebook has ended.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from pipeline.definition.notebook_file import kernel_name
from pipeline.execution import messages
from pipeline.execution.messages import Event, JobRequest, StopRequest
from pipeline.execution.notebook_job import NotebookJob, StopCallback
from pipeline.kernels.slow_imports import skip_rfc3987_syntax
from pipeline.runs.status import StepStatus

ATOMIC_PIPE_WRITE_BYTES = 4096  # Linux's PIPE_BUF: one write takes as many, or none


class _MessageReader:
    """A buffered reader of messages from a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.buffer = descriptor, b""

    def fill_buffer(self) -> bool:
        """Read what is available, or wait for it; return False at the end of the stream."""
        chunk = os.read(self.descriptor, 1 << 16)
        self.buffer += chunk
        return bool(chunk)

    def take_messages(self) -> Iterator[JobRequest | StopRequest]:
        """Remove and yield each complete message that was read."""
        while b"\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\n")
            yield messages.decode_request(line)


def main() -> None:
    """Run the jobs that arrive on stdin until it closes."""
    event_descriptor = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not mix with the events
    _prepare_papermill()
    reader = _MessageReader(0)

    def send_event(event: Event) -> None:
        line = messages.encode(event)
        with contextlib.suppress(BrokenPipeError):
            if len(line) <= ATOMIC_PIPE_WRITE_BYTES:
                os.write(event_descriptor, line)
            else:
                _write_line(event_descriptor, line)

    while reader.fill_buffer():
        for message in reader.take_messages():
            if isinstance(message, JobRequest):  # else a stop request after the job's end
                job = NotebookJob(message, send_event, _stop_listener(reader))
                _execute_notebook(job)
                send_event(job.result)


def _prepare_papermill() -> None:
    """Import papermill with our engine: it takes two seconds, while the runner plans."""
    skip_rfc3987_syntax()
    from pipeline.execution import papermill_engine

    papermill_engine.register()


def _write_line(descriptor: int, line: bytes) -> None:
    """Write a line of any length, in as many pieces as the pipe takes."""
    while line:
        line = line[os.write(descriptor, line) :]


def _stop_listener(reader: _MessageReader) -> Callable[[StopCallback], AbstractContextManager]:
    """Return the context in which a callback is called when the runner asks to stop, or is gone."""

    @contextlib.contextmanager
    def listen_for_stop(stop: StopCallback) -> Iterator[None]:
        def take_stop_requests() -> None:
            for message in reader.take_messages():
                if isinstance(message, StopRequest):
                    stop(message.status, message.reason)

        def on_readable() -> None:
            if not reader.fill_buffer():
                stop(StepStatus.STOPPED, "the runner is gone")
                loop.remove_reader(reader.descriptor)
            take_stop_requests()

        loop = asyncio.get_running_loop()
        loop.add_reader(reader.descriptor, on_readable)
        take_stop_requests()  # those that arrived together with the job
        try:
            yield
        finally:
            loop.remove_reader(reader.descriptor)

    return listen_for_stop


def _execute_notebook(job: NotebookJob) -> None:
    """Execute a notebook with papermill; `job` gets any error."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    from pipeline.execution.papermill_engine import ENGINE_NAME, PythonExpression

    request = job.request
    values = {
        name: PythonExpression(encoded.code) if encoded.code else encoded.value
        for name, encoded in request.values.items()
    }
    try:
        papermill.execute_notebook(
            request.notebook,
            None,
            values,
            engine_name=ENGINE_NAME,
            progress_bar=False,
            job=job,
            kernel_name=kernel_name(Path(request.notebook)),
            language="python",
        )
    except PapermillExecutionError:
        pass  # a cell failed, which the job has recorded in more detail
    except Exception as error:
        job.finish(StepStatus.FAILED, f"{type(error).__name__}: {error}".splitlines()[0])


if __name__ == "__main__":
    main()
