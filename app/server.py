"""uvicorn, as this service needs it: limits on what a connection may do before it is a request, no
word of who serves, and workers that never outlive their parent."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app import direct, headers, predict
from app.asked import Asked
from app.contract import refused

HEAD = 65_536  # bytes of a request's line and headers
BACKLOG = 2_048  # connections that wait to be taken
GARBAGE = (
    50_000,
    20,
    50,
)  # new objects between two looks for garbage: a list makes thousands
SPARE = 100  # open files that are no connections: the log, the model, threads


class Protocol(HttpToolsProtocol):
    """A connection. One that is slow to begin a request, or begins a huge one, is closed."""

    patience = 10.0  # seconds for the headers of a request, once its first byte is there
    room = 1_000  # connections of a worker

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._head: int | None = 0  # bytes of headers so far; None while there are none to come
        self._deadline: asyncio.TimerHandle | None = None
        self._within(self.patience, self.transport.abort)
        if len(self.connections) > self.room:  # one that asks nothing makes room
            next((one for one in self.connections if one.idle()), self).transport.abort()

    def idle(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        self._came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head is None and self.idle():
            self._head = 0
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._head is not None:
            if self._head > HEAD:
                self.send_400_response("the request's headers are longer than 65,536 bytes")
            elif self._deadline is None:
                self._within(self.patience, self.transport.abort)
        elif self._direct() and self.cycle.more_body and self._deadline is None:
            self._within(self.app.patience, self.app.late, self.cycle)

    def on_headers_complete(self) -> None:
        self._came()
        if self.url in direct.PATHS and self.parser.get_method() == b"POST" and self.idle():
            client = self.client[0] if self.client else ""
            asked = direct.asked(direct.PATHS[self.url], self.headers, client)
            if asked and not self.flow.write_paused:
                keep = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
                self.cycle = direct.Cycle(asked, self.transport, keep, self.on_response_complete)
                return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._direct():
            self.cycle.asked.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._direct() and not self.cycle.response_complete:
            self._came()
            self.cycle.more_body = False
            self.app.take(self.cycle.asked, self.cycle.done)
        else:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """As problem details, and without a word of the server's own."""
        self._came()
        asked = Asked("", "", "", {}, b"")
        reply = predict.refuse(asked, refused(400, "the request is not HTTP that can be read"))
        self.transport.write(headers.message(reply, keep_alive=False))
        self.transport.close()

    def _direct(self) -> bool:
        return type(self.cycle) is direct.Cycle

    def _within(self, seconds: float, late: Callable[..., None], *given: Any) -> None:
        self._deadline = self.loop.call_later(seconds, late, *given)

    def _came(self) -> None:
        """What there was a deadline for."""
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
    sys.setswitchinterval(0.001)  # what threads take while the event loop has something to do
    flask = create_app()
    Protocol.room, Protocol.patience = wanted - SPARE, flask.config["HEADER_SECONDS"]
    flask.extensions["champion"].watch()
    gc.collect()
    gc.freeze()  # what is there now stays, and is not to be looked through again and again
    gc.set_threshold(*GARBAGE)
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
