"""A service under load that is told to stop, or to replace its workers."""

import os
import signal
import time

import pytest

from benchmarks.support.local_service import run_service, wait_until
from tests.support.load_generator import generate_load, get_page, logged_predictions

pytestmark = pytest.mark.slow
STOP_SECONDS = 5  # that requests in progress may take before a worker ends


DELAYED_START = """import os, pathlib, sys, time
delay = pathlib.Path(os.environ["WORKER_DELAY"])
if any("spawn_main" in argument for argument in sys.orig_argv) and delay.exists():
    time.sleep(float(delay.read_text()))
"""


@pytest.fixture
def delayed_workers(tmp_path):
    """Return a command prefix that starts the service, and a function that delays its workers.

    Each worker process that starts after a call of the function starts that many seconds late.
    """
    (tmp_path / "sitecustomize.py").write_text(DELAYED_START)
    delay_file = tmp_path / "delay"
    command = "env", f"PYTHONPATH={tmp_path}", f"WORKER_DELAY={delay_file}"
    return command, lambda seconds: delay_file.write_text(str(seconds))


def stop_under_load(service):
    """Stop the service; return the load's results until it has ended and refuses connections."""
    with generate_load(service, connections=12) as load:
        wait_until(lambda: load.count_statuses()[200] > 500, 20)
        started_at = time.monotonic()
        os.kill(service.process.pid, signal.SIGTERM)
        assert service.process.wait(STOP_SECONDS + 5) == 0
        assert time.monotonic() - started_at < STOP_SECONDS
        wait_until(lambda: load.connection_errors, 5)  # no process listens any more
    return load


def replace_workers_under_load(service):
    """Replace the workers; return the load's results until the new workers answer, and a bit on."""
    with generate_load(service, connections=12) as load:
        wait_until(lambda: load.count_statuses()[200] > 500, 20)
        previous_workers = set(service.workers())
        os.kill(service.process.pid, signal.SIGHUP)
        wait_until(lambda: not previous_workers & set(service.workers()), 120)
        replaced_at = time.monotonic()
        wait_until(lambda: len(load.responses_since(replaced_at)) > 500, 20)
    assert len(service.workers()) == len(previous_workers) == 2
    assert get_page(service, "/ready")[0] == 200
    return load


def check_answers(load, service):
    """Check that every status was 200, and that the log holds every prediction."""
    assert set(load.count_statuses()) == {200}
    assert load.predictions_by_id() == logged_predictions(service.folder / "logs.db")


def test_a_stop_cuts_no_connection(champion_home):
    with run_service(champion_home, STOP_SECONDS=STOP_SECONDS) as service:
        load = stop_under_load(service)
        causes = {type(error.__cause__) for error in load.connection_errors}
        assert causes == {
            ConnectionRefusedError
        }  # new connections, after the service stopped listening
        check_answers(load, service)


def test_clients_do_not_notice_that_the_workers_are_replaced(champion_home):
    with run_service(champion_home, STOP_SECONDS=STOP_SECONDS) as service:
        load = replace_workers_under_load(service)
        assert load.connection_errors == []
        check_answers(load, service)


def test_workers_that_take_long_to_start_are_waited_for(champion_home, delayed_workers):
    command, delay_workers = delayed_workers
    delay_workers(7)
    with run_service(champion_home, *command) as service:
        replace_workers_under_load(service)
        assert "was not ready" not in service.output()


def test_a_stop_does_not_wait_for_the_replacement_of_workers(champion_home, delayed_workers):
    command, delay_workers = delayed_workers
    with run_service(champion_home, *command, STOP_SECONDS=STOP_SECONDS) as service:
        delay_workers(25)
        os.kill(service.process.pid, signal.SIGHUP)
        wait_until(lambda: len(service.workers()) > 2, 20)
        os.kill(service.process.pid, signal.SIGTERM)
        assert service.process.wait(STOP_SECONDS + 5) == 0
