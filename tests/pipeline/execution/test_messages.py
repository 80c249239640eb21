"""The messages between the runner and its workers."""

from datetime import date
from multiprocessing import Pipe
from pathlib import Path

import pytest

from pipeline.definition.parameters import Secret
from pipeline.execution.messages import CellEvent, JobRequest, JobResult, StopRequest
from pipeline.execution.worker_pool import Worker
from pipeline.runs.status import CellStatus, StepStatus

JOB_REQUEST = JobRequest(
    notebook=Path("/project/one.ipynb"),
    executed_path="/project/var/runs/1/one.ipynb",
    working_folder=Path("/project"),
    environment={"PIPELINE_RUN_ID": "1"},
    socket_folder=Path("/tmp/run-1"),
    kernel_name="python3",
    time_limit=1.5,
    secret_variables=["TOKEN"],
    values={"n": 42, "day": date(2026, 11, 23), "token": Secret("env:TOKEN")},
)


@pytest.mark.parametrize(
    "message",
    [
        JOB_REQUEST,
        StopRequest(StepStatus.STOPPED, "stopped by Ctrl-C"),
        CellEvent(2, 5, "a heading\nof two lines"),
        CellEvent(2, 5, "a heading", CellStatus.TIMED_OUT, 0.25),
        JobResult(),
        JobResult(StepStatus.KILLED, "killed", cell_status=[CellStatus.RAN, CellStatus.KILLED]),
    ],
)
def test_a_message_arrives_as_it_was_sent(message):
    runner_end, worker_end = Pipe()
    worker = Worker(process=None, connection=runner_end)
    worker.send(message)
    worker_end.send(worker_end.recv())
    [received] = worker.read_events()
    assert received == message
    assert type(received) is type(message)


def test_a_secret_stays_a_reference():
    runner_end, worker_end = Pipe()
    runner_end.send(JOB_REQUEST)
    assert worker_end.recv().values["token"].variable == "TOKEN"


def test_the_last_event_of_a_dead_worker_tells_of_its_death():
    runner_end, worker_end = Pipe()
    worker_end.send(CellEvent(0, 1, ""))
    worker_end.close()
    worker = Worker(process=None, connection=runner_end)
    failure = "its worker process was killed"
    death = JobResult(StepStatus.KILLED, failure, retryable=True)
    assert worker.read_events() == [CellEvent(0, 1, ""), death]
    assert worker.connection.closed
    worker.send(StopRequest(StepStatus.STOPPED, "too late"))  # nobody is there, which is no error
