"""The tasks of a run that are not running: which can start now, which later, which never."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from pipeline.definition.tasks import Task
from pipeline.runs.records import StepRecord
from pipeline.runs.status import StepStatus


class TaskQueue:
    """Tasks in order, after those to retry, which wait for their time.

    step_records: task label -> record; its status says whether the tasks that need it can start.
    """

    def __init__(self, tasks: list[Task], step_records: Mapping[str, StepRecord]) -> None:
        self.tasks, self.step_records = list(tasks), step_records
        self.retry_times: dict[str, float] = {}  # task label -> earliest monotonic time

    def __bool__(self) -> bool:
        return bool(self.tasks)

    def schedule_retry(self, task: Task, delay_seconds: float) -> None:
        """Have the task started again after `delay_seconds` or later."""
        self.retry_times[task.label] = time.monotonic() + delay_seconds
        self.tasks.insert(0, task)

    def take_ready(self, has_idle_worker: Callable[[], bool], is_stopping: bool) -> Iterator[Task]:
        """Remove and yield each task whose dependencies are done, while a worker is idle.

        A task that needs one which failed or is skipped is removed and marked as skipped; with
        `is_stopping`, every task is.
        """
        for task in list(self.tasks):
            needs = [self.step_records[label] for label in task.needs if label in self.step_records]
            blocking_steps = [
                need.blocked_by or need.name
                for need in needs
                if need.status.is_failure or need.status is StepStatus.SKIPPED
            ]
            if is_stopping or blocking_steps:
                self.tasks.remove(task)
                step = self.step_records[task.label]
                step.status = StepStatus.SKIPPED
                step.blocked_by = blocking_steps[0] if blocking_steps else ""
            elif (
                all(need.status.is_success for need in needs)
                and self.retry_times.get(task.label, 0) <= time.monotonic()
                and has_idle_worker()
            ):
                self.tasks.remove(task)
                yield task

    def cancel_retries(self) -> list[Task]:
        """Remove and return the tasks that were waiting to be retried."""
        tasks = self.tasks
        self.tasks = [task for task in tasks if task.label not in self.retry_times]
        return [task for task in tasks if task.label in self.retry_times]


def max_parallel_tasks(tasks: list[Task]) -> int:
    """Return the largest number of tasks that can ever run at the same time.

    A task's level is one more than the highest level of what it needs; tasks of one level can run
    in parallel.
    """
    levels: dict[str, int] = {}
    for task in tasks:
        levels[task.label] = 1 + max((levels.get(label, 0) for label in task.needs), default=0)
    return max(Counter(levels.values()).values())
