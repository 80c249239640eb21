"""The record of a run: one run.json in its folder, written whole after every step."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass
class StepRecord:
    """What happened to one step of a run."""

    name: str
    report: str  # the HTML file's name
    status: str = "not run"  # "not run", "running", "done", "failed", "stopped"
    seconds: float = 0.0
    cells: int = 0
    cells_done: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)  # those that differ from the notebook
    headline: dict[str, Any] = field(default_factory=dict)  # what the notebook handed over
    notice: str = ""
    failure: str = ""


@dataclass
class RunRecord:
    """A run and its steps."""

    id: str
    started: str  # UTC, ISO 8601
    steps: list[StepRecord]

    @property
    def status(self) -> str:
        """The first of failed, stopped, running, not run that holds for a step; else done."""
        found = {one.status for one in self.steps}
        order = ("failed", "stopped", "running", "not run")
        return next((one for one in order if one in found), "done")

    @property
    def seconds(self) -> float:
        """The time of all steps together."""
        return sum(one.seconds for one in self.steps)

    @property
    def notice(self) -> str:
        """What no reader may miss; the first step that says so."""
        return next((one.notice for one in self.steps if one.notice), "")

    @property
    def headline(self) -> dict[str, Any]:
        """The results of the last step that handed any over."""
        return next((one.headline for one in reversed(self.steps) if one.headline), {})


def new_id() -> str:
    """Sorts by time, and two runs in one second differ."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def save(run: RunRecord, folder: Path) -> None:
    """Writes folder/run.json so that no reader ever finds half of it."""
    write_whole(folder / "run.json", json.dumps(asdict(run), indent=2, default=str))


def load_all(runs: Path) -> list[RunRecord]:
    """All runs below the folder, newest first."""
    found = sorted(runs.glob("*/run.json"), reverse=True)
    return [_load(json.loads(one.read_text())) for one in found]


def _load(content: dict[str, Any]) -> RunRecord:
    steps = [StepRecord(**one) for one in content.pop("steps")]
    return RunRecord(**content, steps=steps)


def write_whole(path: Path, text: str) -> None:
    """Writes aside, then renames."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text)
    aside.replace(path)
