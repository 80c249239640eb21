"""Limits that uvicorn has no setting for: on slow and endless requests, and on connections.

`Connection` passes what asyncio calls of a protocol on to uvicorn's own, as published. The ASGI
application tells it how far each request is.
"""

from __future__ import annotations

import asyncio
import math
import re
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.server import listening

MAX_HEAD_BYTES = 65_536  # of a request's line and headers
MAX_UNSEEN_BYTES = 393_216  # of a body, parsed since the application got the last part of it
READ_CHUNK_BYTES = 16_384  # of headers, parsed at once: a few hundred pipelined requests at most
SWEEP_SECONDS = 0.25  # between two looks for connections whose time is over
STOP_GRACE_SECONDS = 0.75  # for clients to learn that a connection is closed after its response
ACCEPT_DRAIN_SECONDS = 0.5  # the last of them, for clients that have just connected to ask
LINGER_SECONDS = 2.0  # for a refused client to stop sending: a reset would lose its response
HEAD_TOO_LARGE = f"the request's line and headers are longer than {MAX_HEAD_BYTES:,} bytes"
HEAD_TOO_LARGE_RESPONSE = (
    "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
    f"content-type: text/plain\r\ncontent-length: {len(HEAD_TOO_LARGE)}\r\n\r\n{HEAD_TOO_LARGE}"
).encode()
# the parser would take the body for that other protocol
UPGRADE_HEADER = re.compile(rb"\r\nupgrade(?=[ \t]*:)", re.IGNORECASE)
HIDDEN_UPGRADE_HEADER = b"\r\nx-other"


class ConnectionLimits(NamedTuple):
    """What one worker accepts."""

    max_connections: int
    header_seconds: float  # to begin a request and to send its headers
    body_seconds: float  # to send a body, and to read a response


class ConnectionPool:
    """The connections of one worker."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.is_stopping = False
        self._connections: dict[Connection, None] = {}  # a set in the order of arrival

    def add(self, connection: Connection) -> None:
        """Add a connection; if there are too many, an idle one makes room."""
        self._connections[connection] = None
        if len(self._connections) > self.limits.max_connections:
            idle_connections = (member for member in self._connections if member.is_idle)
            next(idle_connections, connection).abort()

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._connections.pop(connection, None)

    def start(self) -> None:
        """Watch the deadlines from now on, and the signals that stop the worker."""
        self._sweep()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                handler = signal.getsignal(number)
                if callable(handler):
                    signal.signal(number, partial(self._stop, handler))

    def _stop(self, handler: Callable[..., Any], *arguments: Any) -> None:
        """Have each response close its connection for a while, before uvicorn closes the rest.

        A request that was sent before its client saw the connection close would be lost.
        """
        loop = asyncio.get_running_loop()
        delay = 0 if self.is_stopping else STOP_GRACE_SECONDS
        self.is_stopping = True
        drain_delay = max(0, delay - ACCEPT_DRAIN_SECONDS)
        loop.call_soon_threadsafe(loop.call_later, drain_delay, listening.stop_accepting)
        loop.call_soon_threadsafe(loop.call_later, delay, handler, *arguments)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in [*self._connections]:
            connection.check_deadlines(loop.time())
        loop.call_later(SWEEP_SECONDS, self._sweep)


class JoiningTransport:
    """A transport that sends the head of a response together with its body.

    uvicorn writes one after the other; uvloop sends each at once, and the client would have to
    read twice. On a connection that is closing nothing happens, where uvloop's raises an error.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send some bytes: the first of several soon, with the second."""
        self._parts.append(data)
        if len(self._parts) == 1:
            self._loop.call_soon(self._flush)
        else:
            self._flush()

    def close(self) -> None:
        """Close the connection once all is sent."""
        self._flush()
        self._transport.close()

    def resume_reading(self) -> None:
        """Read what arrives."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _flush(self) -> None:
        if self._parts and not self._transport.is_closing():
            self._transport.write(b"".join(self._parts))
        self._parts.clear()


class Connection(asyncio.Protocol):
    """A connection that is bounded in what it holds and in how long it waits for its client."""

    def __init__(self, app_state: dict[str, Any], **arguments: Any) -> None:
        """Take the arguments of uvicorn's protocol.

        app_state: each request's `scope["state"]`, with the pool from the lifespan.
        """
        self.pool: ConnectionPool = app_state["pool"]
        self._protocol = HttpToolsProtocol(app_state={"connection": self}, **arguments)
        self._loop = asyncio.get_running_loop()
        self._scope: Any = None  # of the request that the application has
        self._is_answering = False  # that request is complete, and its response is not
        self._unseen_bytes = 0  # parsed since the application last got something of them
        self._held = b""  # received, and not parsed yet
        self._is_paused = self._is_refused = False
        self._deadline = self._write_deadline = math.inf
        self._body_reader: asyncio.Task[Any] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._deadline = self._loop.time() + self.pool.limits.header_seconds
        self._protocol.connection_made(cast("asyncio.Transport", JoiningTransport(self._transport)))
        self.pool.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.pool.remove(self)
        self._protocol.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        was_empty = not self._held
        self._held += data
        if was_empty:
            self._parse_held()
        else:
            self._pause()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    @property
    def is_idle(self) -> bool:
        """Whether no request's headers are complete."""
        return self._scope is None

    def abort(self) -> None:
        """Disconnect the client at once."""
        self._transport.abort()

    def open_request(self, scope: Any) -> None:
        """Note that the application has a request, whose body may still be to come."""
        self._scope, self._is_answering = scope, False
        self._unseen_bytes, self._deadline = 0, math.inf
        self._parse_held_soon()

    def start_body_timer(self) -> None:
        """Cancel the current task if it has not the body in time; `asyncio.timeout` costs 4 us."""
        self._deadline = self._loop.time() + self.pool.limits.body_seconds
        self._body_reader = asyncio.current_task()

    def stop_body_timer(self) -> bool:
        """Return whether the body was late."""
        is_late = self._deadline < self._loop.time()
        self._deadline, self._body_reader = math.inf, None
        return is_late

    def receive_body(self, more_body: bool) -> None:
        """Note that the application has a part of the body."""
        self._unseen_bytes, self._is_answering = 0, not more_body
        self._parse_held_soon()

    def close_request(self, scope: Any) -> None:
        """Note that the application has done with a request; the next may have begun already."""
        if self._scope is scope:
            self._scope, self._is_answering = None, False
            self._parse_held_soon()

    def check_deadlines(self, current_time: float) -> None:
        """Disconnect a client that is too slow to send its request or to read its response."""
        if not self._transport.get_write_buffer_size():
            self._write_deadline = math.inf
        elif self._write_deadline == math.inf:
            self._write_deadline = current_time + self.pool.limits.body_seconds
        if current_time > self._write_deadline:
            self.abort()
        elif current_time > self._deadline:
            if self._body_reader:
                self._body_reader.cancel()
            else:
                self._transport.close()

    def _parse_held_soon(self) -> None:
        if self._held:
            self._loop.call_soon(self._parse_held)

    def _parse_held(self) -> None:
        """Parse some of what was received, unless the application has to answer or to read first.

        The rest is parsed in the next step of the event loop: by then the application has a request
        whose headers are complete.
        """
        if not self._held or self._transport.is_closing():
            return
        size = (MAX_HEAD_BYTES if self.is_idle else MAX_UNSEEN_BYTES) - self._unseen_bytes
        if size <= 0 and self.is_idle:
            self._refuse()
            return
        if size <= 0 or self._is_answering:
            self._pause()
            return
        if self.is_idle:
            size = min(size, READ_CHUNK_BYTES)
        data, self._held = self._held[:size], self._held[size:]
        self._parse(data)
        self._parse_held_soon()
        if self._is_paused and not self._held:
            self._is_paused = False
            self._transport.resume_reading()

    def _parse(self, data: bytes) -> None:
        if self.is_idle:
            if self._deadline == math.inf:
                self._deadline = self._loop.time() + self.pool.limits.header_seconds
            if UPGRADE_HEADER.search(data):
                head, separator, body = data.partition(b"\r\n\r\n")
                data = UPGRADE_HEADER.sub(HIDDEN_UPGRADE_HEADER, head) + separator + body
        self._unseen_bytes += len(data)
        self._protocol.data_received(data)

    def _pause(self) -> None:
        """Read no further; uvicorn may resume it, for a client that sends without end."""
        if self._is_answering and len(self._held) > MAX_UNSEEN_BYTES:
            self.abort()
        self._is_paused = True
        self._transport.pause_reading()

    def _refuse(self) -> None:
        """Disconnect a client whose headers have no end."""
        self._is_refused, self._held = True, b""
        self._transport.resume_reading()  # and discard what still comes
        self._transport.write(HEAD_TOO_LARGE_RESPONSE)
        self._transport.write_eof()
        self._deadline = self._loop.time() + LINGER_SECONDS
