"""Configure uvicorn for this service, and start a worker that never outlives its parent process."""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from uvicorn import Config

from app import create_app
from app.server import memory
from app.server.connection import Connection
from app.server.listening import LISTEN_BACKLOG
from app.settings import LOG_FORMAT

if TYPE_CHECKING:
    from app.server.asgi import AsgiApp

GC_THRESHOLDS = 50_000, 20, 50  # new objects between two garbage collections, and so on
THREAD_SWITCH_SECONDS = 0.001  # time a thread may take while the event loop has something to do
PARENT_CHECK_SECONDS = 0.5
HEALTHCHECK_SECONDS = 30  # for a worker to start and to reply, however busy the machine is
# signals that would end a worker with its open requests. The parent process acts on SIGHUP, SIGTTIN
# and SIGTTOU; sent to a worker, by mistake or to the whole process group, they mean nothing
MINOR_SIGNALS = [
    getattr(signal, name)
    for name in (
        *("SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU", "SIGALRM", "SIGVTALRM"),
        *("SIGPROF", "SIGPOLL", "SIGPWR", "SIGSTKFLT"),
    )
    if hasattr(signal, name)
]
MAX_OPEN_FILES = 65_536
RESERVED_FILE_DESCRIPTORS = 100  # for other things than connections: the log, the model, threads


def uvicorn_config(settings: Mapping[str, Any]) -> Config:
    """Return uvicorn's configuration for these settings."""
    return Config(
        "app.server.lifecycle:create_asgi_app",
        factory=True,
        workers=settings["WORKERS"],
        backlog=LISTEN_BACKLOG,
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings["IDLE_SECONDS"],
        timeout_graceful_shutdown=settings["STOP_SECONDS"],
        timeout_worker_healthcheck=HEALTHCHECK_SECONDS,
    )


def create_asgi_app() -> AsgiApp:
    """Create the ASGI application of one worker, and set up the worker's process for it."""
    from app.server.asgi import AsgiApp

    ignore_minor_signals()
    configure_logging()
    memory.limit_allocator_retention()
    max_open_files = _raise_open_file_limit()
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()
    sys.setswitchinterval(THREAD_SWITCH_SECONDS)
    flask_app = create_app()
    flask_app.extensions["champion"].start_watching()
    gc.collect()
    gc.freeze()  # what exists by now lives as long as the worker: collections need not scan it
    gc.set_threshold(*GC_THRESHOLDS)
    return AsgiApp(flask_app, max_open_files - RESERVED_FILE_DESCRIPTORS)


def ignore_minor_signals() -> None:
    """Ignore what would end this process although nobody has told it to stop.

    Processes that it starts, such as the readers of tables, inherit that.
    """
    for number in MINOR_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def configure_logging() -> None:
    """Set the format of the log messages on stderr, for a process of the service."""
    logging.basicConfig(format=LOG_FORMAT)
    # no line for each invalid request and for each client that has left; AsgiApp logs real failures
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)


def _raise_open_file_limit() -> int:
    """Raise this process's limit of open files as far as allowed, and return it."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_unlimited = hard_limit == resource.RLIM_INFINITY
    limit = MAX_OPEN_FILES if is_unlimited else min(hard_limit, MAX_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard_limit))
    return limit


def _exit_with_parent(parent_pid: int) -> None:
    """Stop this worker once its parent has died: it would keep the port, with no way to stop it."""
    while os.getppid() == parent_pid:
        time.sleep(PARENT_CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
