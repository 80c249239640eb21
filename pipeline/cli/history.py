"""Describe past runs in text, for the commands `runs` and `show`."""

from pathlib import Path

from pipeline.cli import tables
from pipeline.runs import records
from pipeline.runs.formatting import format_duration, join_limited, split_message
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.runs.results import format_metric
from pipeline.runs.status import StepStatus
from pipeline.workspace import Workspace

MAX_STEPS_IN_ROW = 5
MAX_MATCHES_SHOWN = 5
MAX_OUTPUT_LINES = 5
STATUS_MARKS = {
    StepStatus.DONE: "",
    StepStatus.UP_TO_DATE: "=",
    StepStatus.NOT_RUN: "-",
    StepStatus.RUNNING: "~",
}
FAILURE_MARK = "!"


def print_runs(workspace: Workspace, limit: int) -> None:
    """Print a table of the newest runs: id, status, duration, steps, results and parameters."""
    rows = [_run_row(run) for run in records.load_all(workspace.runs_folder, limit)]
    if rows:
        tables.print_table([("run", "status", "took", "steps", "result"), *rows])
    else:
        print("no run yet")


def _run_row(run: RunRecord) -> tuple[str, str, str, str, str]:
    marked_names = [STATUS_MARKS.get(step.status, FAILURE_MARK) + step.name for step in run.steps]
    steps = join_limited(marked_names, MAX_STEPS_IN_ROW, " ")
    duration = format_duration(run.seconds) if run.ended else "-"
    results = [f"{name}: {format_metric(value)}" for name, value in run.headline.items()]
    results += [
        f"{step.name}.{name}={value}"
        for step in run.steps
        if step.status is not StepStatus.UP_TO_DATE
        for name, value in step.parameters.items()
    ]
    return run.id, run.status, duration, steps, "; ".join(results)


def print_run(workspace: Workspace, run_ref: str) -> None:
    """Print one run: each step's status, reasons, parameters, results, attempts and pages.

    Raises LookupError as `find_run_folder` does.
    """
    run = records.load(find_run_folder(workspace, run_ref))
    duration = f", {format_duration(run.seconds)}" if run.ended else ""
    text = f"run {run.id}: {run.status}, started {run.started[:19]} UTC{duration}"
    tables.print_line(text, run.status)
    for note in [*run.problems, *run.notes]:
        print(f"note: {note}")
    for step in run.steps:
        first_line, *lines = _step_details(workspace, run, step)
        tables.print_line(f"\n{first_line}", step.status)
        for line in lines:
            print(line)
    if run.ended and run.status is not StepStatus.DONE and run.invocation:
        print(f"\nto go on from there: {run.resume_line()}")


def find_run_folder(workspace: Workspace, run_ref: str) -> Path:
    """Return the folder of a run, given by its id, the start of its id, "latest", or a step's name.

    "latest" stands for the newest run of the pipeline, the name of an on-demand step for the newest
    run of that. Raises LookupError if no run matches, or several do.
    """
    run_ids = workspace.run_ids()[::-1]
    matches = [run_id for run_id in run_ids if run_id.startswith(run_ref)]
    if not matches:
        on_demand_step = "" if run_ref == "latest" else run_ref
        matches = _newest_run(workspace, run_ids, on_demand_step)
    if len(matches) == 1:
        return workspace.run_folder(matches[0])
    if matches:
        examples = join_limited(matches, MAX_MATCHES_SHOWN, ", ")
        raise LookupError(f"{run_ref!r} is the start of {len(matches)} runs: {examples}")
    hint = f"; the newest is {run_ids[-1]}" if run_ids else ""
    raise LookupError(f"there is no run {run_ref!r}{hint}")


def _newest_run(workspace: Workspace, run_ids: list[str], on_demand_step: str) -> list[str]:
    """Return the id of the newest run of a step, or of the pipeline, in a list; empty if none is.

    run_ids: oldest first. A damaged record counts as one of the pipeline.
    """
    for run_id in reversed(run_ids):
        if records.load_on_demand_step(workspace.run_folder(run_id)) == on_demand_step:
            return [run_id]
    return []


def _step_details(workspace: Workspace, run: RunRecord, step: StepRecord) -> list[str]:
    status = f"{step.status} since run {step.reused}" if step.reused else str(step.status)
    facts = [status, f"{step.cells_done}/{step.cells} cells" if step.cells else ""]
    if step.status is StepStatus.RUNNING:
        facts.append(f"since {step.started[11:19]} UTC")
    elif step.status is not StepStatus.NOT_RUN:
        facts.append(format_duration(step.seconds))
    lines = [f"{step.name}: {', '.join(filter(None, facts))}"]
    lines += [f"  why: {reason}" for reason in step.why]
    lines += [f"  {name} = {value}" for name, value in step.parameters.items()]
    lines += [f"  {name}: {format_metric(value)}" for name, value in step.headline.items()]
    lines += [f"  NOTE: {step.notice}"] if step.notice else []
    for number, attempt in enumerate(step.attempts, 1):
        duration = format_duration(attempt.seconds)
        lines.append(f"  attempt {number} {attempt.status} after {duration}: {attempt.failure}")
    lines += [f"  note: {note}" for note in step.notes]
    if step.blocked_by and step.status is StepStatus.NOT_RUN:
        lines.append(f"  it did not run, as {step.blocked_by} did not succeed")
    cell = f"in cell {step.failed_cell}: " if step.failed_cell else ""
    lines += [f"  {cell}{step.failure}"] if step.failure else []
    lines += [f"    {line}" for line in split_message(step.traceback)]
    output_lines = step.output.strip().splitlines()
    lines += [f"  last output: {line}" for line in output_lines[-MAX_OUTPUT_LINES:]]
    if not step.cells_done and step.status.is_failure:  # else it holds the libraries' warnings
        stderr_lines = step.stderr.strip().splitlines()
        lines += [f"  stderr: {line}" for line in stderr_lines[-MAX_OUTPUT_LINES:]]
    lines += [f"  peak memory: {step.peak_mb:,} MB"] if step.peak_mb else []
    filenames = {"report": step.report} | {name: step.page_filename(name) for name in step.pages}
    report_folder = workspace.report_folder(run.id)
    paths = {name: report_folder / filename for name, filename in filenames.items()}
    return lines + [f"  {name}: {path}" for name, path in paths.items() if path.exists()]
