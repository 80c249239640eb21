"""The messages between runner and worker: a notebook to run, and how it ended."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.definition.parameters import Secret, encode_value
from pipeline.definition.steps import Task
from pipeline.execution.worker_pool import WorkerPool
from pipeline.staleness import fingerprint

RAN, FAILED, KILLED, TIMED_OUT, NOT_RUN = "ran", "failed", "killed", "timed out", "not run"
StopCallback = Callable[[str, str], None]  # called with the step's status and the reason


def build_job_request(
    task: Task,
    base_path: Path,
    worker_pool: WorkerPool,
    reproduction_command: str,
    code_hashes: dict[str, str],
) -> dict[str, Any]:
    """Return what a worker needs to run `task`, as JSON can carry it.

    base_path: the path of the task's files without a suffix. reproduction_command: the command
    that produces the report again. code_hashes: as `fingerprint.cell_hashes` returns them.
    Deletes the published results and the access log of an earlier attempt.
    """
    for suffix in ("json", "trace"):
        base_path.with_name(f"{task.file_stem}.{suffix}").unlink(missing_ok=True)
    variables = {
        "PIPELINE_REPORT": f"reports/{worker_pool.run_id}/{task.report}",
        "PIPELINE_HANDOVER": f"{base_path}.json",
        "PIPELINE_TRACE": f"{base_path}.trace",
        "PIPELINE_NOTEBOOK": task.step.notebook.name,
        "PIPELINE_CODE": fingerprint.combine_hashes(code_hashes),
        "PIPELINE_COMMAND": reproduction_command,
    }
    secrets = [value for value in task.values.values() if isinstance(value, Secret)]
    return {
        "notebook": str(task.step.notebook),
        "executed": f"{base_path}.ipynb",
        "folder": str(task.step.notebook.parent),
        "environment": {**worker_pool.environment, **variables},
        "sockets": str(worker_pool.socket_folder),
        "time_limit": task.step.time_limit,
        "memory_limit": task.step.memory_limit,
        "secrets": [secret.variable for secret in secrets],
        "values": {name: encode_value(value) for name, value in task.values.items()},
    }


@dataclass
class NotebookJob:
    """A notebook to run, and how it ended."""

    executed_path: Path
    working_folder: Path
    environment: dict[str, str]
    socket_folder: Path  # short, as a socket's path is limited: the fork server's and the kernels'
    time_limit: float | None  # seconds
    memory_limit: float | None  # GB
    secret_values: list[str]  # texts to mask in outputs
    send_event: Callable[..., None]  # called at each cell's start and end
    listen_for_stop: Callable[[StopCallback], AbstractContextManager]
    status: str = "done"
    failure: str = ""  # one sentence
    traceback: str = ""
    output: str = ""  # the end of the output of the cell that did not end well
    cell_status: list[str] = field(default_factory=list)  # how each cell ended
    peak_mb: int = 0
    retryable: bool = False  # whether another attempt may succeed

    def finish(self, status: str, failure: str, retryable: bool = False) -> None:
        """Set how the job ended, unless that is set already: the first reason counts."""
        if self.status == "done":
            self.status, self.failure, self.retryable = status, failure, retryable
