"""Several workers at one port."""

import socket
from contextlib import ExitStack

import psutil
import pytest

from benchmarks.support.local_service import run_service, wait_until

pytestmark = pytest.mark.slow


def count_connections(pid, status=psutil.CONN_ESTABLISHED):
    connections = psutil.Process(pid).net_connections()
    return sum(connection.status == status for connection in connections)


def test_connections_are_spread_over_the_workers(champion_home):
    """With sockets of their own, less than 12 of 64 for one of two happens once in ten million."""
    with run_service(champion_home, WORKERS=2) as service, ExitStack() as clients:
        wait_until(
            lambda: all(count_connections(pid, psutil.CONN_LISTEN) for pid in service.workers()), 10
        )
        for _ in range(64):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        counts = [count_connections(pid) for pid in service.workers()]
    assert len(counts) == 2
    assert min(counts) >= 12, counts
