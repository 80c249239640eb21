"""Several workers at one port."""

import os
import signal
import socket
import time
from contextlib import ExitStack

import psutil
import pytest

from benchmarks.support.local_service import run_service, wait_until
from tests.support.load_generator import get_page

pytestmark = pytest.mark.slow


def count_connections(pid, status=psutil.CONN_ESTABLISHED):
    connections = psutil.Process(pid).net_connections()
    return sum(connection.status == status for connection in connections)


def is_listening(pid):
    return count_connections(pid, psutil.CONN_LISTEN) == 1


def test_connections_are_spread_over_the_workers(champion_home):
    """With sockets of their own, less than 12 of 64 for one of two happens once in ten million."""
    with run_service(champion_home, WORKERS=2) as service, ExitStack() as clients:
        wait_until(lambda: all(map(is_listening, service.workers())), 10)
        for _ in range(64):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        counts = [count_connections(pid) for pid in service.workers()]
    assert len(counts) == 2
    assert min(counts) >= 12, counts


def test_a_worker_that_dies_during_a_health_check_is_replaced_soon(champion_home):
    """Not after the 30 seconds that a busy worker has for its answer."""
    with run_service(champion_home, WORKERS=1) as service:
        [worker] = service.workers()
        os.kill(worker, signal.SIGSTOP)
        time.sleep(1)  # by now the health check waits for its answer
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: any(map(is_listening, {*service.workers()} - {worker})), 20)
        assert get_page(service, "/ready")[0] == 200
