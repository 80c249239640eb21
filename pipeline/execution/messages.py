"""A notebook to run: what the runner tells a worker of it, and what became of it there."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.definition.parameters import Secret, literal
from pipeline.definition.steps import Task
from pipeline.execution.worker_pool import Processes
from pipeline.staleness import fingerprint

RAN, FAILED, KILLED, TIMED_OUT, NOT_RUN = "ran", "failed", "killed", "timed out", "not run"


def told(
    task: Task, place: Path, processes: Processes, command: str, code: Mapping[str, str]
) -> dict[str, Any]:
    """What a worker needs to know, as JSON can carry it.

    place: where the files of the task are, without an ending. command: makes it again. code: as
    `fingerprint.code` gives it.
    """
    for ending in ("json", "trace"):  # an earlier attempt's
        place.with_name(f"{task.file}.{ending}").unlink(missing_ok=True)
    variables = {
        "PIPELINE_REPORT": f"reports/{processes.run}/{task.report}",
        "PIPELINE_HANDOVER": f"{place}.json",
        "PIPELINE_TRACE": f"{place}.trace",
        "PIPELINE_NOTEBOOK": task.step.notebook.name,
        "PIPELINE_CODE": fingerprint.joined(code),
        "PIPELINE_COMMAND": command,
    }
    secrets = [one for one in task.values.values() if isinstance(one, Secret)]
    return {
        "notebook": str(task.step.notebook),
        "executed": f"{place}.ipynb",
        "folder": str(task.step.notebook.parent),
        "environment": {**processes.environment, **variables},
        "sockets": str(processes.sockets),
        "time_limit": task.step.time_limit,
        "memory_limit": task.step.memory_limit,
        "secrets": [one.variable for one in secrets],
        "values": {name: literal(one) for name, one in task.values.items()},
    }


@dataclass
class Job:
    """A notebook to run, and what became of it."""

    executed: Path
    folder: Path
    environment: dict[str, str]
    sockets: Path  # a short folder: of the nursery's socket and the kernels'
    time_limit: float | None
    memory_limit: float | None  # GB
    secrets: list[str]  # values to mask
    tell: Callable[..., None]  # gets each cell's start and end
    listen: Callable[[Callable[[str, str], None]], contextlib.AbstractContextManager]
    status: str = "done"
    failure: str = ""
    traceback: str = ""
    output: str = ""  # the last of the cell that did not end well
    cells: list[str] = field(default_factory=list)  # how each ended
    peak_mb: int = 0
    may_pass: bool = False  # whether trying again may help

    def ends(self, status: str, failure: str, may_pass: bool = False) -> None:
        """The first reason counts."""
        if self.status == "done":
            self.status, self.failure, self.may_pass = status, failure, may_pass
