"""A notebook that a worker runs: what was requested, how it is watched, and how it ended."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from pipeline import notebook
from pipeline.definition.parameters import Secret, encode_value
from pipeline.definition.tasks import Task
from pipeline.execution.messages import Event, JobRequest, JobResult
from pipeline.execution.worker_pool import WorkerPool
from pipeline.kernels.protocol import ACCESS_LOG_VARIABLE
from pipeline.runs.status import StepStatus
from pipeline.staleness import source_code
from pipeline.workspace import Workspace

StopCallback = Callable[[StepStatus, str], None]  # called with the step's status and the reason


def build_job_request(
    task: Task,
    workspace: Workspace,
    worker_pool: WorkerPool,
    reproduction_command: str,
    code_hashes: dict[str, str],
) -> JobRequest:
    """Return what a worker needs to run `task`.

    reproduction_command: the command that produces the report again. code_hashes: as
    `source_code.cell_hashes` returns them. Deletes the published results and the access log of an
    earlier attempt.
    """
    files = workspace.task_files(worker_pool.run_id, task.file_stem)
    for path in (files.results, files.access_log):
        path.unlink(missing_ok=True)
    report = workspace.report_folder(worker_pool.run_id) / task.report
    variables = {
        notebook.REPORT_VARIABLE: report.relative_to(workspace.home).as_posix(),
        notebook.RESULTS_VARIABLE: str(files.results),
        notebook.NOTEBOOK_VARIABLE: task.step.notebook.name,
        notebook.CODE_VARIABLE: source_code.combine_hashes(code_hashes),
        notebook.COMMAND_VARIABLE: reproduction_command,
        ACCESS_LOG_VARIABLE: str(files.access_log),
    }
    secrets = [value for value in task.values.values() if isinstance(value, Secret)]
    return JobRequest(
        notebook=str(task.step.notebook),
        executed_path=str(files.notebook),
        working_folder=str(task.step.notebook.parent),
        environment={**worker_pool.environment, **variables},
        socket_folder=str(worker_pool.socket_folder),
        time_limit=task.step.time_limit,
        memory_limit=task.step.memory_limit,
        secret_variables=[secret.variable for secret in secrets],
        values={name: encode_value(value) for name, value in task.values.items()},
    )


class NotebookJob:
    """A notebook that runs in a worker.

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
        self.send_event, self.listen_for_stop = send_event, listen_for_stop
        self.executed_path = Path(request.executed_path)
        self.socket_folder = Path(request.socket_folder)
        self.secret_values = [os.environ[variable] for variable in request.secret_variables]

    @property
    def is_running(self) -> bool:
        """Whether nothing has ended the job so far."""
        return self.result.status is StepStatus.DONE

    def finish(self, status: StepStatus, failure: str, retryable: bool = False) -> None:
        """Set how the job ended, unless that is set already: the first reason counts."""
        if self.is_running:
            self.result.status, self.result.failure = status, failure
            self.result.retryable = retryable
