"""What a user sees of a run: in a terminal, in a log, as JSON, or nothing but what went wrong."""

import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.runs import records
from pipeline.runs.records import RunRecord, StepRecord, format_duration


@dataclass
class PlainProgress:
    """Plain lines, for a log: one when a step starts, one when it has ended."""

    home: Path
    expected_cell_seconds: dict[str, list[float]] = field(
        default_factory=dict
    )  # seconds a cell, earlier
    n_drawn_lines: int = 0

    def __call__(self, event: str, run: RunRecord, step: StepRecord | None) -> None:
        if event == "run started":
            self.expected_cell_seconds = _previous_cell_seconds(self.home / "var" / "runs", run)
            print(f"run {run.id}: {self.home / 'reports' / run.id / 'index.html'}", flush=True)
        elif event == "step started":
            print(f"{step.name:10} starts: {summarize_reasons(step.why)}", flush=True)
        elif event == "attempt ended":
            last = step.attempts[-1]
            print(
                f"{step.name:10} {last['status']}: {last['failure']}; it is tried again", flush=True
            )
        elif event == "step ended":
            print(_step_result(step), flush=True)
        elif event == "stopping":
            print("stopping; once more to kill", flush=True)
        elif event == "run ended":
            print(run_summary(run, self.home), flush=True)


@dataclass
class TerminalProgress(PlainProgress):
    """The same, with a line below for each step that is running, drawn anew as it goes on."""

    last_draw_time: float = 0.0
    cell_start_times: dict[str, float] = field(
        default_factory=dict
    )  # step -> when its last cell did

    def __call__(self, event: str, run: RunRecord, step: StepRecord | None) -> None:
        if step and event == "cell":
            self.cell_start_times[step.name] = time.monotonic()
        if event in ("cell", "tick") and time.monotonic() - self.last_draw_time < 0.1:
            return
        if event != "step started":
            self._erase_lines()
            super().__call__(event, run, step)
        running = [one for one in run.steps if one.status == "running"]
        lines = [self._progress_line(one) for one in running][:10]
        self._erase_lines()
        sys.stdout.write("".join(f"{one}\n" for one in lines))
        sys.stdout.flush()
        self.n_drawn_lines, self.last_draw_time = len(lines), time.monotonic()

    def _erase_lines(self) -> None:
        sys.stdout.write("\x1b[1A\x1b[2K" * self.n_drawn_lines)
        self.n_drawn_lines = 0

    def _progress_line(self, step: StepRecord) -> str:
        text = f"{step.name:10} {step.cells_done:3}/{step.cells or '?'} cells  "
        text += f"{format_duration(records.seconds_since(step.started)):>8}"
        left = self._remaining_seconds(step)
        text += f"  about {format_duration(left)} left" if left else ""
        text += f"  {step.heading}" if step.heading else ""
        return text[: shutil.get_terminal_size().columns - 1]

    def _remaining_seconds(self, step: StepRecord) -> float:
        """Seconds to go, if its cells take as long as before; its start is none of them."""
        earlier = self.expected_cell_seconds.get(step.name, [])
        if not earlier or step.cells == 0:
            return 0.0
        same = len(earlier) == step.cells
        rest = sum(earlier[step.cells_done :]) if same else sum(earlier) - sum(step.cell_seconds)
        return max(rest - (time.monotonic() - self.cell_start_times[step.name]), 0.0)


class QuietProgress(PlainProgress):
    """Nothing, unless something goes wrong."""

    def __call__(self, event: str, run: RunRecord, step: StepRecord | None) -> None:
        if event == "run ended" and (run.status != "done" or run.problems):
            print(run_summary(run, self.home), file=sys.stderr)


class JsonProgress(PlainProgress):
    """One JSON object a line, for each event."""

    def __call__(self, event: str, run: RunRecord, step: StepRecord | None) -> None:
        if event == "tick":
            return
        said: dict[str, Any] = {"event": event, "run": run.id, "at": records.utc_now()}
        if step and event == "cell":
            said |= {"step": step.name, "cells": step.cells, "cells_done": step.cells_done}
            said |= {"heading": step.heading}
        elif step:
            said |= {"step": asdict(step)}
        else:
            said |= {"status": run.status, "headline": run.headline}
        print(json.dumps(said, default=str), flush=True)


def _previous_cell_seconds(runs_folder: Path, run: RunRecord) -> dict[str, list[float]]:
    """Step -> seconds of each cell when it was last done."""
    found: dict[str, list[float]] = {}
    for folder in sorted(runs_folder.glob("*"), reverse=True)[1:30]:
        try:
            steps = records.load(folder).steps
        except (LookupError, ValueError, KeyError, TypeError):
            continue
        for one in steps:
            if one.status == "done" and one.cell_seconds:
                found.setdefault(one.name, one.cell_seconds)
        if all(one.name in found for one in run.steps):
            break
    return found


def _step_result(step: StepRecord) -> str:
    if step.status == "up to date":
        return f"{step.name:10} up to date since run {step.reused}"
    cells = f"{step.cells_done:3}/{step.cells or '?'} cells"
    return f"{step.name:10} {cells}  {format_duration(step.seconds):>8}  {step.status}"


def summarize_reasons(reasons: list[str], limit: int = 3) -> str:
    """The first few of them."""
    more = f" and {len(reasons) - limit} more" if len(reasons) > limit else ""
    return "; ".join(reasons[:limit]) + more


def run_summary(run: RunRecord, home: Path) -> str:
    """The last lines: the results and where to read more, or what failed."""
    folder = home / "reports" / run.id
    bad = [one for one in run.steps if one.status in records.FAILED_STATUSES]
    if bad:
        return "\n".join([*(_failure_summary(one, folder) for one in bad), *run.problems])
    lines = [f"  {name}: {records.format_metric(value)}" for name, value in run.headline.items()]
    if run.notice:
        lines.insert(0, f"  NOTE: {run.notice}")
    if run.status != "done":
        return "\n".join([f"run {run.id} did not run to its end", *run.problems])
    where = f"reports: {home / 'reports' / 'latest'}"
    return "\n".join([f"run {run.id} is done", *lines, where, *run.problems])


def _failure_summary(step: StepRecord, report_folder: Path) -> str:
    far = f"after {step.cells_done} of {step.cells} cells" if step.cells else "before its start"
    page = report_folder / step.report
    where = f" Its report: {page}" if page.exists() else ""
    return (
        f"The step {step.name} {records.status_phrase(step.status)} {far}: {step.failure}.{where}"
    )
