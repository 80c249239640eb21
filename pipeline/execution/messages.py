"""A notebook to run: what the runner tells a worker of it, and what became of it there."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.definition.parameters import Secret, encode_value
from pipeline.definition.steps import Task
from pipeline.execution.worker_pool import WorkerPool
from pipeline.staleness import fingerprint

RAN, FAILED, KILLED, TIMED_OUT, NOT_RUN = "ran", "failed", "killed", "timed out", "not run"


def build_job_request(
    task: Task,
    base_path: Path,
    worker_pool: WorkerPool,
    reproduction_command: str,
    code_hashes: Mapping[str, str],
) -> dict[str, Any]:
    """What a worker needs to know, as JSON can carry it.

    place: where the files of the task are, without an ending. command: makes it again. code: as
    `fingerprint.code` gives it.
    """
    for ending in ("json", "trace"):  # an earlier attempt's
        base_path.with_name(f"{task.file_stem}.{ending}").unlink(missing_ok=True)
    variables = {
        "PIPELINE_REPORT": f"reports/{worker_pool.run_id}/{task.report}",
        "PIPELINE_HANDOVER": f"{base_path}.json",
        "PIPELINE_TRACE": f"{base_path}.trace",
        "PIPELINE_NOTEBOOK": task.step.notebook.name,
        "PIPELINE_CODE": fingerprint.combine_hashes(code_hashes),
        "PIPELINE_COMMAND": reproduction_command,
    }
    secrets = [one for one in task.values.values() if isinstance(one, Secret)]
    return {
        "notebook": str(task.step.notebook),
        "executed": f"{base_path}.ipynb",
        "folder": str(task.step.notebook.parent),
        "environment": {**worker_pool.environment, **variables},
        "sockets": str(worker_pool.socket_folder),
        "time_limit": task.step.time_limit,
        "memory_limit": task.step.memory_limit,
        "secrets": [one.variable for one in secrets],
        "values": {name: encode_value(one) for name, one in task.values.items()},
    }


@dataclass
class NotebookJob:
    """A notebook to run, and what became of it."""

    executed_path: Path
    working_folder: Path
    environment: dict[str, str]
    socket_folder: Path  # a short folder: of the nursery's socket and the kernels'
    time_limit: float | None
    memory_limit: float | None  # GB
    secret_values: list[str]  # values to mask
    send_event: Callable[..., None]  # gets each cell's start and end
    listen_for_stop: Callable[[Callable[[str, str], None]], contextlib.AbstractContextManager]
    status: str = "done"
    failure: str = ""
    traceback: str = ""
    output: str = ""  # the last of the cell that did not end well
    cell_status: list[str] = field(default_factory=list)  # how each ended
    peak_mb: int = 0
    retryable: bool = False  # whether trying again may help

    def finish(self, status: str, failure: str, retryable: bool = False) -> None:
        """The first reason counts."""
        if self.status == "done":
            self.status, self.failure, self.retryable = status, failure, retryable
