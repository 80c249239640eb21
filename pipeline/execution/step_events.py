"""What became of a step, written into its record: cell by cell, and at its end."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from pipeline.definition.steps import Task
from pipeline.runs import records
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.staleness.reasons import near
from pipeline.staleness.state_store import States

HANDOVER = {
    "headline": dict, "notice": str, "data": str, "champion": str, "links": dict,
    "made": dict, "read": list, "wrote": list, "pages": dict,
}  # fmt: skip
PAGE = re.compile(r"[a-z0-9_]{1,80}")  # a further page's name


def count(step: StepRecord, event: dict[str, Any]) -> None:
    """A cell has started or ended."""
    number = event["number"]
    if event["status"] == "running":
        step.cells = event["of"]
        step.heading = event["heading"]
        step.cell_status = (step.cell_status + ["not run"] * step.cells)[: step.cells]
        step.cell_seconds = (step.cell_seconds + [0.0] * step.cells)[: step.cells]
    else:
        step.cell_seconds[number] = event["seconds"]
    step.cell_status[number] = event["status"]
    step.cells_done = step.cell_status.count("ran")


def end(step: StepRecord, event: dict[str, Any], place: Path) -> None:
    """It has ended. place: where its files are, without an ending."""
    for name in ("status", "failure", "traceback", "output", "peak_mb"):
        setattr(step, name, event.get(name, getattr(step, name)))
    step.cell_status = event.get("cells") or [
        "killed" if one == "running" else one for one in step.cell_status
    ]
    step.seconds = round(records.since(step.started), 3)
    step.stderr = _tail(place.with_name(f"{place.name}.stderr"))


def can_try_again(step: StepRecord, task: Task, states: States, place: Path) -> bool:
    """Whether it has attempts left, and would find other steps' files as it found them before."""
    if len(step.attempts) >= task.step.retries:
        return False
    spoilt = states.spoilt(task, place.with_name(f"{place.name}.trace"))
    if spoilt:
        step.failure += f"; not tried again, as it had changed {near(spoilt[0])} already"
    return not spoilt


def remember(
    step: StepRecord, task: Task, states: States, run: RunRecord, place: Path, began: dict[str, Any]
) -> list[str]:
    """How it ended decides whether it runs the next time; gives sentences that no reader may miss.

    began: what it depended on when it began.
    """
    try:
        if step.status == "done":
            told = _take_over(step, place.with_name(f"{place.name}.json"), run)
            noted = place.with_name(f"{place.name}.trace")
            known = {**began, "cell_seconds": step.cell_seconds}
            return states.finish(task, run.id, noted, told, known)
        states.stop(task, run.id, step.status)
    except (OSError, ValueError) as failed:
        step.status = "failed"
        step.failure = f"its end could not be recorded: {failed}"
    return []


def put_aside(step: StepRecord, place: Path) -> None:
    """It is to be tried again: what it did so far is an attempt of its own."""
    kept = f"{place.name}.attempt-{len(step.attempts) + 1}.ipynb"
    with contextlib.suppress(OSError):
        place.with_name(f"{place.name}.ipynb").replace(place.with_name(kept))
    names = ("status", "failure", "started", "seconds", "cell_status", "output")
    attempt = {name: getattr(step, name) for name in names}
    step.attempts.append({**attempt, "notebook": kept})
    step.status, step.failure = "running", ""


def reuse(step: StepRecord, made_by: Path, run: RunRecord) -> None:
    """It is up to date: its record is the one of the run that made it, if that can be read.

    run: this one. Of two pages with one name it shows the one it had first.
    """
    with contextlib.suppress(LookupError):
        earlier = records.load(made_by)
        found = next(one for one in earlier.steps if one.name == step.name)
        step.__dict__.update({**found.__dict__, "report": step.report})
    step.status, step.reused, step.why = "up to date", made_by.name, []
    taken = _taken(run, step)
    step.pages = {one: title for one, title in step.pages.items() if step.page(one) not in taken}


def _take_over(step: StepRecord, path: Path, run: RunRecord) -> dict[str, Any]:
    """What the notebook said of itself, if it did; ValueError if it is malformed."""
    if not path.exists():
        return {}
    told = json.loads(path.read_text())
    for name, kind in HANDOVER.items():
        if not isinstance(told, dict) or not isinstance(told.get(name, kind()), kind):
            raise ValueError(f"it handed over {name} as no {kind.__name__} ({path})")
    for name, value in told.get("headline", {}).items():
        numbers = [value.get("value"), value.get("before", 0)] if isinstance(value, dict) else []
        if any(not isinstance(one, int | float | None) for one in numbers) or None in numbers[:1]:
            raise ValueError(f"it handed over {name} as {value!r}, expected a number as value")
    for name in ("headline", "notice", "data", "champion", "links"):
        setattr(step, name, told.get(name, getattr(step, name)))
    step.pages = _pages(told.get("pages", {}), step, _taken(run, step))
    return told


def _pages(told: dict[str, Any], step: StepRecord, taken: set[str]) -> dict[str, str]:
    """Name -> title; the Markdown stays in the hand-over. ValueError if a page cannot be shown."""
    for name, page in told.items():
        if not PAGE.fullmatch(name):
            raise ValueError(f"it handed over a page {name!r}, expected a name of a-z, 0-9 and _")
        texts = [page.get("title"), page.get("markdown")] if isinstance(page, dict) else [None]
        if not all(isinstance(one, str) and one.strip() for one in texts):
            raise ValueError(f"it handed over the page {name}, but not its title and its Markdown")
        if step.page(name) in taken:
            raise ValueError(
                f"it handed over the page {name}, but this run has another of that name"
            )
    return {name: page["title"] for name, page in told.items()}


def _taken(run: RunRecord, step: StepRecord) -> set[str]:
    """The names of the run's pages that are not the step's to give."""
    others = {one.page(name) for one in run.steps if one is not step for name in one.pages}
    return {"index.html", *others, *(one.report.lower() for one in run.steps)}


def _tail(path: Path, size: int = 4000) -> str:
    """The end of a text file; empty if there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode(errors="replace")
