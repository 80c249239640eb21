"""Writing what happens to a step into its record: cell by cell, and at its end."""

import contextlib
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pipeline.definition.tasks import Task
from pipeline.execution.messages import CellEvent, JobResult
from pipeline.runs import records
from pipeline.runs.os_errors import describe_error
from pipeline.runs.records import Attempt, RunRecord, StepRecord
from pipeline.runs.results import PublishedResults
from pipeline.runs.status import CellStatus, StepStatus
from pipeline.staleness import access_log, dependencies, recording
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.recording import OtherTasks
from pipeline.staleness.state_store import StateStore
from pipeline.workspace import RUN_PAGE_NAME, TaskFiles

PAGE_NAME_PATTERN = re.compile(r"[a-z0-9_]{1,80}")
MAX_STDERR_BYTES = 4_000
CELL_FILE_PATTERN = re.compile(r"\(\d+\.py, line ")  # IPython's file of a cell, in a syntax error


def record_cell(step: StepRecord, event: CellEvent) -> None:
    """Record that a cell has started, has shown how far it is, or has ended."""
    step.cells, step.heading = event.n_cells, event.heading
    if not step.cell_status:  # the first event of this attempt
        step.cell_status = [CellStatus.NOT_RUN] * step.cells
        step.cell_seconds = [0.0] * step.cells
        step.cells_done = 0
    # counted as they end: a notebook may have thousands
    step.cells_done += event.status.is_success - step.cell_status[event.cell_index].is_success
    step.cell_status[event.cell_index] = event.status
    step.cell_seconds[event.cell_index] = event.seconds


def record_cold_start(step: StepRecord, reason: str) -> None:
    """Record that the step starts again, in a kernel that is a new process."""
    step.cold_start, step.heading = reason, ""
    step.cells_done, step.cell_status, step.cell_seconds = 0, [], []


def finish_step(step: StepRecord, result: JobResult, files: TaskFiles) -> None:
    """Record that the step has ended."""
    step.status = result.status
    step.failure = CELL_FILE_PATTERN.sub("(line ", result.failure)
    step.traceback, step.output, step.peak_mb = result.traceback, result.output, result.peak_mb
    step.cell_status = result.cell_status or [
        status.after_kernel_death() for status in step.cell_status
    ]
    step.seconds = round(records.seconds_since(step.started), 3)
    step.stderr, step.notes = _read_stderr(files.stderr), result.notes


def save_step_state(
    step: StepRecord,
    task: Task,
    state_store: StateStore,
    run: RunRecord,
    files: TaskFiles,
    fingerprint: Fingerprint,
    other_tasks: OtherTasks,
) -> None:
    """Save how the step ended, which decides whether it runs the next time.

    fingerprint: what the step depended on when it started. A state that cannot be saved, published
    results that are malformed, or a changed file of another step make it a failed step.
    """
    accesses = access_log.read_access_log(files.access_log, task.step, state_store.workspace)
    fingerprint = dependencies.add_traced_imports(
        fingerprint, files.access_log, task.step.notebook.parent, step.started
    )
    try:
        results = PublishedResults()
        if step.status is StepStatus.DONE:
            results = PublishedResults.load(files.results)
            _apply_published_results(step, results, run, task.step.verdicts)
            secrets = state_store.workspace.secrets
            results = replace(
                results,
                input_files=secrets.reveal(results.input_files),
                output_files=secrets.reveal(results.output_files),
            )
            accesses.written.update(dict.fromkeys(map(Path, results.output_files), ""))
        error = recording.find_changed_file(task, accesses, other_tasks, state_store)
        if error:
            step.status = StepStatus.FAILED
            step.failure = f"{step.failure}; {error}" if step.failure else error
        if step.status is StepStatus.DONE:
            started_ns = int(datetime.fromisoformat(step.started).timestamp() * 1e9)
            own_files = {*state_store.existing_outputs(task.label), *state_store.scratch_files()}
            access_log.add_named_files(accesses, task, state_store.workspace, own_files, started_ns)
            recording.record_success(
                task, run.id, accesses, results, fingerprint, other_tasks, state_store
            )
        else:
            state_store.mark_unfinished(task, run.id, step.status)
    except (OSError, ValueError) as error:
        step.status = StepStatus.FAILED
        step.failure = f"its result could not be recorded: {describe_error(error)}"
    step.failure = state_store.workspace.secrets.hide(step.failure)


def archive_attempt(step: StepRecord, files: TaskFiles) -> None:
    """Move the step's record and executed notebook to its attempts, as it will be retried."""
    archived_path = files.attempt(len(step.attempts) + 1)
    with contextlib.suppress(OSError):
        files.notebook.replace(archived_path)
    attempt = Attempt(
        status=step.status,
        failure=step.failure,
        started=step.started,
        seconds=step.seconds,
        cell_status=step.cell_status,
        output=step.output,
        notebook=archived_path.name,
    )
    step.attempts.append(attempt)
    step.status, step.failure = StepStatus.RUNNING, ""


def copy_reused_record(step: StepRecord, source_run_folder: Path, run: RunRecord) -> None:
    """Complete the record of a step that is up to date with that of the run that produced it.

    source_run_folder: of that run; if it cannot be read, only the status is set. run: the present
    one. If two of its steps have a page of the same name, the page of the first is kept.
    """
    with contextlib.suppress(LookupError, records.UnreadableRecordError):
        source_run = records.load(source_run_folder)
        for source_step in source_run.steps:
            if source_step.name == step.name:
                vars(step).update({**vars(source_step), "report": step.report})
                step.reused_stem = source_step.file_stem
    step.status, step.reused, step.why = StepStatus.UP_TO_DATE, source_run_folder.name, []
    reserved_names = _reserved_page_names(run, step)
    step.pages = {
        name: title
        for name, title in step.pages.items()
        if step.page_filename(name) not in reserved_names
    }


def _apply_published_results(
    step: StepRecord, results: PublishedResults, run: RunRecord, verdicts: tuple[str, ...]
) -> None:
    """Copy what the notebook published into the record.

    The Markdown of its pages stays in the published file. Raises ValueError if a page's name is no
    file name, or another page of the run has it; and if the verdict is none of the step's.
    """
    if results.verdict not in (verdicts or ("",)):
        expected = f"one of {', '.join(verdicts)}" if verdicts else "none: the step declares none"
        raise ValueError(f"it published the verdict {results.verdict!r}, expected {expected}")
    reserved_names = _reserved_page_names(run, step)
    for name in results.pages:
        if not PAGE_NAME_PATTERN.fullmatch(name):
            raise ValueError(f"it published a page {name!r}, expected a name of a-z, 0-9 and _")
        if step.page_filename(name) in reserved_names:
            raise ValueError(f"it published the page {name}, but this run has another of that name")
    step.headline, step.notice = results.headline, results.notice
    step.verdict = results.verdict
    if step.verdict:
        step.headline = {"verdict": step.verdict, **step.headline}
    step.facts, step.links = results.facts, results.links
    step.pages = {name: page.title for name, page in results.pages.items()}


def _reserved_page_names(run: RunRecord, step: StepRecord) -> set[str]:
    """Return the names of the run's HTML files that are not for `step` to write."""
    extra_pages = {
        run_step.page_filename(name)
        for run_step in run.steps
        if run_step is not step
        for name in run_step.pages
    }
    return {RUN_PAGE_NAME, *extra_pages, *(run_step.report.lower() for run_step in run.steps)}


def _read_stderr(path: Path) -> str:
    """Return the end of what the kernel process wrote to stderr; empty if there is no file."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MAX_STDERR_BYTES))
        return file.read().decode(errors="replace")
