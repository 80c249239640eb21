"""The port that the workers of one service share, and no other service may."""

import pickle
import socket
from contextlib import closing

import pytest

from app.server.listening import take_port
from tests.support.processes import free_port


def test_a_second_service_that_starts_at_once_is_told_that_the_port_is_taken():
    port = free_port()
    message = f"port {port} is taken; choose another: HOUSING_PORT={port + 1}"
    with closing(take_port("127.0.0.1", port)), pytest.raises(OSError, match=message):
        take_port("127.0.0.1", port)


def test_each_worker_gets_a_socket_of_its_own_at_the_port():
    with closing(take_port("127.0.0.1", free_port())) as shared_port:
        workers = [pickle.loads(pickle.dumps(shared_port)) for _ in range(2)]
        for worker in workers:
            worker.listen()
        with socket.create_connection(shared_port.getsockname(), timeout=5):
            pass
        assert {worker.getsockname() for worker in workers} == {shared_port.getsockname()}
        assert len({worker.fileno() for worker in workers}) == 2
        for worker in workers:
            worker.close()
