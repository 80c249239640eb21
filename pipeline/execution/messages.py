"""The messages between the runner and its workers, sent over multiprocessing's connections."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.runs.status import CellStatus, StepStatus


@dataclass(frozen=True)
class JobRequest:
    """Runner to worker: run a notebook. Paths are absolute."""

    notebook: Path
    executed_path: str  # of the executed notebook; empty: no file
    working_folder: Path
    environment: dict[str, str]
    socket_folder: Path  # short, as a socket's path is limited: the fork server's and the kernels'
    kernel_name: str
    language: str = "python"  # of the notebook
    # of the results that the notebook publishes, while its kernel runs; None: nowhere
    unmasked_results: Path | None = None
    # of what the kernel process prints; None: this process's
    stderr_path: Path | None = None
    time_limit: float | None = None  # seconds
    memory_limit: float | None = None  # GB
    # environment variables whose values are masked in outputs
    secret_variables: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)  # of the overridden parameters
    cold_start: str = ""  # why its kernel must be a new process; empty: it may be a warm one


class StopRequest(NamedTuple):
    """Runner to worker: stop the running notebook."""

    status: StepStatus  # that its step gets
    reason: str  # a sentence


class CellEvent(NamedTuple):
    """Worker to runner: a cell has started, has shown how far it is, or has ended."""

    cell_index: int
    n_cells: int
    heading: str  # the heading above the cell, or its progress
    status: CellStatus = CellStatus.RUNNING
    seconds: float = 0.0  # that the cell took, once it has ended


class ColdStart(NamedTuple):
    """Worker to runner: the notebook is started again, in a kernel that is a new process."""

    reason: str  # a sentence without its full stop


@dataclass
class JobResult:
    """Worker to runner: the notebook has ended."""

    status: StepStatus = StepStatus.DONE
    failure: str = ""  # one sentence
    traceback: str = ""
    output: str = ""  # the end of the output of the cell that did not end well
    cell_status: list[CellStatus] = field(default_factory=list)  # empty if it is not known
    peak_mb: int = 0  # memory
    retryable: bool = False  # whether another attempt may succeed
    notes: list[str] = field(default_factory=list)  # what readers should know of the execution


Request = JobRequest | StopRequest
Event = CellEvent | ColdStart | JobResult
