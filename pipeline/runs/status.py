"""How steps and cells end, and papermill's names for the same in an executed notebook."""

from enum import StrEnum
from typing import Self


class _Status(StrEnum):
    """A status that is UNKNOWN if a later version has written it."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls["UNKNOWN"] if isinstance(value, str) else None

    @property
    def phrase(self) -> str:
        """How a step or a cell ended, as a verb phrase: "failed", "was killed"."""
        return str(self) if self in ("ran", "failed", "timed out") else f"was {self}"


class StepStatus(_Status):
    """The status of a step in a run, and of the run as a whole."""

    NOT_RUN = "not run"
    SKIPPED = "skipped"  # will not run in a run that goes on, as a step that it needs failed
    RUNNING = "running"
    DONE = "done"
    UP_TO_DATE = "up to date"
    FAILED = "failed"
    KILLED = "killed"
    TIMED_OUT = "timed out"
    STOPPED = "stopped"
    UNKNOWN = "unknown"  # in a record of a later version

    @property
    def is_failure(self) -> bool:
        """Whether the step started and did not succeed."""
        return self in FAILED_STATUSES

    @property
    def is_success(self) -> bool:
        """Whether the step's results can be used."""
        return self in (StepStatus.DONE, StepStatus.UP_TO_DATE)


# the status of a run is the first of these that one of its steps has
FAILED_STATUSES = (
    StepStatus.FAILED,
    StepStatus.KILLED,
    StepStatus.TIMED_OUT,
    StepStatus.STOPPED,
)


class CellStatus(_Status):
    """The status of a cell."""

    NOT_RUN = "not run"
    RUNNING = "running"
    RAN = "ran"
    FAILED = "failed"
    KILLED = "killed"
    TIMED_OUT = "timed out"
    SKIPPED = "skipped by its tag"
    UNKNOWN = "unknown"  # in a record of a later version

    @classmethod
    def from_papermill(cls, status: str | None) -> "CellStatus":
        """Return the status that papermill wrote into a cell's metadata.

        A notebook that papermill did not execute has none: its cells count as run.
        """
        names = {"completed": cls.RAN, "pending": cls.NOT_RUN}
        return names.get(status) or cls(status) if status else cls.RAN

    @property
    def papermill(self) -> str:
        """The name of the status in an executed notebook: papermill's, where it has one."""
        return "completed" if self is CellStatus.RAN else str(self)

    @property
    def is_success(self) -> bool:
        """Whether nothing of the cell is left to do, and nothing went wrong."""
        return self in (CellStatus.RAN, CellStatus.SKIPPED)

    def after_kernel_death(self) -> "CellStatus":
        """Return the status of the cell once its kernel is gone."""
        return CellStatus.KILLED if self is CellStatus.RUNNING else self
