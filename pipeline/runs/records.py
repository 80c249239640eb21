"""The record of a run: the file run.json in its folder, rewritten whenever something has ended."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.runs.atomic_write import atomic_write, slug

FAILED_STATUSES = ("failed", "killed", "timed out", "stopped")
MAX_LAST_OUTPUT_CHARS = 2_000  # of StepRecord.output
RESERVE_BYTES = 1 << 17  # enough to write a record on a full disk


@dataclass
class StepRecord:
    """What happened to one step of a run."""

    name: str  # train, or train[seed=1] in a sweep
    report: str  # the HTML file's name
    # "not run", "running", "done", "up to date", or one of FAILED_STATUSES
    status: str = "not run"
    started: str = ""  # UTC, ISO 8601
    seconds: float = 0.0
    cells: int = 0
    heading: str = ""  # the heading above the cell that is running
    cells_done: int = 0
    cell_status: list[str] = field(default_factory=list)  # ran, failed, killed, timed out, not run
    cell_seconds: list[float] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)  # those that differ from the notebook
    headline: dict[str, Any] = field(default_factory=dict)  # results that the notebook published
    notice: str = ""  # a warning that the notebook published
    data: str = ""  # which data the notebook used
    champion: str = ""  # which model version serves
    links: dict[str, str] = field(default_factory=dict)  # to results outside the report
    pages: dict[str, str] = field(default_factory=dict)  # extra pages: name -> title
    why: list[str] = field(default_factory=list)  # the step was run: what had changed
    reused: str = ""  # the run that produced the results, if the step was up to date
    failure: str = ""  # one sentence
    traceback: str = ""  # with terminal colours
    output: str = ""  # the end of the output of the cell that did not end well
    stderr: str = ""  # the end of what the kernel process wrote to stderr
    peak_mb: int = 0  # memory
    attempts: list[dict[str, Any]] = field(default_factory=list)  # the earlier ones, if retried

    def page_filename(self, name: str) -> str:
        """Return the HTML file's name of an extra page; each variant of a sweep has its own."""
        variant = self.name.partition("[")[2][:-1]
        return f"{name}-{slug(variant)}.html" if variant else f"{name}.html"


@dataclass
class RunRecord:
    """A run and its steps."""

    id: str
    started: str  # UTC, ISO 8601
    steps: list[StepRecord]
    ended: str = ""  # empty while it runs, and if the runner was killed
    problems: list[str] = field(default_factory=list)  # what could not be written, and warnings
    commit: str = ""  # of the notebooks; ends in -dirty if files differ from it
    commit_link: str = ""

    @property
    def status(self) -> str:
        """The first of the FAILED_STATUSES that a step has, else running, not run or done."""
        step_statuses = {step.status for step in self.steps}
        ranking = (*FAILED_STATUSES, "running", "not run")
        return next((status for status in ranking if status in step_statuses), "done")

    @property
    def seconds(self) -> float:
        """The time from start to end; while it runs, the sum of its steps' times."""
        if self.ended:
            ended, started = map(datetime.fromisoformat, (self.ended, self.started))
            return (ended - started).total_seconds()
        return sum(step.seconds for step in self.steps)

    @property
    def notice(self) -> str:
        """The warning that every reader must see: the first that a step published."""
        return next((step.notice for step in self.steps if step.notice), "")

    @property
    def data(self) -> str:
        """The data that was used: the first that a step published."""
        return next((step.data for step in self.steps if step.data), "")

    @property
    def headline(self) -> dict[str, Any]:
        """The results of the last step that published any."""
        return next((step.headline for step in reversed(self.steps) if step.headline), {})


def format_metric(value: Any) -> str:
    """Return a headline's value as text; a comparable result is a dict that has its own text."""
    return str(value["text"]) if isinstance(value, dict) else str(value)


def status_phrase(status: str) -> str:
    """Return how a step failed as a verb phrase: "failed", "was killed"."""
    return {"killed": "was killed", "stopped": "was stopped"}.get(status, status)


def new_run_id() -> str:
    """Return an id that sorts by time, within a second too: it ends in 65,536ths of a second."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond * 65_536 // 1_000_000:04x}"


def seconds_since(started: str) -> float:
    """Return the seconds since a time in ISO 8601."""
    return (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds()


def format_duration(seconds: float) -> str:
    """Return a duration as text: 4.2 s, 1 min 12 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def utc_now() -> str:
    """Return the present time in UTC, as ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class RunRecordWriter:
    """A writer of a run's record, even on a full disk: it deletes a reserved file to make room."""

    def __init__(self, run: RunRecord, folder: Path) -> None:
        self.run, self.folder = run, folder
        self.reserve_path = folder / ".reserve"
        atomic_write(self.reserve_path, os.urandom(RESERVE_BYTES))
        self.save()

    def save(self) -> None:
        """Write run.json atomically. Raises OSError if it cannot be written."""
        text = json.dumps(asdict(self.run), indent=1, default=str)
        try:
            atomic_write(self.folder / "run.json", text)
        except OSError:
            if not self.reserve_path.exists():
                raise
            self.reserve_path.unlink()
            atomic_write(self.folder / "run.json", text)

    def close(self) -> None:
        """Save the record for the last time, with the run's end."""
        self.reserve_path.unlink(missing_ok=True)
        self.run.ended = utc_now()
        self.save()


def load_all(runs_folder: Path, limit: int | None = None) -> list[RunRecord]:
    """Return the runs in a folder, newest first; skip those that cannot be read.

    limit: look at so many of the newest only.
    """
    runs = []
    for path in sorted(runs_folder.glob("*/run.json"), reverse=True)[:limit]:
        with suppress(ValueError, KeyError, TypeError):
            runs.append(load(path.parent))
    return runs


def load(run_folder: Path) -> RunRecord:
    """Return the run whose folder this is. Raises LookupError if there is none."""
    try:
        content = json.loads((run_folder / "run.json").read_text())
    except OSError:
        raise LookupError(f"there is no run {run_folder.name}") from None
    return from_dict(content)


def from_dict(content: dict[str, Any]) -> RunRecord:
    """Return the run that a record's JSON describes; unknown fields of its steps are dropped.

    Raises KeyError or TypeError if it is no record.
    """
    known_fields = {step_field.name for step_field in fields(StepRecord)}
    steps = [
        StepRecord(**{name: value for name, value in step.items() if name in known_fields})
        for step in content["steps"]
    ]
    return RunRecord(**{**content, "steps": steps})
