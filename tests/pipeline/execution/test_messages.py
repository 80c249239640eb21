"""The messages between the runner and its workers."""

import pytest

from pipeline.definition.parameters import EncodedValue
from pipeline.execution import messages
from pipeline.execution.messages import CellEnded, CellStarted, JobRequest, JobResult, StopRequest
from pipeline.runs.status import CellStatus, StepStatus

JOB_REQUEST = JobRequest(
    notebook="/project/one.ipynb",
    executed_path="/project/var/runs/1/one.ipynb",
    working_folder="/project",
    environment={"PIPELINE_RUN_ID": "1"},
    socket_folder="/tmp/run-1",
    time_limit=1.5,
    memory_limit=None,
    secret_variables=["TOKEN"],
    values={"n": EncodedValue(42), "day": EncodedValue(code="date(2026, 11, 23)")},
)


@pytest.mark.parametrize(
    "message",
    [
        JOB_REQUEST,
        StopRequest(StepStatus.STOPPED, "stopped by Ctrl-C"),
        CellStarted(2, 5, "a heading\nof two lines"),
        CellEnded(2, CellStatus.TIMED_OUT, 0.25),
        JobResult(),
        JobResult(StepStatus.KILLED, "killed", cell_status=[CellStatus.RAN, CellStatus.KILLED]),
    ],
)
def test_a_message_arrives_as_it_was_sent(message):
    line = messages.encode(message)
    assert line.count(b"\n") == 1
    is_request = isinstance(message, JobRequest | StopRequest)
    received = messages.decode_request(line) if is_request else messages.decode_event(line)
    assert received == message
    assert type(received) is type(message)


def test_a_status_that_arrives_is_more_than_a_text():
    result = messages.decode_event(messages.encode(JobResult(cell_status=[CellStatus.NOT_RUN])))
    assert result.status is StepStatus.DONE
    assert result.cell_status[0] is CellStatus.NOT_RUN
