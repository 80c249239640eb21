"""Describe past runs in text: `run_pipeline.py runs` and `run_pipeline.py show RUN`."""

from pathlib import Path

from pipeline.runs import records
from pipeline.runs.records import RunRecord, StepRecord, format_duration, format_metric

MAX_STEPS_IN_ROW = 5
MAX_MATCHES_SHOWN = 5
MAX_OUTPUT_LINES = 5
STATUS_MARKS = {"done": "", "up to date": "=", "not run": "-", "running": "~"}
FAILURE_MARK = "!"


def run_table(home: Path, limit: int) -> str:
    """Return a table of the newest runs: id, status, duration, steps, results and parameters."""
    rows = [_run_row(run) for run in records.load_all(home / "var" / "runs", limit)]
    if not rows:
        return "no run yet"
    rows.insert(0, ("run", "status", "took", "steps", "result"))
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    lines = []
    for *cells, result in rows:
        padded_cells = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append(f"{'  '.join(padded_cells)}  {result}".rstrip())
    return "\n".join(lines)


def _run_row(run: RunRecord) -> tuple[str, str, str, str, str]:
    steps = " ".join(_status_mark(step) + step.name for step in run.steps[:MAX_STEPS_IN_ROW])
    n_hidden_steps = len(run.steps) - MAX_STEPS_IN_ROW
    steps += f" and {n_hidden_steps} more" if n_hidden_steps > 0 else ""
    results = [f"{name}: {format_metric(value)}" for name, value in run.headline.items()]
    results += [
        f"{step.name}.{name}={value}"
        for step in run.steps
        if step.status != "up to date"
        for name, value in step.parameters.items()
    ]
    return run.id, run.status, format_duration(run.seconds), steps, "; ".join(results)


def _status_mark(step: StepRecord) -> str:
    return STATUS_MARKS.get(step.status, FAILURE_MARK)


def run_details(home: Path, run_ref: str) -> str:
    """Describe one run: each step's status, reasons, parameters, results, attempts and pages.

    Raises LookupError as `find_run_folder` does.
    """
    run = records.load(find_run_folder(home, run_ref))
    duration = format_duration(run.seconds)
    lines = [f"run {run.id}: {run.status}, started {run.started[:19]} UTC, {duration}"]
    for step in run.steps:
        lines += ["", *_step_details(home, run, step)]
    return "\n".join(lines)


def find_run_folder(home: Path, run_ref: str) -> Path:
    """Return the folder of a run, given by its id, the start of its id, or "latest".

    Raises LookupError if no run matches, or several do.
    """
    runs_folder = home / "var" / "runs"
    run_ids = sorted(path.parent.name for path in runs_folder.glob("*/run.json"))
    if run_ref == "latest":
        matches = run_ids[-1:]
    else:
        matches = [run_id for run_id in run_ids if run_id.startswith(run_ref)]
    if len(matches) == 1:
        return runs_folder / matches[0]
    if matches:
        examples = ", ".join(matches[:MAX_MATCHES_SHOWN])
        raise LookupError(f"{run_ref!r} is the start of {len(matches)} runs: {examples}")
    hint = f"; the newest is {run_ids[-1]}" if run_ids else ""
    raise LookupError(f"there is no run {run_ref!r}{hint}")


def _step_details(home: Path, run: RunRecord, step: StepRecord) -> list[str]:
    cells = f"{step.cells_done}/{step.cells} cells, " if step.cells else ""
    since = f" since run {step.reused}" if step.reused else ""
    lines = [f"{step.name}: {step.status}{since}, {cells}{format_duration(step.seconds)}"]
    lines += [f"  why: {reason}" for reason in step.why]
    lines += [f"  {name} = {value}" for name, value in step.parameters.items()]
    lines += [f"  {name}: {format_metric(value)}" for name, value in step.headline.items()]
    lines += [f"  NOTE: {step.notice}"] if step.notice else []
    for number, attempt in enumerate(step.attempts, 1):
        duration = format_duration(attempt["seconds"])
        lines.append(
            f"  attempt {number} {attempt['status']} after {duration}: {attempt['failure']}"
        )
    lines += [f"  {step.failure}"] if step.failure else []
    output_lines = step.output.strip().splitlines()
    lines += [f"  last output: {line}" for line in output_lines[-MAX_OUTPUT_LINES:]]
    lines += [f"  peak memory: {step.peak_mb:,} MB"] if step.peak_mb else []
    filenames = {"report": step.report} | {name: step.page_filename(name) for name in step.pages}
    paths = {name: home / "reports" / run.id / filename for name, filename in filenames.items()}
    return lines + [f"  {name}: {path}" for name, path in paths.items() if path.exists()]
