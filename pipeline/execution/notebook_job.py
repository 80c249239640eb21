"""A notebook that a worker runs: what was requested, how it is watched, and how it ended."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import uuid4

from pipeline import notebook
from pipeline.definition import notebook_file
from pipeline.definition.tasks import Task
from pipeline.execution import stop_signals
from pipeline.execution.messages import Event, JobRequest, JobResult
from pipeline.execution.worker_pool import WorkerPool
from pipeline.kernels.protocol import ACCESS_LOG_VARIABLE, SECRETS_VARIABLE
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.secret_mask import SecretMask
from pipeline.runs.secret_strength import describe_weakness
from pipeline.runs.status import StepStatus
from pipeline.secret_marks import SecretMarks
from pipeline.staleness import source_code
from pipeline.workspace import Workspace

StopCallback = Callable[[StepStatus, str], None]  # called with the step's status and the reason


def build_job_request(
    task: Task,
    workspace: Workspace,
    worker_pool: WorkerPool,
    reproduction_command: str,
    code_hashes: dict[str, str],
    cold_start: str,
) -> JobRequest:
    """Return what a worker needs to run `task`.

    reproduction_command: the command that produces the report again. code_hashes: as
    `source_code.cell_hashes` returns them. cold_start: why its kernel must be a new process, or
    empty. Deletes the published results and the access log of an earlier attempt. The secrets of
    all steps are masked.
    """
    files = workspace.task_files(worker_pool.run_id, task.file_stem)
    # not in the run's folder, which never holds a secret
    unmasked_results = worker_pool.socket_folder / f"results-{uuid4().hex}.json"
    for path in (files.results, files.access_log):
        path.unlink(missing_ok=True)
    secrets = masked_variables(workspace)
    report = workspace.report_folder(worker_pool.run_id) / task.report
    variables = {
        notebook.REPORT_VARIABLE: report.relative_to(workspace.home).as_posix(),
        notebook.RESULTS_VARIABLE: str(unmasked_results),
        notebook.NOTEBOOK_VARIABLE: task.step.notebook.name,
        notebook.CODE_VARIABLE: source_code.combine_hashes(code_hashes),
        notebook.COMMAND_VARIABLE: reproduction_command,
        ACCESS_LOG_VARIABLE: str(files.access_log),
        SECRETS_VARIABLE: "=".join(secrets),  # no name of a variable contains it
    }
    return JobRequest(
        notebook=task.step.notebook,
        executed_path=str(files.notebook),
        working_folder=task.step.notebook.parent,
        environment={**worker_pool.environment, **variables},
        socket_folder=worker_pool.socket_folder,
        kernel_name=task.step.kernel or notebook_file.kernel_name(task.step.notebook),
        language=notebook_file.language(task.step.notebook),
        unmasked_results=unmasked_results,
        stderr_path=files.stderr,
        time_limit=task.step.time_limit,
        memory_limit=task.step.memory_limit,
        secret_variables=secrets,
        values=task.values,
        cold_start=cold_start,
    )


def masked_variables(workspace: Workspace) -> list[str]:
    """Return the variables whose values are secrets, in this run or in earlier ones."""
    values = workspace.secrets.values
    return sorted(name for name, value in values.items() if not describe_weakness(value))


class NotebookJob:
    """A notebook that is executed.

    send_event: called at each cell's start and end. listen_for_stop: returns a context in which a
    callback is called when the job must stop.
    """

    def __init__(
        self,
        request: JobRequest,
        send_event: Callable[[Event], None],
        listen_for_stop: Callable[[StopCallback], AbstractContextManager],
    ) -> None:
        self.request, self.result = request, JobResult()
        self.cold_start_reason = ""  # why a warm kernel has ended to be started cold
        self.send_event, self.listen_for_stop = send_event, listen_for_stop
        self.secrets = SecretMask(
            os.environ[variable] for variable in request.secret_variables if variable in os.environ
        )

    @property
    def is_running(self) -> bool:
        """Whether nothing has ended the job so far."""
        return self.result.status is StepStatus.DONE

    def finish(self, status: StepStatus, failure: str, retryable: bool = False) -> None:
        """Set how the job ended, unless that is set already: the first reason counts."""
        if self.is_running:
            self.result.status, self.result.failure = status, failure
            self.result.retryable = retryable

    def delete_traces(self) -> None:
        """Delete the files that the kernel wrote, as the notebook will be started again."""
        for suffix in (".stderr", ".json", ".trace"):
            Path(self.request.executed_path).with_suffix(suffix).unlink(missing_ok=True)
        if self.request.unmasked_results:
            self.request.unmasked_results.unlink(missing_ok=True)

    def publish_results(self) -> None:
        """Write what the notebook has published beside its executed copy, with secrets masked."""
        source = self.request.unmasked_results
        if source and source.exists():
            text = source.read_text(encoding="utf-8", errors="surrogateescape")
            marks = SecretMarks(self.request.secret_variables)
            masked = self.secrets.mask_results(text, marks).encode(errors="surrogateescape")
            atomic_write(Path(self.request.executed_path).with_suffix(".json"), masked)
            source.unlink()

    def mask_secrets(self) -> None:
        """Mask secrets in the result."""
        for name in ("failure", "traceback", "output"):
            setattr(self.result, name, self.secrets.mask(getattr(self.result, name)))


def build_plain_job(kernel_name: str, output_path: str | None, socket_folder: Path) -> NotebookJob:
    """Return the job of a notebook that papermill executes without the runner.

    Ctrl-C and SIGTERM stop it.
    """
    request = JobRequest(
        notebook=Path(),
        executed_path=output_path or "",
        working_folder=Path.cwd(),
        environment=dict(os.environ),
        socket_folder=socket_folder,
        kernel_name=kernel_name,
    )
    return NotebookJob(request, lambda _event: None, _listen_for_signals)


@contextlib.contextmanager
def _listen_for_signals(stop: StopCallback) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = stop_signals.active_signals()
    for number in numbers:
        failure = f"stopped by {stop_signals.STOP_SIGNALS[number]}"
        loop.add_signal_handler(number, stop, StepStatus.STOPPED, failure)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
