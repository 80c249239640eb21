"""The record of a run: one run.json in its folder, written whole whenever something has ended."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.runs.atomic_write import atomic_write, slug

FAILED_STATUSES = ("failed", "killed", "timed out", "stopped")


@dataclass
class StepRecord:
    """What happened to one step of a run."""

    name: str  # train, or train[seed=1] in a sweep
    report: str  # the HTML file's name
    # "not run", "running", "done", "up to date", or one of ENDED_BADLY
    status: str = "not run"
    started: str = ""  # UTC, ISO 8601
    seconds: float = 0.0
    cells: int = 0
    heading: str = ""  # the part of the notebook that it is in
    cells_done: int = 0
    cell_status: list[str] = field(default_factory=list)  # ran, failed, killed, timed out, not run
    cell_seconds: list[float] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)  # those that differ from the notebook
    headline: dict[str, Any] = field(default_factory=dict)  # what the notebook handed over
    notice: str = ""
    data: str = ""  # which data it is about
    champion: str = ""  # which version serves
    links: dict[str, str] = field(default_factory=dict)  # to what it left elsewhere
    pages: dict[str, str] = field(default_factory=dict)  # further ones: name -> title
    why: list[str] = field(default_factory=list)  # it was run: what had changed
    reused: str = ""  # the run that made it, if it was up to date
    failure: str = ""  # one sentence
    traceback: str = ""  # with terminal colours
    output: str = ""  # the last of the cell that did not end well
    stderr: str = ""  # the end of what the kernel itself said
    peak_mb: int = 0  # memory
    attempts: list[dict[str, Any]] = field(default_factory=list)  # those before the last

    def page_filename(self, name: str) -> str:
        """The HTML file of a further page; each variant of a sweep has its own."""
        variant = self.name.partition("[")[2][:-1]
        return f"{name}-{slug(variant)}.html" if variant else f"{name}.html"


@dataclass
class RunRecord:
    """A run and its steps."""

    id: str
    started: str  # UTC, ISO 8601
    steps: list[StepRecord]
    ended: str = ""  # empty while it runs, and if nobody could write it any more
    problems: list[str] = field(default_factory=list)  # what could not be written
    commit: str = ""  # of the notebooks, marked if files differ from it
    commit_link: str = ""

    @property
    def status(self) -> str:
        """The first bad end that holds for a step, else running, not run or done."""
        found = {one.status for one in self.steps}
        order = (*FAILED_STATUSES, "running", "not run")
        return next((one for one in order if one in found), "done")

    @property
    def seconds(self) -> float:
        """From start to end; while it runs, the time of its steps together."""
        if self.ended:
            both = (datetime.fromisoformat(one) for one in (self.ended, self.started))
            return (next(both) - next(both)).total_seconds()
        return sum(one.seconds for one in self.steps)

    @property
    def notice(self) -> str:
        """What no reader may miss; the first step that says so."""
        return next((one.notice for one in self.steps if one.notice), "")

    @property
    def data(self) -> str:
        """Which data it was about; the first step that says so."""
        return next((one.data for one in self.steps if one.data), "")

    @property
    def headline(self) -> dict[str, Any]:
        """The results of the last step that handed any over."""
        return next((one.headline for one in reversed(self.steps) if one.headline), {})


def format_metric(value: Any) -> str:
    """A headline's value as a text; a number that can be compared brings its own."""
    return str(value["text"]) if isinstance(value, dict) else str(value)


def status_phrase(status: str) -> str:
    """How a step ended badly, as in: it was killed."""
    return {"killed": "was killed", "stopped": "was stopped"}.get(status, status)


def new_run_id() -> str:
    """Sorts by time within a second too: its last part counts 65,536ths of one."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond * 65_536 // 1_000_000:04x}"


def seconds_since(started: str) -> float:
    """Seconds."""
    return (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds()


def format_duration(seconds: float) -> str:
    """4.2 s, 1 min 12 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def utc_now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class RunRecordWriter:
    """Writes a run's record, a full disk or not: it holds back some room for that."""

    def __init__(self, run: RunRecord, folder: Path) -> None:
        self.run, self.folder = run, folder
        self.reserve_path = folder / ".reserve"
        atomic_write(self.reserve_path, os.urandom(1 << 17))
        self.save()

    def save(self) -> None:
        """Writes folder/run.json so that no reader ever finds half of it."""
        text = json.dumps(asdict(self.run), indent=1, default=str)
        try:
            atomic_write(self.folder / "run.json", text)
        except OSError:
            if not self.reserve_path.exists():
                raise
            self.reserve_path.unlink()
            atomic_write(self.folder / "run.json", text)

    def close(self) -> None:
        """The last save, with the end's time."""
        self.reserve_path.unlink(missing_ok=True)
        self.run.ended = utc_now()
        self.save()


def load_all(runs_folder: Path, limit: int | None = None) -> list[RunRecord]:
    """The (last) runs below the folder, newest first; one that cannot be read is left out."""
    found = []
    for path in sorted(runs_folder.glob("*/run.json"), reverse=True)[:limit]:
        with suppress(ValueError, KeyError, TypeError):
            found.append(load(path.parent))
    return found


def load(run_folder: Path) -> RunRecord:
    """The run whose folder it is; LookupError if there is none."""
    try:
        content = json.loads((run_folder / "run.json").read_text())
    except OSError:
        raise LookupError(f"there is no run {run_folder.name}") from None
    return from_dict(content)


def from_dict(content: dict[str, Any]) -> RunRecord:
    """The run that a record's JSON tells of."""
    known = {one.name for one in fields(StepRecord)}
    steps = [
        StepRecord(**{name: value for name, value in one.items() if name in known})
        for one in content["steps"]
    ]
    return RunRecord(**{**content, "steps": steps})
