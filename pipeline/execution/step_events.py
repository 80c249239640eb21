"""What became of a step, written into its record: cell by cell, and at its end."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from pipeline.definition.steps import Task
from pipeline.runs import records
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.staleness.reasons import display_path
from pipeline.staleness.state_store import StateStore

REPORT_FIELDS = {
    "headline": dict, "notice": str, "data": str, "champion": str, "links": dict,
    "made": dict, "read": list, "wrote": list, "pages": dict,
}  # fmt: skip
PAGE_NAME_PATTERN = re.compile(r"[a-z0-9_]{1,80}")  # a further page's name


def record_cell_event(step: StepRecord, event: dict[str, Any]) -> None:
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


def finish_step(step: StepRecord, event: dict[str, Any], base_path: Path) -> None:
    """It has ended. place: where its files are, without an ending."""
    for name in ("status", "failure", "traceback", "output", "peak_mb"):
        setattr(step, name, event.get(name, getattr(step, name)))
    step.cell_status = event.get("cell_status") or [
        "killed" if one == "running" else one for one in step.cell_status
    ]
    step.seconds = round(records.seconds_since(step.started), 3)
    step.stderr = _read_tail(base_path.with_name(f"{base_path.name}.stderr"))


def can_retry(step: StepRecord, task: Task, state_store: StateStore, base_path: Path) -> bool:
    """Whether it has attempts left, and would find other steps' files as it found them before."""
    if len(step.attempts) >= task.step.retries:
        return False
    spoilt = state_store.modified_foreign_files(
        task, base_path.with_name(f"{base_path.name}.trace")
    )
    if spoilt:
        step.failure += f"; not tried again, as it had changed {display_path(spoilt[0])} already"
    return not spoilt


def save_step_state(
    step: StepRecord,
    task: Task,
    state_store: StateStore,
    run: RunRecord,
    base_path: Path,
    start_fingerprint: dict[str, Any],
) -> list[str]:
    """How it ended decides whether it runs the next time; gives sentences that no reader may miss.

    began: what it depended on when it began.
    """
    try:
        if step.status == "done":
            told = _apply_published_results(
                step, base_path.with_name(f"{base_path.name}.json"), run
            )
            noted = base_path.with_name(f"{base_path.name}.trace")
            known = {**start_fingerprint, "cell_seconds": step.cell_seconds}
            return state_store.mark_done(task, run.id, noted, told, known)
        state_store.mark_unfinished(task, run.id, step.status)
    except (OSError, ValueError) as failed:
        step.status = "failed"
        step.failure = f"its end could not be recorded: {failed}"
    return []


def archive_attempt(step: StepRecord, base_path: Path) -> None:
    """It is to be tried again: what it did so far is an attempt of its own."""
    kept = f"{base_path.name}.attempt-{len(step.attempts) + 1}.ipynb"
    with contextlib.suppress(OSError):
        base_path.with_name(f"{base_path.name}.ipynb").replace(base_path.with_name(kept))
    names = ("status", "failure", "started", "seconds", "cell_status", "output")
    attempt = {name: getattr(step, name) for name in names}
    step.attempts.append({**attempt, "notebook": kept})
    step.status, step.failure = "running", ""


def copy_reused_record(step: StepRecord, source_run_folder: Path, run: RunRecord) -> None:
    """It is up to date: its record is the one of the run that made it, if that can be read.

    run: this one. Of two pages with one name it shows the one it had first.
    """
    with contextlib.suppress(LookupError):
        earlier = records.load(source_run_folder)
        found = next(one for one in earlier.steps if one.name == step.name)
        step.__dict__.update({**found.__dict__, "report": step.report})
    step.status, step.reused, step.why = "up to date", source_run_folder.name, []
    taken = _reserved_page_names(run, step)
    step.pages = {
        one: title for one, title in step.pages.items() if step.page_filename(one) not in taken
    }


def _apply_published_results(step: StepRecord, path: Path, run: RunRecord) -> dict[str, Any]:
    """What the notebook said of itself, if it did; ValueError if it is malformed."""
    if not path.exists():
        return {}
    told = json.loads(path.read_text())
    for name, kind in REPORT_FIELDS.items():
        if not isinstance(told, dict) or not isinstance(told.get(name, kind()), kind):
            raise ValueError(f"it handed over {name} as no {kind.__name__} ({path})")
    for name, value in told.get("headline", {}).items():
        numbers = [value.get("value"), value.get("before", 0)] if isinstance(value, dict) else []
        if any(not isinstance(one, int | float | None) for one in numbers) or None in numbers[:1]:
            raise ValueError(f"it handed over {name} as {value!r}, expected a number as value")
    for name in ("headline", "notice", "data", "champion", "links"):
        setattr(step, name, told.get(name, getattr(step, name)))
    step.pages = _validate_pages(told.get("pages", {}), step, _reserved_page_names(run, step))
    return told


def _validate_pages(
    pages: dict[str, Any], step: StepRecord, reserved_names: set[str]
) -> dict[str, str]:
    """Name -> title; the Markdown stays in the hand-over. ValueError if a page cannot be shown."""
    for name, page in pages.items():
        if not PAGE_NAME_PATTERN.fullmatch(name):
            raise ValueError(f"it handed over a page {name!r}, expected a name of a-z, 0-9 and _")
        texts = [page.get("title"), page.get("markdown")] if isinstance(page, dict) else [None]
        if not all(isinstance(one, str) and one.strip() for one in texts):
            raise ValueError(f"it handed over the page {name}, but not its title and its Markdown")
        if step.page_filename(name) in reserved_names:
            raise ValueError(
                f"it handed over the page {name}, but this run has another of that name"
            )
    return {name: page["title"] for name, page in pages.items()}


def _reserved_page_names(run: RunRecord, step: StepRecord) -> set[str]:
    """The names of the run's pages that are not the step's to give."""
    others = {one.page_filename(name) for one in run.steps if one is not step for name in one.pages}
    return {"index.html", *others, *(one.report.lower() for one in run.steps)}


def _read_tail(path: Path, max_bytes: int = 4000) -> str:
    """The end of a text file; empty if there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - max_bytes))
        return file.read().decode(errors="replace")
