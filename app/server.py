"""uvicorn, as this service needs it: limits on what a connection may do before it is a request, no
word of who serves, and workers that never outlive their parent."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import threading
import time
from collections.abc import Mapping
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app import headers, predict
from app.asked import Asked
from app.problems import refused

HEAD = 65_536  # bytes of a request's line and headers
BACKLOG = 2_048  # connections that wait to be taken
SPARE = 100  # open files that are no connections: the log, the model, threads


class Protocol(HttpToolsProtocol):
    """A connection. One that is slow to begin a request, or begins a huge one, is closed."""

    patience = 10.0  # seconds for the headers of a request, once its first byte is there
    room = 1_000  # connections of a worker

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._head: int | None = 0  # bytes of headers so far; None while there are none to come
        self._deadline: asyncio.TimerHandle | None = None
        self._await_head()
        if len(self.connections) > self.room:  # one that asks nothing makes room
            next((one for one in self.connections if one.idle()), self).transport.abort()

    def idle(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head is None and self.idle():
            self._await_head()
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        if self._head is not None and self._head > HEAD and not self.transport.is_closing():
            self.send_400_response("the request's headers are longer than 65,536 bytes")

    def on_headers_complete(self) -> None:
        self._head_came()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """As problem details, and without a word of the server's own."""
        self._head_came()
        asked = Asked("", "", "", {}, b"")
        reply = predict.refuse(asked, refused(400, "the request is not HTTP that can be read"))
        lines = [b"HTTP/1.1 400 Bad Request\r\n"]
        for name, value in [*headers.encoded(reply), (b"connection", b"close")]:
            lines.append(name + b": " + value + b"\r\n")
        self.transport.write(b"".join([*lines, b"\r\n", reply.body]))
        self.transport.close()

    def _await_head(self) -> None:
        self._head = 0
        self._deadline = self.loop.call_later(self.patience, self.transport.abort)

    def _head_came(self) -> None:
        self._head = None
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None


def config(told: Mapping[str, Any]) -> Config:
    """How the server is to run."""
    return Config(
        "app.server:door", factory=True, workers=told["WORKERS"], backlog=BACKLOG,
        loop="uvloop", http=Protocol, ws="none", lifespan="off", interface="asgi3",
        log_config=None, access_log=False, server_header=False, proxy_headers=False,
        timeout_keep_alive=told["IDLE_SECONDS"],
        timeout_graceful_shutdown=told["STOP_SECONDS"],
    )  # fmt: skip


def door() -> Any:
    """The application of one worker, in its own process."""
    from app import create_app
    from app.door import Door

    speak()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()
    flask = create_app()
    Protocol.room, Protocol.patience = wanted - SPARE, flask.config["HEADER_SECONDS"]
    flask.extensions["champion"].watch()
    return Door(flask)


def speak() -> None:
    """Sets up what a process of the service says on stderr."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # not each client's broken request


def _die_with(parent: int) -> None:
    """A worker that nobody can stop any more would keep the port."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
