"""Limits that uvicorn has no setting for: on slow and endless requests, and on connections.

`Connection` stands between the transport and uvicorn's own protocol, as published: it is the
protocol of the first and the transport of the second, and uses only what asyncio documents of
either. The ASGI application tells it how far each request is.
"""

from __future__ import annotations

import asyncio
import math
import re
import signal
import threading
from functools import partial
from types import FrameType
from typing import Any, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 65_536  # of a request's line and headers
MAX_UNSEEN_BODY_BYTES = 262_144  # uvicorn stops at 65,536 of a body; the rest frames its chunks
READ_CHUNK_BYTES = 16_384  # parsed at once: a few hundred pipelined requests at most
SWEEP_SECONDS = 0.25  # between two looks for connections whose time is over
CLOSE_GRACE_SECONDS = 0.5  # for a request that was sent before its client saw the connection close
LINGER_SECONDS = 2.0  # for a refused client to stop sending: a reset would lose its response
HEAD_TOO_LARGE = f"the request's line and headers are longer than {MAX_HEAD_BYTES:,} bytes"
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
            next((other for other in self._connections if other.is_idle), connection).abort()

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._connections.pop(connection, None)

    def start(self) -> None:
        """Watch the deadlines from now on, and the signals that stop the worker."""
        self._sweep()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, partial(self.stop, signal.getsignal(number)))

    def stop(self, next_handler: Any, number: int, frame: FrameType | None) -> None:
        """Have each response close its connection, before uvicorn handles the signal."""
        self.is_stopping = True
        if callable(next_handler):
            next_handler(number, frame)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in [*self._connections]:
            connection.check_deadlines(loop.time())
        loop.call_later(SWEEP_SECONDS, self._sweep)


class Connection(asyncio.Protocol, asyncio.Transport):
    """A connection that is bounded in what it holds and in how long it waits for its client."""

    def __init__(self, app_state: dict[str, Any], **arguments: Any) -> None:
        """Take the arguments of uvicorn's protocol.

        app_state: each request's `scope["state"]`, with the pool from the lifespan.
        """
        super().__init__()
        self.pool: ConnectionPool = app_state["pool"]
        self._protocol = HttpToolsProtocol(app_state={"connection": self}, **arguments)
        self._loop = asyncio.get_running_loop()
        self._open_requests = 0  # a request may begin a moment before the last one has ended
        self._is_answering = False  # a request is complete, and its response is not
        self._unseen_bytes = 0  # read since the application last got something of them
        self._held = b""  # read, and not parsed yet
        self._is_parsing = self._is_done = False  # done: nothing more is read or written
        self._is_reading_paused = False  # by uvicorn
        self._unsent: list[bytes | bytearray | memoryview] | None = None
        self._deadline = self._write_deadline = math.inf
        self._body_reader: asyncio.Task[Any] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        seconds = CLOSE_GRACE_SECONDS if self.pool.is_stopping else self.pool.limits.header_seconds
        self._deadline = self._loop.time() + seconds
        self._protocol.connection_made(self)
        self.pool.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_done = True
        self.pool.remove(self)
        self._protocol.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_done:
            return
        if self.is_idle and self._deadline == math.inf:
            self._deadline = self._loop.time() + self.pool.limits.header_seconds
        if self._held or self._is_answering or len(data) > self._chunk_size():
            self._held += data
            self._transport.pause_reading()
            self._loop.call_soon(self._parse_held)
        else:
            self._parse(data)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._write_deadline = math.inf
        self._protocol.resume_writing()

    @property
    def is_idle(self) -> bool:
        """Whether no request's headers are complete."""
        return self._open_requests == 0

    def open_request(self) -> None:
        """Note that the application has a request, whose body may still be to come."""
        self._open_requests += 1
        self._unseen_bytes, self._deadline = 0, math.inf

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

    def close_request(self) -> None:
        """Note that the response is complete. uvicorn goes on with a request that it has queued."""
        self._open_requests -= 1
        self._is_answering = self._is_answering and not self.is_idle
        if self._held:
            self._loop.call_soon(self._parse_held)

    def cork(self) -> None:
        """Keep what is written until `flush`: a second system call would cost 10 us or more."""
        self._unsent = []

    def flush(self) -> None:
        """Write what was kept since `cork`."""
        unsent, self._unsent = self._unsent, None
        if unsent:
            self.write(b"".join(unsent))

    def check_deadlines(self, current_time: float) -> None:
        """Disconnect a client that is too slow to send its request or to read its response."""
        if not self._transport.get_write_buffer_size():
            self._write_deadline = math.inf
        elif self._write_deadline == math.inf:
            self._write_deadline = current_time + self.pool.limits.body_seconds
        if current_time > self._write_deadline:
            self._transport.abort()
        elif current_time > self._deadline:
            if self._body_reader:
                self._body_reader.cancel()
            else:
                self._transport.close()

    def _chunk_size(self) -> int:
        limit = MAX_HEAD_BYTES if self.is_idle else MAX_UNSEEN_BODY_BYTES
        return min(READ_CHUNK_BYTES, limit - self._unseen_bytes)

    def _parse_held(self) -> None:
        """Parse the next part of what is held, unless a request before it is still answered."""
        if self._is_done or self._is_answering or self._is_reading_paused or not self._held:
            return
        size = self._chunk_size()
        if not size:
            self._refuse_head()
            return
        data, self._held = self._held[:size], self._held[size:]
        self._parse(data)
        if self._held:
            self._loop.call_soon(self._parse_held)
        elif not self._is_reading_paused:
            self._transport.resume_reading()

    def _parse(self, data: bytes) -> None:
        if self.is_idle and UPGRADE_HEADER.search(data):
            head, separator, body = data.partition(b"\r\n\r\n")
            data = UPGRADE_HEADER.sub(HIDDEN_UPGRADE_HEADER, head) + separator + body
        self._unseen_bytes += len(data)
        self._is_parsing = True
        self._protocol.data_received(data)
        self._is_parsing = False

    def _refuse_head(self) -> None:
        if self.is_idle:
            head = f"content-type: text/plain\r\ncontent-length: {len(HEAD_TOO_LARGE)}"
            status = "HTTP/1.1 431 Request Header Fields Too Large"
            self.write(f"{status}\r\n{head}\r\nconnection: close\r\n\r\n{HEAD_TOO_LARGE}".encode())
            self._linger()
        else:  # of a body whose chunks have an endless frame
            self._transport.abort()

    def _linger(self) -> None:
        """End the response, and discard what the client still sends."""
        self._is_done, self._held = True, b""
        self._deadline = self._loop.time() + LINGER_SECONDS
        self._transport.write_eof()
        self._transport.resume_reading()

    # the transport, as uvicorn's protocol sees it

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._unsent is not None:
            self._unsent.append(data)
        elif not self._is_done:
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._is_done or self._transport.is_closing()

    def close(self) -> None:
        if self._is_done:
            return
        self.flush()
        if self._is_parsing:  # uvicorn has refused what is no HTTP
            self._linger()
        elif self.is_idle:  # the worker stops, or the connection was idle for long
            self._deadline = min(self._deadline, self._loop.time() + CLOSE_GRACE_SECONDS)
        else:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def pause_reading(self) -> None:
        self._is_reading_paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._is_reading_paused = False
        if self._held:
            self._loop.call_soon(self._parse_held)
        else:
            self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)
