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

LISTEN_BACKLOG = 2_048  # connections that wait to be accepted
SO_ATTACH_FILTER = 26  # the kernel's number; Python's socket module has no name for it
# its one instruction: keep 0 bytes of a packet
DROP_ALL_FILTER = struct.pack("HBBI", 0x06, 0, 0, 0)

_worker_sockets: list[socket.socket] = []  # of this process, if it is a worker


class SharedPort(socket.socket):
    """A port that is taken for the workers; does not listen itself.

    A worker that gets this by multiprocessing has a bound socket of its own instead, at which
    uvicorn listens once the worker is ready.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _bind_worker_socket, (self.family, self.getsockname())


def take_port(host: str, port: int) -> SharedPort:
    """Take the port. Raises OSError naming host and port if that cannot be done."""
    shared_port = SharedPort(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        shared_port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        shared_port.bind((host, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise OSError(f"cannot listen at {host} port {port}: {error.strerror}") from None
        raise OSError(f"port {port} is taken; choose another: HOUSING_PORT={port + 1}") from None
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
