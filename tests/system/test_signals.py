"""Signals to a service with a request under way, and a service at addresses of all kinds."""

import http.client
import os
import signal
import subprocess
import sys
import threading

import pytest

from benchmarks.support.local_service import free_port, run_service, wait_until
from housing.paths import PROJECT_ROOT
from tests.support.load_generator import generate_load, get_page
from tests.support.processes import managed_process, wait_for_response

pytestmark = pytest.mark.slow
MINOR_SIGNALS = ["HUP", "QUIT", "USR1", "USR2", "TTIN", "TTOU", "ALRM", "WINCH", "PROF", "PWR"]


def send_slowly(service, proceed):
    """Send half a request for a prediction, the rest once told; return the status."""
    body = b"[]"
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:1])
    proceed.wait(60)
    connection.send(body[1:])
    return connection.getresponse().status


def test_a_request_under_way_is_answered_whatever_signal_comes(champion_home):
    with run_service(champion_home, WORKERS=1, BODY_SECONDS=60) as service:
        [worker] = service.workers()
        proceed, statuses = threading.Event(), []
        clients = [
            threading.Thread(target=lambda: statuses.append(send_slowly(service, proceed)))
            for _ in range(3)
        ]
        for client in clients:
            client.start()
        with generate_load(service, connections=2) as load:
            wait_until(lambda: load.count_statuses()[200] > 50, 20)
            for name in MINOR_SIGNALS:
                os.kill(worker, getattr(signal, f"SIG{name}"))
            for name in set(MINOR_SIGNALS) - {"HUP", "TTIN", "TTOU"}:  # these it acts on
                os.kill(service.process.pid, getattr(signal, f"SIG{name}"))
            os.killpg(service.process.pid, signal.SIGUSR1)
            count = load.count_statuses()[200]
            wait_until(lambda: load.count_statuses()[200] > count + 50, 20)
        assert service.workers() == [worker]
        # the parent replaces the worker, which first answers what it has begun to read
        os.kill(service.process.pid, signal.SIGHUP)
        wait_until(lambda: worker not in service.workers() or len(service.workers()) > 1, 60)
        proceed.set()
        for client in clients:
            client.join()
        wait_until(lambda: worker not in service.workers(), 60)
        assert statuses == [422] * 3
        assert load.connection_errors == []
        assert set(load.count_statuses()) == {200}
        assert get_page(service, "/ready")[0] == 200


@pytest.mark.parametrize(("host", "url_host"), [("[::1]", "[::1]"), ("::", "[::]")])
def test_the_url_of_each_address_works_as_it_is_printed(home, tmp_path, host, url_host):
    port = free_port()
    variables = {
        "HOUSING_HOST": host,
        "HOUSING_PORT": str(port),
        "HOUSING_WORKERS": "1",
        "HOUSING_OPEN": "1",
    }
    with (
        (tmp_path / "output").open("wb") as output,
        managed_process(
            sys.executable, "-m", "app", env=os.environ | variables, cwd=PROJECT_ROOT, stdout=output
        ),
    ):
        url = f"http://{url_host}:{port}"
        assert '"alive"' in wait_for_response(f"{url}/health")
        assert (tmp_path / "output").read_text() == f"the service is at {url}\n"
        assert check_health(variables).returncode == 0
    result = check_health(variables)
    assert result.returncode == 1
    assert result.stderr.startswith("http://")
    assert "does not answer" in result.stderr


def check_health(variables):
    return subprocess.run(
        [sys.executable, "-m", "app.cli.health"],
        env=os.environ | variables,
        cwd=PROJECT_ROOT,
        text=True,
        capture_output=True,
    )
