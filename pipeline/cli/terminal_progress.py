"""Show the progress of a run on a terminal, with a line per running step that is redrawn."""

import time
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from pipeline.cli import tables
from pipeline.cli.progress import PlainProgress
from pipeline.runs import records
from pipeline.runs.events import RunEvent
from pipeline.runs.formatting import format_duration
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.runs.status import StepStatus
from pipeline.workspace import Workspace

MIN_REDRAW_SECONDS = 0.1
MAX_RUNS_SEARCHED = 30  # for earlier durations of the cells; the present run is one of them


@dataclass
class TerminalProgress(PlainProgress):
    """Print the same lines, and below them one line per running step that is redrawn in place."""

    console: Console = field(default_factory=Console)
    expected_cell_seconds: dict[str, list[float]] = field(default_factory=dict)  # step -> last run
    last_draw_time: float = 0.0
    cell_start_times: dict[str, float] = field(default_factory=dict)  # step -> its latest cell

    def __post_init__(self) -> None:
        """Prepare the lines; without a thread, as the runner starts processes meanwhile."""
        self.live = Live(
            console=self.console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __call__(self, event: RunEvent, run: RunRecord, step: StepRecord | None) -> None:
        """Print the event and redraw the lines of the running steps."""
        if event is RunEvent.RUN_STARTED:
            self.expected_cell_seconds = _previous_cell_seconds(self.workspace)
            self.live.start()
            self.console.show_cursor()  # a runner that is killed could not bring it back
        elif event is RunEvent.RUN_ENDED:
            self.live.stop()
        if step and event is RunEvent.CELL:
            self.cell_start_times[step.name] = time.monotonic()
        is_frequent = event in (RunEvent.CELL, RunEvent.TICK)
        if is_frequent and time.monotonic() - self.last_draw_time < MIN_REDRAW_SECONDS:
            return
        if event is not RunEvent.STEP_STARTED:
            super().__call__(event, run, step)
        running_steps = [record for record in run.steps if record.status is StepStatus.RUNNING]
        self.live.update(Group(*map(self._progress_line, running_steps)), refresh=True)
        self.last_draw_time = time.monotonic()

    def print_line(self, text: str, status: str = "") -> None:
        """Print a text, its first line in colour, above the lines of the running steps."""
        line, _, extra_lines = text.partition("\n")
        self.console.out(line, style=tables.STATUS_STYLES.get(status), highlight=False)
        if extra_lines:
            self.console.out(extra_lines, highlight=False)

    def _progress_line(self, step: StepRecord) -> Text:
        remaining_seconds = self._remaining_seconds(step)
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{step.name:10} ", "bold")
        line.append(f"{step.cells_done:3}/{step.cells or '?'} cells  ")
        line.append(f"{format_duration(records.seconds_since(step.started)):>8}")
        if remaining_seconds:
            line.append(f"  about {format_duration(remaining_seconds)} left")
        return line.append(f"  {step.heading}" if step.heading else "", "dim")

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


def _previous_cell_seconds(workspace: Workspace) -> dict[str, list[float]]:
    """Return step -> seconds of each cell in the last run that completed the step."""
    return {
        step.name: step.cell_seconds
        for run in reversed(records.load_all(workspace.runs_folder, MAX_RUNS_SEARCHED))
        for step in run.steps
        if step.status is StepStatus.DONE and step.cell_seconds
    }
