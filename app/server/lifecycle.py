"""uvicorn, as this service needs it: no word of who serves, and workers that never outlive their
parent."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from uvicorn import Config

from app.server import memory
from app.server.direct import Protocol

LISTEN_BACKLOG = 2_048  # connections that wait to be taken
GC_THRESHOLDS = 50_000, 20, 50  # new objects between two looks for garbage
SO_ATTACH_FILTER = 26  # Linux's SO_ATTACH_FILTER, which the socket module has no name for
DROP_ALL_FILTER = struct.pack(
    "HBBI", 0x06, 0, 0, 0
)  # the filter's one step: keep nothing of a packet
HEALTHCHECK_SECONDS = (
    30  # for a worker to start and to give a sign of life, however busy the machine is
)
RESERVED_FILE_DESCRIPTORS = 100  # open files that are no connections: the log, the model, threads


def uvicorn_config(settings: Mapping[str, Any]) -> Config:
    """How the server is to run."""
    return Config(
        "app.server.lifecycle:create_asgi_app", factory=True, workers=settings["WORKERS"], backlog=LISTEN_BACKLOG,
        loop="uvloop", http=Protocol, ws="none", lifespan="off", interface="asgi3",
        log_config=None, access_log=False, server_header=False, proxy_headers=False,
        timeout_keep_alive=settings["IDLE_SECONDS"],
        timeout_graceful_shutdown=settings["STOP_SECONDS"],
        timeout_worker_healthcheck=HEALTHCHECK_SECONDS,
    )  # fmt: skip


def create_asgi_app() -> Any:
    """The application of one worker, in its own process."""
    from app import create_app
    from app.server.asgi import AsgiApp

    configure_logging()
    memory.limit_allocator_retention()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()
    sys.setswitchinterval(0.001)  # what threads take while the event loop has something to do
    flask = create_app()
    Protocol.max_connections, Protocol.header_timeout_seconds = (
        wanted - RESERVED_FILE_DESCRIPTORS,
        flask.config["HEADER_SECONDS"],
    )
    Protocol.write_timeout_seconds = flask.config["BODY_SECONDS"]
    flask.extensions["champion"].start_watching()
    gc.collect()
    gc.freeze()  # what is there now stays, and is not to be looked through again and again
    gc.set_threshold(*GC_THRESHOLDS)
    return AsgiApp(flask)


def configure_logging() -> None:
    """Sets up what a process of the service says on stderr."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # not each client's broken request


def stop_accepting(listening_socket: socket.socket) -> None:
    """Has the kernel drop who would connect, on Linux; who waits to be taken stays. Whoever was let
    in after the last worker has looked would be reset when it closes, with a request under way."""
    if sys.platform == "linux":
        steps = ctypes.create_string_buffer(DROP_ALL_FILTER)
        told = struct.pack("HP", 1, ctypes.addressof(steps))
        with suppress(OSError):  # a sandbox may have no filters; it stops all the same
            listening_socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, told)


def _exit_with_parent(parent_pid: int) -> None:
    """A worker that nobody can stop any more would keep the port."""
    while os.getppid() == parent_pid:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
