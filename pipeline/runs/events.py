"""The events of a run that the terminal is notified of."""

from collections.abc import Callable
from enum import StrEnum

from pipeline.runs.records import RunRecord, StepRecord


class RunEvent(StrEnum):
    """What has just happened; `--json` prints the values."""

    RUN_STARTED = "run started"
    STEP_STARTED = "step started"
    CELL = "cell"  # a cell has started or ended, or has displayed its progress
    ATTEMPT_ENDED = "attempt ended"  # of a step that is retried
    COLD_START = "cold start"  # of a step whose warm kernel could not take over an import
    STEP_ENDED = "step ended"
    STOPPING = "stopping"
    TICK = "tick"  # at regular intervals
    RUN_ENDED = "run ended"
    NOTHING_TO_DO = "nothing to do"


# called with the step that the event is about; None if it is about the run
Listener = Callable[[RunEvent, RunRecord, StepRecord | None], None]
