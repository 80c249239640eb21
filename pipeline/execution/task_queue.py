"""The tasks of a run that are not under way: which can start now, which later, which never."""

import time
from collections.abc import Callable, Iterator, Mapping

from pipeline.definition.steps import Task
from pipeline.runs.records import ENDED_BADLY, StepRecord


class Queue:
    """Tasks in order, and those that are to be tried again after a while.

    steps: the records by their tasks' labels; they tell how what a task needs has ended.
    """

    def __init__(self, tasks: list[Task], steps: Mapping[str, StepRecord]) -> None:
        self.waiting, self.steps = list(tasks), steps
        self.later: list[tuple[float, Task]] = []  # to be tried again at that time

    def __bool__(self) -> bool:
        return bool(self.waiting or self.later)

    def put_off(self, task: Task, seconds: float) -> None:
        """It is to be tried again, in so many seconds or later."""
        self.later.append((time.monotonic() + seconds, task))

    def ready(self, has_room: Callable[[], bool], stopped: bool) -> Iterator[Task]:
        """Takes out each task whose needs are done, while there is room.

        What will not run, as something it needs has ended badly, is skipped for good.
        """
        yield from self._due(has_room)
        for task in list(self.waiting):
            ends = [self.steps[one].status for one in task.needs if one in self.steps]
            if stopped or any(one in (*ENDED_BADLY, "skipped") for one in ends):
                self.waiting.remove(task)
                self.steps[task.label].status = "skipped"
            elif all(one in ("done", "up to date") for one in ends) and has_room():
                self.waiting.remove(task)
                yield task

    def _due(self, has_room: Callable[[], bool]) -> Iterator[Task]:
        now, put_off, self.later = time.monotonic(), self.later, []
        for when, task in put_off:
            if when <= now and has_room():
                yield task
            else:
                self.later.append((when, task))

    def clear_later(self) -> list[Task]:
        """Takes out what was to be tried again."""
        tasks, self.later = [task for _, task in self.later], []
        return tasks


def width(tasks: list[Task]) -> int:
    """The most tasks that can ever run side by side."""
    level: dict[str, int] = {}
    for task in tasks:
        level[task.label] = 1 + max((level.get(one, 0) for one in task.needs), default=0)
    return max(list(level.values()).count(one) for one in level.values())
