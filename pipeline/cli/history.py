"""The runs there were: `run_pipeline.py runs` and `show RUN`."""

from pathlib import Path

from pipeline.runs import records
from pipeline.runs.records import RunRecord, StepRecord, format_duration, format_metric


def run_table(home: Path, limit: int) -> str:
    """The newest runs, a line each: id, status, duration, steps, results, parameters."""
    rows = [_run_row(one) for one in records.load_all(home / "var" / "runs", limit)]
    if not rows:
        return "no run yet"
    rows.insert(0, ("run", "status", "took", "steps", "result"))
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    lines = []
    for *cells, tail in rows:
        shown = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append(f"{'  '.join(shown)}  {tail}".rstrip())
    return "\n".join(lines)


def _run_row(run: RunRecord) -> tuple[str, ...]:
    steps = " ".join(_status_mark(one) + one.name for one in run.steps[:5])
    steps += f" and {len(run.steps) - 5} more" if len(run.steps) > 5 else ""
    results = [f"{name}: {format_metric(value)}" for name, value in run.headline.items()]
    results += [
        f"{step.name}.{name}={value}"
        for step in run.steps
        if step.status != "up to date"
        for name, value in step.parameters.items()
    ]
    return run.id, run.status, format_duration(run.seconds), steps, "; ".join(results)


def _status_mark(step: StepRecord) -> str:
    marks = {"done": "", "up to date": "=", "not run": "-", "running": "~"}
    return marks.get(step.status, "!")


def run_details(home: Path, run_ref: str) -> str:
    """One run: each step's end, why it ran, its parameters, results, attempts, report."""
    run = records.load(find_run_folder(home, run_ref))
    lines = [
        f"run {run.id}: {run.status}, started {run.started[:19]} UTC, {format_duration(run.seconds)}"
    ]
    for step in run.steps:
        lines += ["", *_step_details(home, run, step)]
    return "\n".join(lines)


def find_run_folder(home: Path, run_ref: str) -> Path:
    """Of the run of that id, start of an id, or latest; LookupError if it is none or several."""
    runs = home / "var" / "runs"
    names = sorted(one.parent.name for one in runs.glob("*/run.json"))
    found = names[-1:] if run_ref == "latest" else [one for one in names if one.startswith(run_ref)]
    if len(found) == 1:
        return runs / found[0]
    if found:
        raise LookupError(f"{run_ref!r} is the start of {len(found)} runs: {', '.join(found[:5])}")
    hint = f"; the newest is {names[-1]}" if names else ""
    raise LookupError(f"there is no run {run_ref!r}{hint}")


def _step_details(home: Path, run: RunRecord, step: StepRecord) -> list[str]:
    cells = f"{step.cells_done}/{step.cells} cells, " if step.cells else ""
    since = f" since run {step.reused}" if step.reused else ""
    lines = [f"{step.name}: {step.status}{since}, {cells}{format_duration(step.seconds)}"]
    lines += [f"  why: {one}" for one in step.why]
    lines += [f"  {name} = {value}" for name, value in step.parameters.items()]
    lines += [f"  {name}: {format_metric(value)}" for name, value in step.headline.items()]
    lines += [f"  NOTE: {step.notice}"] if step.notice else []
    lines += [
        f"  attempt {number} {one['status']} after {format_duration(one['seconds'])}: {one['failure']}"
        for number, one in enumerate(step.attempts, 1)
    ]
    lines += [f"  {step.failure}"] if step.failure else []
    lines += [f"  last output: {line}" for line in step.output.strip().splitlines()[-5:]]
    lines += [f"  peak memory: {step.peak_mb:,} MB"] if step.peak_mb else []
    pages = {"report": step.report} | {name: step.page_filename(name) for name in step.pages}
    there = {name: home / "reports" / run.id / one for name, one in pages.items()}
    return lines + [f"  {name}: {page}" for name, page in there.items() if page.exists()]
