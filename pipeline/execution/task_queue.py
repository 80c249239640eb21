"""The tasks of a run that are not running: which can start now, which later, which never."""

import time
from collections.abc import Callable, Iterator, Mapping

from pipeline.definition.tasks import Task
from pipeline.runs.records import StepRecord
from pipeline.runs.status import StepStatus


class TaskQueue:
    """Tasks in order, and tasks to retry after a delay.

    step_records: task label -> record; its status says whether the tasks that need it can start.
    """

    def __init__(self, tasks: list[Task], step_records: Mapping[str, StepRecord]) -> None:
        self.pending, self.step_records = list(tasks), step_records
        self.scheduled_retries: list[tuple[float, Task]] = []  # (earliest monotonic time, task)

    def __bool__(self) -> bool:
        return bool(self.pending or self.scheduled_retries)

    def schedule_retry(self, task: Task, delay_seconds: float) -> None:
        """Have the task started again after `delay_seconds` or later."""
        self.scheduled_retries.append((time.monotonic() + delay_seconds, task))

    def take_ready(self, has_idle_worker: Callable[[], bool], is_stopping: bool) -> Iterator[Task]:
        """Remove and yield each task whose dependencies are done, while a worker is idle.

        A task that needs one which failed or is skipped is removed and marked as skipped; with
        `is_stopping`, every pending task is.
        """
        yield from self._take_due_retries(has_idle_worker)
        for task in list(self.pending):
            statuses = [
                self.step_records[label].status
                for label in task.needs
                if label in self.step_records
            ]
            is_blocked = any(
                status.is_failure or status is StepStatus.SKIPPED for status in statuses
            )
            if is_stopping or is_blocked:
                self.pending.remove(task)
                self.step_records[task.label].status = StepStatus.SKIPPED
            elif all(status.is_success for status in statuses) and has_idle_worker():
                self.pending.remove(task)
                yield task

    def _take_due_retries(self, has_idle_worker: Callable[[], bool]) -> Iterator[Task]:
        now, retries, self.scheduled_retries = time.monotonic(), self.scheduled_retries, []
        for retry_at, task in retries:
            if retry_at <= now and has_idle_worker():
                yield task
            else:
                self.scheduled_retries.append((retry_at, task))

    def cancel_retries(self) -> list[Task]:
        """Remove and return the tasks that were waiting to be retried."""
        tasks, self.scheduled_retries = [task for _, task in self.scheduled_retries], []
        return tasks


def max_parallel_tasks(tasks: list[Task]) -> int:
    """Return the largest number of tasks that can ever run at the same time.

    A task's level is one more than the highest level of what it needs; tasks of one level can run
    in parallel.
    """
    levels: dict[str, int] = {}
    for task in tasks:
        levels[task.label] = 1 + max((levels.get(label, 0) for label in task.needs), default=0)
    return max(list(levels.values()).count(level) for level in levels.values())
