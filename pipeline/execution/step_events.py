"""Writing what happens to a step into its record: cell by cell, and at its end."""

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

# what a notebook may publish about itself -> its type
REPORT_FIELDS: dict[str, type] = {
    "headline": dict,
    "notice": str,
    "data": str,
    "champion": str,
    "links": dict,
    "made": dict,
    "read": list,
    "wrote": list,
    "pages": dict,
}
RECORDED_REPORT_FIELDS = ("headline", "notice", "data", "champion", "links")  # as StepRecord's
JOB_RESULT_FIELDS = ("status", "failure", "traceback", "output", "peak_mb")  # as StepRecord's
ATTEMPT_FIELDS = ("status", "failure", "started", "seconds", "cell_status", "output")
PAGE_NAME_PATTERN = re.compile(r"[a-z0-9_]{1,80}")
MAX_STDERR_BYTES = 4_000


def record_cell_event(step: StepRecord, event: dict[str, Any]) -> None:
    """Record that a cell has started or ended."""
    cell_index = event["number"]
    if event["status"] == "running":
        step.cells = event["of"]
        step.heading = event["heading"]
        step.cell_status = (step.cell_status + ["not run"] * step.cells)[: step.cells]
        step.cell_seconds = (step.cell_seconds + [0.0] * step.cells)[: step.cells]
    else:
        step.cell_seconds[cell_index] = event["seconds"]
    step.cell_status[cell_index] = event["status"]
    step.cells_done = step.cell_status.count("ran")


def finish_step(step: StepRecord, event: dict[str, Any], base_path: Path) -> None:
    """Record that the step has ended. base_path: the path of its files without a suffix."""
    for name in JOB_RESULT_FIELDS:
        setattr(step, name, event.get(name, getattr(step, name)))
    step.cell_status = event.get("cell_status") or [
        "killed" if status == "running" else status for status in step.cell_status
    ]
    step.seconds = round(records.seconds_since(step.started), 3)
    step.stderr = _read_tail(_with_ending(base_path, "stderr"))


def can_retry(step: StepRecord, task: Task, state_store: StateStore, base_path: Path) -> bool:
    """Return whether the step has attempts left and has not changed files of other steps."""
    if len(step.attempts) >= task.step.retries:
        return False
    changed_files = state_store.modified_foreign_files(task, _with_ending(base_path, "trace"))
    if changed_files:
        path = display_path(changed_files[0])
        step.failure += f"; not tried again, as it had changed {path} already"
    return not changed_files


def save_step_state(
    step: StepRecord,
    task: Task,
    state_store: StateStore,
    run: RunRecord,
    base_path: Path,
    start_fingerprint: dict[str, Any],
) -> list[str]:
    """Save how the step ended, which decides whether it runs the next time; return warnings.

    start_fingerprint: what the step depended on when it started. A state that cannot be saved, or
    published results that are malformed, make it a failed step.
    """
    try:
        if step.status == "done":
            reported_fields = _apply_published_results(step, _with_ending(base_path, "json"), run)
            return state_store.mark_done(
                task,
                run.id,
                _with_ending(base_path, "trace"),
                reported_fields,
                {**start_fingerprint, "cell_seconds": step.cell_seconds},
            )
        state_store.mark_unfinished(task, run.id, step.status)
    except (OSError, ValueError) as error:
        step.status = "failed"
        step.failure = f"its result could not be recorded: {error}"
    return []


def archive_attempt(step: StepRecord, base_path: Path) -> None:
    """Move the step's record and executed notebook to its attempts, as it will be retried."""
    archived_name = f"{base_path.name}.attempt-{len(step.attempts) + 1}.ipynb"
    with contextlib.suppress(OSError):
        _with_ending(base_path, "ipynb").replace(base_path.with_name(archived_name))
    attempt = {name: getattr(step, name) for name in ATTEMPT_FIELDS}
    step.attempts.append({**attempt, "notebook": archived_name})
    step.status, step.failure = "running", ""


def copy_reused_record(step: StepRecord, source_run_folder: Path, run: RunRecord) -> None:
    """Complete the record of a step that is up to date with that of the run that produced it.

    source_run_folder: of that run; if it cannot be read, only the status is set. run: the present
    one. If two of its steps have a page of the same name, the page of the first is kept.
    """
    with contextlib.suppress(LookupError):
        source_run = records.load(source_run_folder)
        source_step = next(source for source in source_run.steps if source.name == step.name)
        step.__dict__.update({**source_step.__dict__, "report": step.report})
    step.status, step.reused, step.why = "up to date", source_run_folder.name, []
    reserved_names = _reserved_page_names(run, step)
    step.pages = {
        name: title
        for name, title in step.pages.items()
        if step.page_filename(name) not in reserved_names
    }


def _with_ending(base_path: Path, ending: str) -> Path:
    return base_path.with_name(f"{base_path.name}.{ending}")


def _apply_published_results(step: StepRecord, path: Path, run: RunRecord) -> dict[str, Any]:
    """Copy what the notebook published in the file `path` into the record, and return it.

    Returns an empty dict if there is no such file. Raises ValueError if it is malformed.
    """
    if not path.exists():
        return {}
    published = json.loads(path.read_text())
    if not isinstance(published, dict):
        raise ValueError(f"it handed over {type(published).__name__}, expected dict ({path})")
    for name, kind in REPORT_FIELDS.items():
        value = published.get(name, kind())
        if not isinstance(value, kind):
            raise ValueError(
                f"it handed over {name} as {type(value).__name__}, "
                f"expected {kind.__name__} ({path})"
            )
    for name, value in published.get("headline", {}).items():
        _validate_headline(name, value)
    for name in RECORDED_REPORT_FIELDS:
        setattr(step, name, published.get(name, getattr(step, name)))
    pages = published.get("pages", {})
    step.pages = _validate_pages(pages, step, _reserved_page_names(run, step))
    return published


def _validate_headline(name: str, value: Any) -> None:
    """Raise ValueError if a result has no number to compare; a text needs none."""
    if not isinstance(value, dict):
        return
    number, number_before = value.get("value"), value.get("before", 0)
    if not isinstance(number, int | float) or not isinstance(number_before, int | float | None):
        raise ValueError(f"it handed over {name} as {value!r}, expected a number as value")


def _validate_pages(
    pages: dict[str, Any], step: StepRecord, reserved_names: set[str]
) -> dict[str, str]:
    """Return name -> title of the published pages; their Markdown stays in the published file.

    reserved_names: of HTML files of the run that the step must not replace. Raises ValueError if a
    page cannot be shown.
    """
    for name, page in pages.items():
        if not PAGE_NAME_PATTERN.fullmatch(name):
            raise ValueError(f"it handed over a page {name!r}, expected a name of a-z, 0-9 and _")
        texts = [page.get("title"), page.get("markdown")] if isinstance(page, dict) else [None]
        if not all(isinstance(text, str) and text.strip() for text in texts):
            raise ValueError(f"it handed over the page {name}, but not its title and its Markdown")
        if step.page_filename(name) in reserved_names:
            raise ValueError(
                f"it handed over the page {name}, but this run has another of that name"
            )
    return {name: page["title"] for name, page in pages.items()}


def _reserved_page_names(run: RunRecord, step: StepRecord) -> set[str]:
    """Return the names of the run's HTML files that are not for `step` to write."""
    extra_pages = {
        run_step.page_filename(name)
        for run_step in run.steps
        if run_step is not step
        for name in run_step.pages
    }
    return {"index.html", *extra_pages, *(run_step.report.lower() for run_step in run.steps)}


def _read_tail(path: Path, max_bytes: int = MAX_STDERR_BYTES) -> str:
    """Return the end of a text file; empty if there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - max_bytes))
        return file.read().decode(errors="replace")
