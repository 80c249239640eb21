"""The port that the workers of one service share, and no other service may."""

import pickle
import socket
from contextlib import closing

import pytest

from app import addresses
from app.server.listening import MAX_PORT, resolve_host, take_port
from tests.support.processes import free_port


def test_a_second_service_that_starts_at_once_is_told_that_the_port_is_taken():
    port = free_port()
    message = f"port {port} is taken; choose another: HOUSING_PORT={port + 1}"
    with closing(take_port("127.0.0.1", port)), pytest.raises(OSError, match=message):
        take_port("127.0.0.1", port)


def test_the_last_port_has_no_next_to_choose():
    message = f"port {MAX_PORT} is taken; choose another: HOUSING_PORT={MAX_PORT - 1}"
    with (
        closing(take_port("127.0.0.1", MAX_PORT)),
        pytest.raises(OSError, match=message),
    ):
        take_port("127.0.0.1", MAX_PORT)


@pytest.mark.parametrize(
    ("host", "family", "address"),
    [
        ("127.0.0.1", socket.AF_INET, "127.0.0.1"),
        ("localhost", socket.AF_INET, "127.0.0.1"),
        ("::1", socket.AF_INET6, "::1"),
        ("[::1]", socket.AF_INET6, "::1"),
        ("::", socket.AF_INET6, "::"),
        ("0.0.0.0", socket.AF_INET, "0.0.0.0"),
    ],
)
def test_a_host_is_an_address_or_a_name(host, family, address):
    actual_family, (actual_address, *_) = resolve_host(host, 8081)
    assert (actual_family, actual_address) == (family, address)


@pytest.mark.parametrize(
    "host", ["nothing.invalid", "a b", "http://127.0.0.1", "1.2.3.4.5", "é" * 99]
)
def test_a_host_without_an_address_is_named(host):
    with pytest.raises(OSError, match=r"HOUSING_HOST is '.*', which has no address"):
        resolve_host(host, 8081)


@pytest.mark.parametrize(
    ("host", "url", "local_host"),
    [
        ("127.0.0.1", "http://127.0.0.1:8081", "127.0.0.1"),
        ("0.0.0.0", "http://0.0.0.0:8081", "127.0.0.1"),
        ("::1", "http://[::1]:8081", "::1"),
        ("[::1]", "http://[::1]:8081", "::1"),
        ("::", "http://[::]:8081", "::1"),
        ("fe80::1%eth0", "http://[fe80::1%25eth0]:8081", "fe80::1%eth0"),
        ("housing.example", "http://housing.example:8081", "housing.example"),
    ],
)
def test_an_address_is_a_url_and_has_a_local_host(host, url, local_host):
    assert addresses.base_url(host, 8081) == url
    assert addresses.local_host(host) == local_host


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
