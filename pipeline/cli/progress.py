"""Report the progress of a run: in plain lines, as JSON events, or errors only."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.runs import records
from pipeline.runs.events import RunEvent
from pipeline.runs.formatting import end_sentence, format_duration, join_limited, split_message
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.runs.results import format_metric
from pipeline.runs.status import StepStatus
from pipeline.runs.strict_json import encode_json
from pipeline.workspace import RUN_PAGE_NAME, Workspace


@dataclass
class PlainProgress:
    """Print plain lines, for a log: one when a step starts, one when it has ended."""

    workspace: Workspace

    def __call__(self, event: RunEvent, run: RunRecord, step: StepRecord | None) -> None:
        """Print what the user needs to know of an event; most are silent."""
        if event is RunEvent.RUN_STARTED:
            page = self.workspace.report_folder(run.id) / RUN_PAGE_NAME
            self.print_line(f"run {run.id}: {page}")
        elif event is RunEvent.STOPPING:
            self.print_line("stopping; send the signal (Ctrl-C) once more to kill the kernels")
        elif event is RunEvent.RUN_ENDED:
            self.print_line(run_summary(run, self.workspace), run.status)
        elif step and event is RunEvent.STEP_STARTED:
            attempt_text = f"attempt {len(step.attempts) + 1}" if step.attempts else ""
            self.print_line(f"{step.name:10} starts: {attempt_text or join_limited(step.why)}")
        elif step and event is RunEvent.COLD_START:
            self.print_line(f"{step.name:10} starts again, cold: {step.cold_start}")
        elif step and event is RunEvent.ATTEMPT_ENDED:
            attempt = step.attempts[-1]
            line = f"{step.name:10} {attempt.status}: {attempt.failure}; retrying"
            self.print_line(line, attempt.status)
        elif step and event is RunEvent.STEP_ENDED:
            self.print_line(_step_result(step), step.status)

    def print_line(self, text: str, status: str = "") -> None:
        """Print a text. status: of a step or run, for the colour on a terminal."""
        print(text, flush=True)


class QuietProgress(PlainProgress):
    """Print nothing unless something goes wrong."""

    def __call__(self, event: RunEvent, run: RunRecord, step: StepRecord | None) -> None:
        """Print the summary of a run that did not succeed to stderr."""
        has_succeeded = run.status is StepStatus.DONE and not run.problems
        if event is RunEvent.RUN_ENDED and not has_succeeded:
            print(run_summary(run, self.workspace), file=sys.stderr)


class JsonProgress(PlainProgress):
    """Print one JSON object per line for each event."""

    def __call__(self, event: RunEvent, run: RunRecord, step: StepRecord | None) -> None:
        """Print the event, except the regular ticks."""
        if event is RunEvent.TICK:
            return
        content: dict[str, Any] = {"event": event, "run": run.id, "at": records.utc_now()}
        if step and event is RunEvent.CELL:
            content |= {"step": step.name, "cells": step.cells, "cells_done": step.cells_done}
            content |= {"heading": step.heading}
        elif step:
            content |= {"step": step}
        else:
            content |= {"status": run.status, "headline": run.headline}
            if event is RunEvent.RUN_ENDED and run.status is not StepStatus.DONE:
                content |= {"resume": run.resume_line()}
        print(encode_json(content), flush=True)


@dataclass
class SafeProgress:
    """Pass the events on as long as they can be printed: a run goes on without its terminal."""

    progress: PlainProgress
    error: OSError | None = None

    def __call__(self, event: RunEvent, run: RunRecord, step: StepRecord | None) -> None:
        """Print the event, unless an earlier one could not be printed."""
        if self.error is None:
            try:
                self.progress(event, run, step)
            except OSError as error:
                self.error = error

    def raise_error(self, run: RunRecord) -> None:
        """Raise OSError if a part of the output is missing, unless its reader has ended."""
        if self.error and not isinstance(self.error, BrokenPipeError):
            sentence = f"{self.error.strerror}; all the same the run {run.id} is {run.status}"
            raise OSError(self.error.errno, f"{sentence}, see reports/ and the command show")


def _step_result(step: StepRecord) -> str:
    if step.status is StepStatus.UP_TO_DATE:
        return f"{step.name:10} up to date since run {step.reused}"
    is_empty = step.status is StepStatus.DONE and not step.cells
    cells = f"{step.cells_done:3}/{step.cells or ('0' if is_empty else '?')} cells"
    line = f"{step.name:10} {cells}  {format_duration(step.seconds):>8}  {step.status}"
    if step.cold_start:
        line += f"  (started cold: {step.cold_start})"
    return "\n".join([line, *(f"{'':10} note: {note}" for note in step.notes)])


def run_summary(run: RunRecord, workspace: Workspace) -> str:
    """Return the last lines of a run: its results and reports, or what failed."""
    failed_steps = [step for step in run.steps if step.status.is_failure]
    if failed_steps:
        report_folder = workspace.report_folder(run.id)
        failures = [_failure_summary(step, report_folder) for step in failed_steps]
        return "\n".join([*failures, *_resume_lines(run), *run.problems])
    if run.status is not StepStatus.DONE:
        lines = [f"run {run.id} did not finish", *_resume_lines(run), *run.problems]
        return "\n".join(lines)
    lines = [f"  NOTE: {run.notice}"] if run.notice else []
    lines += [f"  {name}: {format_metric(value)}" for name, value in run.headline.items()]
    lines += [f"note: {note}" for note in run.notes]
    lines.append(f"reports: {workspace.latest_report_of(run.on_demand_step)}")
    return "\n".join([f"run {run.id} is done", *lines, *run.problems])


def _failure_summary(step: StepRecord, report_folder: Path) -> str:
    cell = f", in cell {step.failed_cell}" if step.failed_cell else ""
    path = report_folder / step.report
    report = f" Its report: {path}" if path.exists() else ""
    failure = end_sentence(step.failure)
    sentence = f"The step {step.name} {step.status.phrase} {step.extent}{cell}: {failure}{report}"
    return "\n".join([sentence, *(f"  {line}" for line in split_message(step.traceback))])


def _resume_lines(run: RunRecord) -> list[str]:
    line = run.resume_line()
    return [f"To go on from there: {line}"] if line else []
