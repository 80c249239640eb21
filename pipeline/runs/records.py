"""The record of a run: the file run.json in its folder, rewritten whenever something has ended."""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.digests import slug
from pipeline.runs.invocation import Invocation
from pipeline.runs.results import Headline, headline_from_dict
from pipeline.runs.status import FAILED_STATUSES, CellStatus, StepStatus
from pipeline.runs.strict_json import decode_json, encode_json
from pipeline.workspace import RUN_RECORD_NAME

MAX_LAST_OUTPUT_CHARS = 2_000  # of StepRecord.output
FORCED_REASON = "it was forced"  # an entry of StepRecord.why
RESERVE_BYTES = 1 << 17  # enough to write a record on a full disk
RESERVE_NAME = ".reserve"  # a file of a run that has not ended
RUN_ID_PATTERN = re.compile(r"(\d{8}-\d{6})-([0-9a-f]{4})")


@dataclass
class Attempt:
    """An attempt to run a step that did not succeed and was retried."""

    status: StepStatus
    failure: str  # one sentence
    started: str = ""  # UTC, ISO 8601
    seconds: float = 0.0
    cell_status: list[CellStatus] = field(default_factory=list)
    output: str = ""
    notebook: str = ""  # the file name of the executed notebook


@dataclass
class StepRecord:
    """What happened to one step of a run."""

    name: str  # train, or train[seed=1] in a sweep
    report: str  # the HTML file's name
    status: StepStatus = StepStatus.NOT_RUN
    started: str = ""  # UTC, ISO 8601
    seconds: float = 0.0
    cells: int = 0
    heading: str = ""  # the heading above the cell that is running
    cells_done: int = 0
    cell_status: list[CellStatus] = field(default_factory=list)
    cell_seconds: list[float] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)  # those that differ from the notebook
    headline: Headline = field(default_factory=dict)  # results that the notebook published
    verdict: str = ""  # of those that the step declares, as the notebook published it
    notice: str = ""  # a warning that the notebook published
    facts: dict[str, str] = field(default_factory=dict)  # what else it says of itself
    links: dict[str, str] = field(default_factory=dict)  # to results outside the report
    pages: dict[str, str] = field(default_factory=dict)  # extra pages: name -> title
    why: list[str] = field(default_factory=list)  # the step was run: what had changed
    reused: str = ""  # the run that produced the results, if the step was up to date
    reused_stem: str = ""  # the name of its files in that run, without a suffix
    cold_start: str = ""  # why it was not run in a warm kernel, as a clause: "it sets ..."
    blocked_by: str = ""  # the step that did not succeed, so that this one did not run
    failure: str = ""  # one sentence
    notes: list[str] = field(default_factory=list)  # of the runner, on how it was executed
    traceback: str = ""  # with terminal colours
    output: str = ""  # the end of the output of the cell that did not end well
    stderr: str = ""  # the end of what the kernel process wrote to stderr
    peak_mb: int = 0  # memory
    attempts: list[Attempt] = field(default_factory=list)  # the earlier ones, if retried

    @property
    def failed_cell(self) -> int | None:
        """The number of the cell that did not end well, from 1 in the notebook with all its cells.

        None if there is none, as before the first cell.
        """
        good_ends = (CellStatus.RAN, CellStatus.SKIPPED, CellStatus.NOT_RUN, CellStatus.RUNNING)
        numbers = [
            number
            for number, status in enumerate(self.cell_status, start=1)
            if status not in good_ends
        ]
        return numbers[-1] if numbers else None

    @property
    def extent(self) -> str:
        """How far a step that did not succeed came, as the end of a sentence."""
        if not self.cells_done and not self.failed_cell:
            return "before its first cell"
        return f"after {self.cells_done} of {self.cells} cells"

    @property
    def file_stem(self) -> str:
        """The name of its files, without a suffix."""
        return Path(self.report).stem

    @property
    def executed_stem(self) -> str:
        """The name of its files in the run that executed it."""
        return self.reused_stem or self.file_stem

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
    problems: list[str] = field(default_factory=list)  # what could not be written: the run failed
    notes: list[str] = field(default_factory=list)  # what users should know all the same
    commit: str = ""  # of the notebooks; ends in -dirty if files differ from it
    commit_link: str = ""
    invocation: Invocation | None = None  # how it was started
    on_demand_step: str = ""  # that it ran, alone; empty for a run of the pipeline

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "RunRecord":
        """Return the run that a record's JSON describes; unknown entries are dropped.

        Raises AttributeError, KeyError, TypeError or ValueError if it is no record.
        """
        return _decode(cls, content)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as `from_dict` takes it; its values need `encode_json`."""
        return asdict(self)

    @property
    def status(self) -> StepStatus:
        """The first of the FAILED_STATUSES that a step has, else running, not run or done."""
        step_statuses = {step.status for step in self.steps}
        unfinished = (StepStatus.RUNNING, StepStatus.NOT_RUN, StepStatus.UNKNOWN)
        ranking = (*FAILED_STATUSES, *unfinished)
        return next((status for status in ranking if status in step_statuses), StepStatus.DONE)

    @property
    def seconds(self) -> float:
        """The time from start to end; while it runs, the sum of its steps' times."""
        if self.ended:
            ended, started = map(datetime.fromisoformat, (self.ended, self.started))
            return (ended - started).total_seconds()
        return sum(step.seconds for step in self.steps)

    def resume_line(self) -> str:
        """Return what a user types so that the run goes on where it ended; empty if unknown."""
        if self.invocation is None:
            return ""
        done_labels = [step.name for step in self.steps if step.status.is_success]
        return self.invocation.resume_line(done_labels)

    @property
    def notice(self) -> str:
        """The warning that every reader must see: the first that a step published."""
        return next((step.notice for step in self.steps if step.notice), "")

    @property
    def verdict(self) -> str:
        """The verdict that a step published; empty if none did."""
        return next((step.verdict for step in self.steps if step.verdict), "")

    @property
    def headline(self) -> Headline:
        """The results of the last step that published any."""
        return next((step.headline for step in reversed(self.steps) if step.headline), {})

    def fact(self, name: str) -> str:
        """Return the fact of the first step that published it; empty if none did."""
        return next((step.facts[name] for step in self.steps if step.facts.get(name)), "")


def _decode(record_class: type, content: Mapping[str, Any]) -> Any:
    """Return a record from its JSON, without entries that only a later version knows."""
    entries = {
        name: ENTRY_DECODERS[name](value) if name in ENTRY_DECODERS else value
        for name, value in content.items()
        if name in record_class.__annotations__
    }
    return record_class(**entries)


def _decode_step(content: Mapping[str, Any]) -> StepRecord:
    step = _decode(StepRecord, content)
    if "facts" not in content:  # an earlier version had entries of their own for facts
        texts = {name: text for name, text in content.items() if text and isinstance(text, str)}
        step.facts = {name: text for name, text in texts.items() if name not in vars(step)}
    return step


# entries that are no plain JSON
ENTRY_DECODERS: dict[str, Callable[[Any], Any]] = {
    "status": StepStatus,
    "cell_status": lambda statuses: [CellStatus(status) for status in statuses],
    "headline": headline_from_dict,
    "attempts": lambda attempts: [_decode(Attempt, attempt) for attempt in attempts],
    "invocation": lambda content: content and Invocation.from_dict(content),
    "steps": lambda steps: [_decode_step(step) for step in steps],
}


def new_run_id(newest_id: str = "") -> str:
    """Return an id that sorts by time, within a second too: it ends in 65,536ths of a second.

    newest_id: that of the newest run. The id sorts after it even if the clock was set back.
    """
    now = datetime.now(UTC)
    run_id = f"{now:%Y%m%d-%H%M%S}-{now.microsecond * 65_536 // 1_000_000:04x}"
    match = RUN_ID_PATTERN.fullmatch(newest_id)
    if match is None or run_id > newest_id:
        return run_id
    second, fraction = match[1], int(match[2], 16) + 1
    if fraction <= 0xFFFF:
        return f"{second}-{fraction:04x}"
    next_second = datetime.strptime(second, "%Y%m%d-%H%M%S") + timedelta(seconds=1)
    return f"{next_second:%Y%m%d-%H%M%S}-0000"


def seconds_since(started: str) -> float:
    """Return the seconds since a time in ISO 8601."""
    return (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds()


def utc_now() -> str:
    """Return the present time in UTC, as ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class UnreadableRecordError(ValueError):
    """Raised for a record that is damaged; names the file."""


class RunRecordWriter:
    """A writer of a run's record, even on a full disk: it deletes a reserved file to make room."""

    def __init__(self, run: RunRecord, folder: Path) -> None:
        self.run, self.folder = run, folder
        self.reserve_path = folder / RESERVE_NAME
        atomic_write(self.reserve_path, os.urandom(RESERVE_BYTES))
        self.save()

    def save(self) -> None:
        """Write run.json atomically. Raises OSError if it cannot be written."""
        text = encode_json(self.run.to_dict(), indent=1)
        try:
            atomic_write(self.folder / RUN_RECORD_NAME, text)
        except OSError:
            if not self.reserve_path.exists():
                raise
            self.reserve_path.unlink()
            atomic_write(self.folder / RUN_RECORD_NAME, text)

    def close(self) -> None:
        """Save the record for the last time, with the run's end."""
        self.reserve_path.unlink(missing_ok=True)
        self.run.ended = utc_now()
        self.save()


def load_all(runs_folder: Path, limit: int | None = None) -> list[RunRecord]:
    """Return the runs in a folder, newest first; skip those whose record cannot be read.

    limit: look at so many of the newest only.
    """
    runs = []
    for path in sorted(runs_folder.glob(f"*/{RUN_RECORD_NAME}"), reverse=True)[:limit]:
        with suppress(LookupError, UnreadableRecordError):
            runs.append(load(path.parent))
    return runs


def load_unfinished(runs_folder: Path) -> list[RunRecord]:
    """Return the runs that have not ended; skip those whose record cannot be read.

    Call it under the run lock: then their runners were killed. A clock that was set back may have
    made them older than others.
    """
    folders = {path.parent for path in runs_folder.glob(f"*/{RESERVE_NAME}")}
    runs = load_all(runs_folder, limit=1)  # on a full disk its reserve may have been used up
    for folder in sorted(folders - {runs_folder / run.id for run in runs}):
        with suppress(LookupError, UnreadableRecordError):
            runs.append(load(folder))
    return [run for run in runs if not run.ended]


def load(run_folder: Path) -> RunRecord:
    """Return the run whose folder this is.

    Raises LookupError if there is none, UnreadableRecordError if its record is damaged.
    """
    path = run_folder / RUN_RECORD_NAME
    try:
        return RunRecord.from_dict(decode_json(path.read_bytes()))
    except OSError:
        raise LookupError(f"there is no run {run_folder.name}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableRecordError(
            f"{path} is not the record of a run ({type(error).__name__}: {error}); delete "
            f"{run_folder}, or restore the file"
        ) from None


def load_on_demand_step(run_folder: Path) -> str:
    """Return the on-demand step of a run; empty for a run of the pipeline, or a damaged record."""
    try:
        return load(run_folder).on_demand_step
    except (LookupError, UnreadableRecordError):
        return ""
