"""A service that is told to stop, or to replace its workers, while it is asked without a pause."""

import os
import signal
import time

import pytest

from benchmarks.support.local_service import running, until
from tests.support.load import generate_load, get_page, logged_predictions

pytestmark = pytest.mark.slow
STOP_SECONDS = 5  # that requests under way may take; then a worker ends


LATE = """import os, pathlib, sys, time
late = pathlib.Path(os.environ["LATE"])
if any("spawn_main" in one for one in sys.orig_argv) and late.exists():
    time.sleep(float(late.read_text()))
"""


@pytest.fixture
def slow(tmp_path):
    """(a command that starts the service, a function): from its call on, a process that is to
    become a worker begins so many seconds late."""
    (tmp_path / "sitecustomize.py").write_text(LATE)
    late = tmp_path / "late"
    command = "env", f"PYTHONPATH={tmp_path}", f"LATE={late}"
    return command, lambda seconds: late.write_text(str(seconds))


def stopped(service):
    """What everybody was told until it had ended, and for a moment after."""
    with generate_load(service, connections=12) as told:
        until(lambda: told.count_statuses()[200] > 500, 20)
        began = time.monotonic()
        os.kill(service.process.pid, signal.SIGTERM)
        assert service.process.wait(STOP_SECONDS + 5) == 0
        assert time.monotonic() - began < STOP_SECONDS
        until(lambda: told.connection_errors, 5)  # nobody listens any more
    return told


def replaced(service):
    """What everybody was told until other workers answer, and for a while after."""
    with generate_load(service, connections=12) as told:
        until(lambda: told.count_statuses()[200] > 500, 20)
        before = set(service.workers())
        os.kill(service.process.pid, signal.SIGHUP)
        until(lambda: not before & set(service.workers()), 120)
        there = time.monotonic()
        until(lambda: len(told.responses_since(there)) > 500, 20)
    assert len(service.workers()) == len(before) == 2
    assert get_page(service, "/ready")[0] == 200
    return told


def all_right(told, service):
    """Nothing was answered wrong, or unlogged."""
    assert set(told.statuses()) == {200}
    assert told.answered() == logged_predictions(service.folder / "logs.db")


def test_nobody_s_connection_is_cut_when_it_is_told_to_stop(champion_home):
    with running(champion_home, STOP_SECONDS=STOP_SECONDS) as service:
        told = stopped(service)
        causes = {type(one.__cause__) for one in told.connection_errors}
        assert causes == {ConnectionRefusedError}  # new ones, when nobody listened any more
        all_right(told, service)


def test_nobody_notices_that_the_workers_are_replaced(champion_home):
    with running(champion_home, STOP_SECONDS=STOP_SECONDS) as service:
        told = replaced(service)
        assert told.connection_errors == []
        all_right(told, service)


def test_workers_that_take_long_to_start_are_waited_for(champion_home, slow):
    command, late = slow
    late(7)
    with running(champion_home, *command) as service:
        replaced(service)
        assert "was not ready" not in service.output()


def test_a_stop_does_not_wait_for_workers_to_be_replaced(champion_home, slow):
    command, late = slow
    with running(champion_home, *command, STOP_SECONDS=STOP_SECONDS) as service:
        late(25)
        os.kill(service.process.pid, signal.SIGHUP)
        until(lambda: len(service.workers()) > 2, 20)
        os.kill(service.process.pid, signal.SIGTERM)
        assert service.process.wait(STOP_SECONDS + 5) == 0
