"""The statuses of steps and cells, and papermill's names for them."""

import pytest

from pipeline.runs.status import CellStatus, StepStatus


@pytest.mark.parametrize("status", CellStatus)
def test_the_status_of_a_cell_survives_in_an_executed_notebook(status):
    assert CellStatus.from_papermill(status.papermill) is status


@pytest.mark.parametrize(
    ("papermill_status", "status"),
    [
        ("completed", CellStatus.RAN),
        ("pending", CellStatus.NOT_RUN),
        ("failed", CellStatus.FAILED),
        (None, CellStatus.RAN),
    ],
)
def test_papermill_s_own_statuses_are_understood(papermill_status, status):
    assert CellStatus.from_papermill(papermill_status) is status


def test_a_cell_that_was_running_when_its_kernel_died_was_killed():
    statuses = [CellStatus.RAN, CellStatus.RUNNING, CellStatus.NOT_RUN]
    assert [status.after_kernel_death() for status in statuses] == ["ran", "killed", "not run"]


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (StepStatus.FAILED, "failed"),
        (StepStatus.KILLED, "was killed"),
        (StepStatus.TIMED_OUT, "timed out"),
        (StepStatus.STOPPED, "was stopped"),
    ],
)
def test_a_failure_is_told_in_words(status, phrase):
    assert status.is_failure
    assert status.phrase == phrase


def test_the_status_of_a_cell_in_words():
    phrases = [status.phrase for status in (CellStatus.RAN, CellStatus.NOT_RUN, CellStatus.KILLED)]
    assert phrases == ["ran", "was not run", "was killed"]


def test_a_status_of_a_later_version_is_unknown_but_no_success():
    assert StepStatus("postponed") is StepStatus.UNKNOWN
    assert not StepStatus("postponed").is_success
    assert CellStatus.from_papermill("postponed") is CellStatus.UNKNOWN
