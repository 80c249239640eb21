"""The tasks of a run that are not under way: which can start now, which later, which never."""

import time
from collections.abc import Callable, Iterator, Mapping

from pipeline.definition.steps import Task
from pipeline.runs.records import FAILED_STATUSES, StepRecord


class TaskQueue:
    """Tasks in order, and those that are to be tried again after a while.

    steps: the records by their tasks' labels; they tell how what a task needs has ended.
    """

    def __init__(self, tasks: list[Task], step_records: Mapping[str, StepRecord]) -> None:
        self.pending, self.step_records = list(tasks), step_records
        self.scheduled_retries: list[tuple[float, Task]] = []  # to be tried again at that time

    def __bool__(self) -> bool:
        return bool(self.pending or self.scheduled_retries)

    def schedule_retry(self, task: Task, delay_seconds: float) -> None:
        """It is to be tried again, in so many seconds or later."""
        self.scheduled_retries.append((time.monotonic() + delay_seconds, task))

    def take_ready(self, has_idle_worker: Callable[[], bool], is_stopping: bool) -> Iterator[Task]:
        """Takes out each task whose needs are done, while there is room.

        What will not run, as something it needs has ended badly, is skipped for good.
        """
        yield from self._take_due_retries(has_idle_worker)
        for task in list(self.pending):
            ends = [self.step_records[one].status for one in task.needs if one in self.step_records]
            if is_stopping or any(one in (*FAILED_STATUSES, "skipped") for one in ends):
                self.pending.remove(task)
                self.step_records[task.label].status = "skipped"
            elif all(one in ("done", "up to date") for one in ends) and has_idle_worker():
                self.pending.remove(task)
                yield task

    def _take_due_retries(self, has_idle_worker: Callable[[], bool]) -> Iterator[Task]:
        now, put_off, self.scheduled_retries = time.monotonic(), self.scheduled_retries, []
        for when, task in put_off:
            if when <= now and has_idle_worker():
                yield task
            else:
                self.scheduled_retries.append((when, task))

    def cancel_retries(self) -> list[Task]:
        """Takes out what was to be tried again."""
        tasks, self.scheduled_retries = [task for _, task in self.scheduled_retries], []
        return tasks


def max_parallel_tasks(tasks: list[Task]) -> int:
    """The most tasks that can ever run side by side."""
    level: dict[str, int] = {}
    for task in tasks:
        level[task.label] = 1 + max((level.get(one, 0) for one in task.needs), default=0)
    return max(list(level.values()).count(one) for one in level.values())
