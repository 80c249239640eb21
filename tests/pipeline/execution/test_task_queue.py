"""Which tasks can start now, which later and which never."""

from pathlib import Path

import pytest

from pipeline.definition.steps import Step
from pipeline.definition.tasks import Task
from pipeline.execution.task_queue import TaskQueue, max_parallel_tasks
from pipeline.runs.records import StepRecord
from pipeline.runs.status import StepStatus


def make_task(label, *needs):
    return Task(Step(label, Path(f"{label}.ipynb")), label, {}, needs, label)


DIAMOND = [
    make_task("first"),
    make_task("left", "first"),
    make_task("right", "first"),
    make_task("last", "left", "right"),
]


@pytest.fixture
def queue():
    """The queue of four tasks, with their records."""
    return TaskQueue(DIAMOND, {task.label: StepRecord(task.label, "") for task in DIAMOND})


def take(queue, n_idle=9, is_stopping=False):
    """Return the labels of the tasks that start, given the number of idle workers."""
    idle = iter([True] * n_idle)
    ready = queue.take_ready(lambda: next(idle, False), is_stopping)
    return [task.label for task in ready]


def statuses(queue):
    return [str(record.status) for record in queue.step_records.values()]


def test_a_task_starts_once_all_that_it_needs_are_done(queue):
    assert take(queue) == ["first"]
    assert take(queue) == []
    queue.step_records["first"].status = StepStatus.DONE
    assert take(queue, n_idle=1) == ["left"]
    assert take(queue) == ["right"]
    queue.step_records["left"].status = StepStatus.UP_TO_DATE
    assert take(queue) == []
    queue.step_records["right"].status = StepStatus.DONE
    assert take(queue) == ["last"]
    assert not queue


def test_what_needs_a_failed_task_is_skipped_and_the_others_run(queue):
    take(queue)
    queue.step_records["first"].status = StepStatus.DONE
    take(queue)
    queue.step_records["left"].status = StepStatus.KILLED
    queue.step_records["right"].status = StepStatus.DONE
    assert take(queue) == []
    assert statuses(queue) == ["done", "killed", "done", "skipped"]
    assert not queue


def test_nothing_starts_while_the_run_is_stopping(queue):
    assert take(queue, is_stopping=True) == []
    assert statuses(queue) == ["skipped"] * 4


def test_a_needed_step_without_a_task_does_not_hold_a_task_up():
    task = make_task("alone", "elsewhere")
    assert take(TaskQueue([task], {"alone": StepRecord("alone", "")})) == ["alone"]


def test_a_retry_waits_for_its_time_and_for_an_idle_worker(queue):
    take(queue)
    queue.schedule_retry(DIAMOND[0], 0)
    assert take(queue, n_idle=0) == []
    assert take(queue) == ["first"]
    queue.schedule_retry(DIAMOND[0], 1000)
    assert take(queue) == []
    assert queue.cancel_retries() == [DIAMOND[0]]


def test_the_tasks_of_one_level_can_run_at_the_same_time():
    assert max_parallel_tasks(DIAMOND) == 2
    assert max_parallel_tasks(DIAMOND[:1]) == 1
    assert max_parallel_tasks([make_task(name) for name in "abc"]) == 3
