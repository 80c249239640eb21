"""The port that the service listens at: each worker has a socket of its own there.

The kernel then spreads the connections over the workers. Where they share one socket, the first to
wake up accepts: of two workers, one had 60 or more of 64 connections in every third trial.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import sys
from contextlib import suppress
from typing import Any

from app.addresses import MAX_PORT, bare_host

LISTEN_BACKLOG = 2_048  # connections that wait to be accepted
SO_ATTACH_FILTER = 26  # the kernel's number; Python's socket module has no name for it
# its one instruction: keep 0 bytes of a packet
DROP_ALL_FILTER = struct.pack("HBBI", 0x06, 0, 0, 0)

MAX_QUOTED_CHARS = 60  # of a host that an error repeats

_worker_sockets: list[socket.socket] = []  # of this process, if it is a worker


class SharedPort(socket.socket):
    """A port that is taken for the workers; does not listen itself.

    A worker that gets this by multiprocessing has a bound socket of its own instead, at which
    uvicorn listens once the worker is ready.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _bind_worker_socket, (self.family, self.getsockname())


def resolve_host(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """Return the family and the address of a socket that listens at a host, IPv4 if it has both.

    Raises OSError naming the host if it is none.
    """
    try:
        infos = socket.getaddrinfo(
            bare_host(host), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no name of a host"
        raise OSError(
            f"HOUSING_HOST is {host[:MAX_QUOTED_CHARS]!r}, which has no address ({reason}); "
            "expected an address of this machine, such as 127.0.0.1, ::1 or 0.0.0.0 for all"
        ) from None
    family, _, _, _, address = min(infos, key=lambda info: info[0] != socket.AF_INET)
    return family, address


def take_port(host: str, port: int) -> SharedPort:
    """Take the port. Raises OSError naming host and port if that cannot be done."""
    family, address = resolve_host(host, port)
    shared_port = SharedPort(family)
    try:
        shared_port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        shared_port.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise OSError(f"cannot listen at {host} port {port}: {error.strerror}") from None
        other_port = port + 1 if port < MAX_PORT else port - 1
        raise OSError(f"port {port} is taken; choose another: HOUSING_PORT={other_port}") from None
    # only now, so that no other service shares it: neither one that runs, nor one that starts later
    shared_port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    shared_port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return shared_port


def _bind_worker_socket(family: socket.AddressFamily, address: Any) -> socket.socket:
    worker_socket = socket.socket(family)
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        worker_socket.setsockopt(socket.SOL_SOCKET, option, 1)
    worker_socket.bind(address)
    _worker_sockets.append(worker_socket)
    return worker_socket


def stop_accepting() -> None:
    """Make the kernel drop new connections to this worker, on Linux.

    Those that wait to be accepted stay. A connection that came after the last accept would be reset
    when the socket is closed, with a request under way; one that is dropped is tried again by its
    client's kernel, and reaches another worker, if there is one.
    """
    if sys.platform == "linux":
        instructions = ctypes.create_string_buffer(DROP_ALL_FILTER)
        program = struct.pack("HP", 1, ctypes.addressof(instructions))  # struct sock_fprog
        for worker_socket in _worker_sockets:
            with suppress(OSError):  # a sandbox may forbid filters; the worker stops all the same
                worker_socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
