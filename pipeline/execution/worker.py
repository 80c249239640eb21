"""A worker: a process that runs notebooks one after the other with papermill, for the runner.

    python -P -m pipeline.execution.worker DESCRIPTOR

Receives JobRequest and StopRequest over the connection that it inherits as DESCRIPTOR, whose end
stops a running job too. Sends a CellEvent for each change of a cell, and JobResult when the
notebook has ended.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from pipeline.definition import notebook_file
from pipeline.execution.messages import ColdStart, Event, JobRequest, JobResult
from pipeline.execution.notebook_job import NotebookJob, StopCallback
from pipeline.kernels.slow_imports import skip_rfc3987_syntax
from pipeline.runs.os_errors import describe_error
from pipeline.runs.secret_mask import MaskedStream, SecretMask
from pipeline.runs.status import StepStatus


def main(descriptor: int) -> None:
    """Run the jobs that arrive until the runner closes the connection."""
    connection = Connection(descriptor)
    _prepare_papermill()
    with contextlib.suppress(EOFError, OSError):
        while True:
            request = connection.recv()
            if isinstance(request, JobRequest):  # else a stop request after the job's end
                connection.send(_run_job(request, connection))


def _run_job(request: JobRequest, connection: Connection) -> JobResult:
    """Run a notebook, once more if its kernel must be started cold; return how it ended."""
    send_event = partial(_send_event, connection)
    job = NotebookJob(request, send_event, partial(_listen_for_stop, connection))
    with _mask_stderr(job.secrets):
        _execute_notebook(job)
    if not job.cold_start_reason or job.result.status is StepStatus.STOPPED:
        return job.result
    job.delete_traces()
    send_event(ColdStart(job.cold_start_reason))
    return _run_job(replace(request, cold_start=job.cold_start_reason), connection)


def _prepare_papermill() -> None:
    """Import papermill with our engine: it takes two seconds, while the runner plans."""
    skip_rfc3987_syntax()
    from papermill.translators import papermill_translators

    from pipeline.definition.parameter_translator import ParameterTranslator
    from pipeline.execution import kernel_session  # noqa: F401

    papermill_translators.register("python", ParameterTranslator)


def _send_event(connection: Connection, event: Event) -> None:
    with contextlib.suppress(OSError):  # the runner is gone, which stops the job
        connection.send(event)


@contextlib.contextmanager
def _listen_for_stop(connection: Connection, stop: StopCallback) -> Iterator[None]:
    """Call `stop` when the runner asks for it or is gone, while the context is open."""

    def on_readable() -> None:
        try:
            while connection.poll():
                request = connection.recv()
                stop(request.status, request.reason)
        except (EOFError, OSError):
            loop.remove_reader(connection.fileno())
            stop(StepStatus.STOPPED, "the runner is gone")

    loop = asyncio.get_running_loop()
    loop.add_reader(connection.fileno(), on_readable)
    try:
        yield
    finally:
        loop.remove_reader(connection.fileno())


def _execute_notebook(job: NotebookJob) -> None:
    """Execute a notebook with papermill; `job` gets any error. Mask secrets in all it leaves."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    from pipeline.execution.papermill_engine import ENGINE_NAME

    request = job.request
    try:
        papermill.execute_notebook(
            _load_source(job),
            None,
            request.values,
            engine_name=ENGINE_NAME,
            progress_bar=False,
            job=job,
            kernel_name=request.kernel_name,
            language=request.language,
        )
    except PapermillExecutionError:
        pass  # a cell failed, which the job has recorded in more detail
    except (Exception, KeyboardInterrupt) as error:
        message = job.secrets.mask(f"{type(error).__name__}: {error}")
        job.finish(StepStatus.FAILED, message.splitlines()[0])
    try:
        job.publish_results()
    except OSError as error:
        job.finish(
            StepStatus.FAILED, f"its published results could not be saved: {describe_error(error)}"
        )
    job.mask_secrets()


def _load_source(job: NotebookJob) -> Any:
    """Return the notebook to execute, as papermill takes it; note what is left out of it."""
    import nbformat

    notebook = job.request.notebook
    n_injected = notebook_file.count_injected_cells(notebook)
    if n_injected:
        cells, verb = ("a cell", "was") if n_injected == 1 else (f"{n_injected} cells", "were")
        job.result.notes.append(
            f"{cells} tagged injected-parameters in {notebook.name} {verb} ignored: an earlier "
            "execution by papermill has left it there, with the parameters of then"
        )
    content = json.dumps(notebook_file.load_executable(notebook))
    return nbformat.reads(content, as_version=nbformat.NO_CONVERT)


@contextlib.contextmanager
def _mask_stderr(secrets: SecretMask) -> Iterator[None]:
    """Mask secrets in what libraries log, such as an output that they reject."""
    if not secrets:
        yield
        return
    stream = MaskedStream(sys.stderr, secrets)
    try:
        with contextlib.redirect_stderr(stream):
            yield
    finally:
        stream.finish()


if __name__ == "__main__":
    main(int(sys.argv[1]))
