"""A connection, as this service needs it: bounded in what it holds and in how long it waits for who
is at its other end. uvicorn does the rest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app import response_headers
from app.codecs import predict
from app.messages import HttpRequest, HttpResponse
from app.problem_details import request_error

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

MAX_HEAD_BYTES = 65_536  # bytes of a request's line and headers
READ_CHUNK_BYTES = 2_048  # bytes that are read at once, where the next request may begin among them
SHUTDOWN_GRACE_SECONDS = 0.5  # seconds for which a request may still come when the service stops
LINGER_SECONDS = 2.0  # seconds for which what a refused client still sends is thrown away
MALFORMED_REQUEST = 400, "the request is not HTTP that can be read"
HEAD_TOO_LARGE = 431, f"the request's line and headers are longer than {MAX_HEAD_BYTES:,} bytes"
FRAMING_HEADERS = b"content-length", b"transfer-encoding"


class BoundedFlowControl(FlowControl):
    """Takes no more from a client than can be answered.

    `has_queued_input` is set while requests wait.
    """

    has_queued_input = False

    def resume_reading(self) -> None:
        if not self.has_queued_input:
            super().resume_reading()


class Protocol(HttpToolsProtocol):
    """A connection. One that is slow to begin a request, or to take an answer, is cut; a request
    behind another is read when that is answered."""

    header_timeout_seconds = (
        10.0  # seconds for the headers of a request, once its first byte is there
    )
    write_timeout_seconds = 10.0  # seconds for a client to take what was answered
    max_connections = 1_000  # connections of a worker
    stopping = False  # the service, and so all connections

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.flow = BoundedFlowControl(transport)
        self._buffer = b""  # what has come and is not parsed yet
        self._head_bytes: int | None = (
            None  # bytes of headers so far; None while there are none to come
        )
        self._body_bytes_left = 0  # bytes of a body that are still to come, if its length was told
        self._bytes_since_body = 0  # bytes since the last one of a body that comes in chunks
        self._open_requests = 0  # requests that were read and are not answered
        self._running_cycle: RequestResponseCycle | None = None
        self._rejection: tuple[int, str] | None = None  # of what is no request; nothing follows it
        self._is_replaying_head = False  # whether the parser reads a head that it has read before
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._start_head_timer()
        if self.stopping:
            self.shutdown()
        if len(self.connections) > self.max_connections:  # one that asks nothing makes room
            next(
                (connection for connection in self.connections if connection.is_idle()), self
            ).transport.abort()

    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self._open_requests == 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self.resume_writing()
        if (
            self._running_cycle
        ):  # uvicorn knows of the last that came only, which may wait behind it
            self._running_cycle.disconnected = True
            self._running_cycle.message_event.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read as fast as it is answered."""
        super().pause_writing()
        self._write_timer = self._write_timer or self.loop.call_later(
            self.write_timeout_seconds, self.transport.abort
        )

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer:
            self._write_timer.cancel()
            self._write_timer = None

    def shutdown(self) -> None:
        """The service stops: what a client has sent by now may not have been read yet."""
        Protocol.stopping = True  # of those too who were let in and come to be known only now
        if self.is_idle():
            self.loop.call_later(SHUTDOWN_GRACE_SECONDS, self._close_if_idle)
        else:
            super().shutdown()

    def _close_if_idle(self) -> None:
        if self.is_idle():
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():  # it would be closed once that was taken
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def data_received(self, data: bytes) -> None:
        if self._rejection:
            return
        if self._head_bytes is None and self.is_idle():
            self._start_head_timer()
        self._buffer = self._buffer + data if self._buffer else data
        self._parse_buffer()

    def _parse_buffer(self) -> None:
        """Parses what is held, up to the first request that has to wait for another's answer."""
        held, at = self._buffer, 0
        while at < len(held) and not (
            self.pipeline or self._rejection or self.transport.is_closing()
        ):
            chunk = held[at : at + self._next_chunk_size()]
            at += len(chunk)
            self._parse(chunk)
        is_finished = self._rejection or self.transport.is_closing()
        self._buffer = b"" if is_finished else held[at:]
        was_full, self.flow.has_queued_input = self.flow.has_queued_input, bool(self._buffer)
        if self.flow.has_queued_input:
            self.flow.pause_reading()
        elif was_full:
            self.flow.resume_reading()

    def _next_chunk_size(self) -> int:
        if self._head_bytes is not None:
            return min(READ_CHUNK_BYTES, MAX_HEAD_BYTES - self._head_bytes)
        return self._body_bytes_left or READ_CHUNK_BYTES

    def _parse(self, chunk: bytes) -> None:
        self._unset_keepalive_if_required()
        self._bytes_since_body += len(chunk)
        try:
            self.parser.feed_data(chunk)
        except HttpParserUpgrade as upgrade:
            self._ignore_upgrade(chunk[upgrade.args[0] :])
        except HttpParserError:
            self._stop_reading(*MALFORMED_REQUEST)
        if self._head_bytes is not None:
            self._head_bytes += len(chunk)
            if self._head_bytes >= MAX_HEAD_BYTES:
                self._stop_reading(*HEAD_TOO_LARGE)
        elif self._bytes_since_body > MAX_HEAD_BYTES and self.cycle and self.cycle.more_body:
            self._stop_reading(
                *MALFORMED_REQUEST
            )  # a chunk's head, or what follows the last chunk, has no end

    def _ignore_upgrade(self, remaining_data: bytes) -> None:
        """Goes on with HTTP/1.1 though the client offers another protocol: the parser took the body
        for that, so that it gets the head again, without the offer."""
        self.parser, self._is_replaying_head = HttpRequestParser(self), True
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        framing_headers = [
            name + b": " + value for name, value in self.headers if name in FRAMING_HEADERS
        ]
        self.cycle.more_body = True
        try:
            self.parser.feed_data(b"\r\n".join([b"POST / HTTP/1.1", *framing_headers, b"", b""]))
        except HttpParserError:
            self._stop_reading(*MALFORMED_REQUEST)
            return
        finally:
            self._is_replaying_head = False
        if remaining_data:
            self._parse(remaining_data)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running_cycle = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        if not self._is_replaying_head:
            super().on_message_begin()
            if self._head_bytes is None:
                self._start_head_timer()

    def on_url(self, url: bytes) -> None:
        if not self._is_replaying_head:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if (
            self._head_bytes is not None and not self._is_replaying_head
        ):  # none that comes after the body
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_replaying_head:
            return
        self._stop_head_timer()
        self._start_request()
        if self.stopping:
            self.cycle.keep_alive = False
        self._open_requests += 1
        self._body_bytes_left, self._bytes_since_body = (
            int(dict(self.headers).get(b"content-length", 0)),
            0,
        )

    def _start_request(self) -> None:
        """A request, of which the body is still to come."""
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes_left, self._bytes_since_body = max(0, self._body_bytes_left - len(body)), 0
        self._receive_body(body)

    def _receive_body(self, body: bytes) -> None:
        """A part of the body."""
        super().on_body(body)

    def on_response_complete(self) -> None:
        self._open_requests -= 1
        super().on_response_complete()
        if self.transport.is_closing():
            self.loop.call_later(
                self.write_timeout_seconds, self.transport.abort
            )  # if it is not taken by then
        elif self._rejection and self.is_idle():
            self._send_rejection()
        elif self._buffer and not self.pipeline:
            self._parse_buffer()

    def _stop_reading(self, status: int, detail: str) -> None:
        """Nothing more is read; what was asked before is answered first."""
        self._stop_head_timer()
        self._rejection = status, detail
        torn = self.cycle
        if torn and torn.more_body:
            if torn.response_started:
                self.transport.close()
                return
            self._open_requests -= 1
            if self.pipeline and self.pipeline[0][0] is torn:
                self.pipeline.popleft()
            torn.disconnected, torn.waiting_for_100_continue = True, False
            torn.message_event.set()
        if self.is_idle():
            self._send_rejection()

    def _send_rejection(self) -> None:
        """As problem details, and without a word of the server's own."""
        self._send_final_reply(
            predict.encode_error(HttpRequest("", "", "", {}, b""), request_error(*self._rejection))
        )

    def _send_final_reply(self, response: HttpResponse | Exception) -> None:
        if isinstance(response, Exception) or self.transport.is_closing():
            self.transport.abort()
            return
        self._unset_keepalive_if_required()
        self.transport.write(response_headers.encode_message(response, keep_alive=False))
        self.transport.write_eof()  # not closed: the client's next byte would take the answer back
        self.flow.has_queued_input = False
        self.flow.resume_reading()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _start_head_timer(self) -> None:
        self._head_bytes = 0
        self._read_timer = self._read_timer or self.loop.call_later(
            self.header_timeout_seconds, self.transport.abort
        )

    def _stop_head_timer(self) -> None:
        self._head_bytes = None
        if self._read_timer:
            self._read_timer.cancel()
            self._read_timer = None
