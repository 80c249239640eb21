"""Report the progress of a run: plain lines, a live terminal, JSON events, or errors only."""

import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.runs import records
from pipeline.runs.records import RunRecord, StepRecord, format_duration

MIN_REDRAW_SECONDS = 0.1
MAX_PROGRESS_LINES = 10
MAX_RUNS_SEARCHED = 29  # for earlier durations of the cells
MAX_REASONS_SHOWN = 3


@dataclass
class PlainProgress:
    """Print plain lines, for a log: one when a step starts, one when it has ended."""

    home: Path
    expected_cell_seconds: dict[str, list[float]] = field(default_factory=dict)  # step -> last run
    n_drawn_lines: int = 0

    def __call__(self, event: str, run: RunRecord, step: StepRecord | None) -> None:
        """Print what the user needs to know of an event; most are silent."""
        if event == "run started":
            self.expected_cell_seconds = _previous_cell_seconds(self.home / "var" / "runs", run)
            print(f"run {run.id}: {self.home / 'reports' / run.id / 'index.html'}", flush=True)
        elif event == "stopping":
            print("stopping; send the signal (Ctrl-C) once more to kill the kernels", flush=True)
        elif event == "run ended":
            print(run_summary(run, self.home), flush=True)
        elif step:
            _print_step_event(event, step)


@dataclass
class TerminalProgress(PlainProgress):
    """Print the same lines, and below them one line per running step that is redrawn in place."""

    last_draw_time: float = 0.0
    cell_start_times: dict[str, float] = field(default_factory=dict)  # step -> its latest cell

    def __call__(self, event: str, run: RunRecord, step: StepRecord | None) -> None:
        """Print the event and redraw the lines of the running steps."""
        if step and event == "cell":
            self.cell_start_times[step.name] = time.monotonic()
        if (
            event in ("cell", "tick")
            and time.monotonic() - self.last_draw_time < MIN_REDRAW_SECONDS
        ):
            return
        if event != "step started":
            self._erase_lines()
            super().__call__(event, run, step)
        lines = [self._progress_line(record) for record in run.steps if record.status == "running"][
            :MAX_PROGRESS_LINES
        ]
        self._erase_lines()
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
        self.n_drawn_lines, self.last_draw_time = len(lines), time.monotonic()

    def _erase_lines(self) -> None:
        sys.stdout.write("\x1b[1A\x1b[2K" * self.n_drawn_lines)
        self.n_drawn_lines = 0

    def _progress_line(self, step: StepRecord) -> str:
        text = f"{step.name:10} {step.cells_done:3}/{step.cells or '?'} cells  "
        text += f"{format_duration(records.seconds_since(step.started)):>8}"
        remaining_seconds = self._remaining_seconds(step)
        text += f"  about {format_duration(remaining_seconds)} left" if remaining_seconds else ""
        text += f"  {step.heading}" if step.heading else ""
        return text[: shutil.get_terminal_size().columns - 1]

    def _remaining_seconds(self, step: StepRecord) -> float:
        """Estimate the seconds to go from the durations of the cells in an earlier run.

        The time before the first cell, in which the kernel starts, does not count. 0.0 if unknown.
        """
        expected = self.expected_cell_seconds.get(step.name, [])
        if not expected or step.cells == 0:
            return 0.0
        if len(expected) == step.cells:
            remaining = sum(expected[step.cells_done :])
        else:
            remaining = sum(expected) - sum(step.cell_seconds)
        return max(remaining - (time.monotonic() - self.cell_start_times[step.name]), 0.0)


class QuietProgress(PlainProgress):
    """Print nothing unless something goes wrong."""

    def __call__(self, event: str, run: RunRecord, step: StepRecord | None) -> None:
        """Print the summary of a run that did not succeed to stderr."""
        if event == "run ended" and (run.status != "done" or run.problems):
            print(run_summary(run, self.home), file=sys.stderr)


class JsonProgress(PlainProgress):
    """Print one JSON object per line for each event."""

    def __call__(self, event: str, run: RunRecord, step: StepRecord | None) -> None:
        """Print the event, except the regular ticks."""
        if event == "tick":
            return
        content: dict[str, Any] = {"event": event, "run": run.id, "at": records.utc_now()}
        if step and event == "cell":
            content |= {"step": step.name, "cells": step.cells, "cells_done": step.cells_done}
            content |= {"heading": step.heading}
        elif step:
            content |= {"step": asdict(step)}
        else:
            content |= {"status": run.status, "headline": run.headline}
        print(json.dumps(content, default=str), flush=True)


def _previous_cell_seconds(runs_folder: Path, run: RunRecord) -> dict[str, list[float]]:
    """Return step -> seconds of each cell in the last run that completed the step."""
    seconds_by_step: dict[str, list[float]] = {}
    earlier_folders = sorted(runs_folder.glob("*"), reverse=True)[1 : 1 + MAX_RUNS_SEARCHED]
    for folder in earlier_folders:
        try:
            steps = records.load(folder).steps
        except (LookupError, ValueError, KeyError, TypeError):
            continue
        for step in steps:
            if step.status == "done" and step.cell_seconds:
                seconds_by_step.setdefault(step.name, step.cell_seconds)
        if all(step.name in seconds_by_step for step in run.steps):
            break
    return seconds_by_step


def _print_step_event(event: str, step: StepRecord) -> None:
    if event == "step started":
        print(f"{step.name:10} starts: {summarize_reasons(step.why)}", flush=True)
    elif event == "attempt ended":
        attempt = step.attempts[-1]
        print(f"{step.name:10} {attempt['status']}: {attempt['failure']}; retrying", flush=True)
    elif event == "step ended":
        print(_step_result(step), flush=True)


def _step_result(step: StepRecord) -> str:
    if step.status == "up to date":
        return f"{step.name:10} up to date since run {step.reused}"
    cells = f"{step.cells_done:3}/{step.cells or '?'} cells"
    return f"{step.name:10} {cells}  {format_duration(step.seconds):>8}  {step.status}"


def summarize_reasons(reasons: list[str], limit: int = MAX_REASONS_SHOWN) -> str:
    """Return the first `limit` reasons, and how many more there are."""
    suffix = f" and {len(reasons) - limit} more" if len(reasons) > limit else ""
    return "; ".join(reasons[:limit]) + suffix


def run_summary(run: RunRecord, home: Path) -> str:
    """Return the last lines of a run: its results and reports, or what failed."""
    report_folder = home / "reports" / run.id
    failed_steps = [step for step in run.steps if step.status in records.FAILED_STATUSES]
    if failed_steps:
        failures = [_failure_summary(step, report_folder) for step in failed_steps]
        return "\n".join([*failures, *run.problems])
    if run.status != "done":
        return "\n".join([f"run {run.id} did not finish", *run.problems])
    lines = [f"  NOTE: {run.notice}"] if run.notice else []
    lines += [f"  {name}: {records.format_metric(value)}" for name, value in run.headline.items()]
    lines.append(f"reports: {home / 'reports' / 'latest'}")
    return "\n".join([f"run {run.id} is done", *lines, *run.problems])


def _failure_summary(step: StepRecord, report_folder: Path) -> str:
    extent = f"after {step.cells_done} of {step.cells} cells" if step.cells else "before its start"
    path = report_folder / step.report
    report = f" Its report: {path}" if path.exists() else ""
    ending = records.status_phrase(step.status)
    return f"The step {step.name} {ending} {extent}: {step.failure}.{report}"
