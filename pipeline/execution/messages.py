"""The messages between the runner and its workers: one JSON line each."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from pipeline.definition.parameters import EncodedValue
from pipeline.runs.status import CellStatus, StepStatus


@dataclass(frozen=True)
class JobRequest:
    """Runner to worker: run a notebook. Paths are absolute."""

    notebook: str
    executed_path: str  # of the executed notebook; the job's other files have other suffixes
    working_folder: str
    environment: dict[str, str]
    socket_folder: str  # short, as a socket's path is limited: the fork server's and the kernels'
    time_limit: float | None  # seconds
    memory_limit: float | None  # GB
    secret_variables: list[str]  # environment variables whose values are masked in outputs
    values: dict[str, EncodedValue]  # of the overridden parameters

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "JobRequest":
        """Return the request that JSON describes."""
        values = {name: EncodedValue(*value) for name, value in content["values"].items()}
        return cls(**{**content, "values": values})


class StopRequest(NamedTuple):
    """Runner to worker: stop the running notebook."""

    status: StepStatus  # that its step gets
    reason: str  # a sentence

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "StopRequest":
        """Return the request that JSON describes."""
        return cls(StepStatus(content["status"]), content["reason"])


class CellStarted(NamedTuple):
    """Worker to runner: a cell has started, or has shown how far it is."""

    cell_index: int
    n_cells: int
    heading: str  # the heading above the cell, or its progress

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "CellStarted":
        """Return the event that JSON describes."""
        return cls(**content)


class CellEnded(NamedTuple):
    """Worker to runner: a cell has ended."""

    cell_index: int
    status: CellStatus
    seconds: float

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "CellEnded":
        """Return the event that JSON describes."""
        return cls(content["cell_index"], CellStatus(content["status"]), content["seconds"])


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

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "JobResult":
        """Return the result that JSON describes."""
        cell_status = [CellStatus(status) for status in content["cell_status"]]
        status = StepStatus(content["status"])
        return cls(**{**content, "status": status, "cell_status": cell_status})


Request = JobRequest | StopRequest
Event = CellStarted | CellEnded | JobResult
MESSAGE_TYPES: dict[str, type[Request] | type[Event]] = {
    message_type.__name__: message_type
    for message_type in (JobRequest, StopRequest, CellStarted, CellEnded, JobResult)
}


def encode(message: Request | Event) -> bytes:
    """Return the message as a line of JSON."""
    fields = asdict(message) if isinstance(message, JobRequest | JobResult) else message._asdict()
    content = {"type": type(message).__name__, **fields}
    return json.dumps(content, default=str).encode() + b"\n"


def decode_request(line: bytes) -> Request:
    """Return the request that `encode` turned into a line."""
    return _decode(line)


def decode_event(line: bytes) -> Event:
    """Return the event that `encode` turned into a line."""
    return _decode(line)


def _decode(line: bytes) -> Any:
    content = json.loads(line)
    return MESSAGE_TYPES[content.pop("type")].from_dict(content)
