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
from app.messages import Asked, Reply
from app.problem_details import refused

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

HEAD = 65_536  # bytes of a request's line and headers
STEP = 2_048  # bytes that are read at once, where the next request may begin among them
GRACE = 0.5  # seconds for which a request may still come when the service stops
LINGER = 2.0  # seconds for which what a refused client still sends is thrown away
BROKEN = 400, "the request is not HTTP that can be read"
TOO_LONG = 431, f"the request's line and headers are longer than {HEAD:,} bytes"
FRAMING = b"content-length", b"transfer-encoding"


class Flow(FlowControl):
    """Takes no more from a client than can be answered; `full` is set while requests wait."""

    full = False

    def resume_reading(self) -> None:
        if not self.full:
            super().resume_reading()


class Protocol(HttpToolsProtocol):
    """A connection. One that is slow to begin a request, or to take an answer, is cut; a request
    behind another is read when that is answered."""

    patience = 10.0  # seconds for the headers of a request, once its first byte is there
    taking = 10.0  # seconds for a client to take what was answered
    room = 1_000  # connections of a worker
    stopping = False  # the service, and so all connections

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.flow = Flow(transport)
        self._held = b""  # what has come and is not parsed yet
        self._head: int | None = None  # bytes of headers so far; None while there are none to come
        self._left = 0  # bytes of a body that are still to come, if its length was told
        self._void = 0  # bytes since the last one of a body that comes in chunks
        self._under_way = 0  # requests that were read and are not answered
        self._running: RequestResponseCycle | None = None
        self._refusal: tuple[int, str] | None = None  # of what is no request; nothing follows it
        self._again = False  # whether the parser reads a head that it has read before
        self._deadline: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._await_head()
        if self.stopping:
            self.shutdown()
        if len(self.connections) > self.room:  # one that asks nothing makes room
            next((one for one in self.connections if one.idle()), self).transport.abort()

    def idle(self) -> bool:
        """Whether no request is under way."""
        return self._under_way == 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self.resume_writing()
        if self._running:  # uvicorn knows of the last that came only, which may wait behind it
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read as fast as it is answered."""
        super().pause_writing()
        self._stuck = self._stuck or self.loop.call_later(self.taking, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stuck:
            self._stuck.cancel()
            self._stuck = None

    def shutdown(self) -> None:
        """The service stops: what a client has sent by now may not have been read yet."""
        Protocol.stopping = True  # of those too who were let in and come to be known only now
        if self.idle():
            self.loop.call_later(GRACE, self._leave)
        else:
            super().shutdown()

    def _leave(self) -> None:
        if self.idle():
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():  # it would be closed once that was taken
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def data_received(self, data: bytes) -> None:
        if self._refusal:
            return
        if self._head is None and self.idle():
            self._await_head()
        self._held = self._held + data if self._held else data
        self._feed()

    def _feed(self) -> None:
        """Parses what is held, up to the first request that has to wait for another's answer."""
        held, at = self._held, 0
        while at < len(held) and not (
            self.pipeline or self._refusal or self.transport.is_closing()
        ):
            part = held[at : at + self._step()]
            at += len(part)
            self._parse(part)
        over = self._refusal or self.transport.is_closing()
        self._held = b"" if over else held[at:]
        was_full, self.flow.full = self.flow.full, bool(self._held)
        if self.flow.full:
            self.flow.pause_reading()
        elif was_full:
            self.flow.resume_reading()

    def _step(self) -> int:
        if self._head is not None:
            return min(STEP, HEAD - self._head)
        return self._left or STEP

    def _parse(self, part: bytes) -> None:
        self._unset_keepalive_if_required()
        self._void += len(part)
        try:
            self.parser.feed_data(part)
        except HttpParserUpgrade as other:
            self._stay(part[other.args[0] :])
        except HttpParserError:
            self._break(*BROKEN)
        if self._head is not None:
            self._head += len(part)
            if self._head >= HEAD:
                self._break(*TOO_LONG)
        elif self._void > HEAD and self.cycle and self.cycle.more_body:
            self._break(*BROKEN)  # a chunk's head, or what follows the last chunk, has no end

    def _stay(self, rest: bytes) -> None:
        """Goes on with HTTP/1.1 though the client offers another protocol: the parser took the body
        for that, so that it gets the head again, without the offer."""
        self.parser, self._again = HttpRequestParser(self), True
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        told = [name + b": " + value for name, value in self.headers if name in FRAMING]
        self.cycle.more_body = True
        try:
            self.parser.feed_data(b"\r\n".join([b"POST / HTTP/1.1", *told, b"", b""]))
        except HttpParserError:
            self._break(*BROKEN)
            return
        finally:
            self._again = False
        if rest:
            self._parse(rest)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        if not self._again:
            super().on_message_begin()
            if self._head is None:
                self._await_head()

    def on_url(self, url: bytes) -> None:
        if not self._again:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is not None and not self._again:  # none that comes after the body
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._again:
            return
        self._head_came()
        self._begin()
        if self.stopping:
            self.cycle.keep_alive = False
        self._under_way += 1
        self._left, self._void = int(dict(self.headers).get(b"content-length", 0)), 0

    def _begin(self) -> None:
        """A request, of which the body is still to come."""
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._left, self._void = max(0, self._left - len(body)), 0
        self._take(body)

    def _take(self, body: bytes) -> None:
        """A part of the body."""
        super().on_body(body)

    def on_response_complete(self) -> None:
        self._under_way -= 1
        super().on_response_complete()
        if self.transport.is_closing():
            self.loop.call_later(self.taking, self.transport.abort)  # if it is not taken by then
        elif self._refusal and self.idle():
            self._refuse()
        elif self._held and not self.pipeline:
            self._feed()

    def _break(self, status: int, sentence: str) -> None:
        """Nothing more is read; what was asked before is answered first."""
        self._head_came()
        self._refusal = status, sentence
        torn = self.cycle
        if torn and torn.more_body:
            if torn.response_started:
                self.transport.close()
                return
            self._under_way -= 1
            if self.pipeline and self.pipeline[0][0] is torn:
                self.pipeline.popleft()
            torn.disconnected, torn.waiting_for_100_continue = True, False
            torn.message_event.set()
        if self.idle():
            self._refuse()

    def _refuse(self) -> None:
        """As problem details, and without a word of the server's own."""
        self._send_last(predict.refuse(Asked("", "", "", {}, b""), refused(*self._refusal)))

    def _send_last(self, made: Reply | Exception) -> None:
        if isinstance(made, Exception) or self.transport.is_closing():
            self.transport.abort()
            return
        self._unset_keepalive_if_required()
        self.transport.write(response_headers.message(made, keep_alive=False))
        self.transport.write_eof()  # not closed: the client's next byte would take the answer back
        self.flow.full = False
        self.flow.resume_reading()
        self.loop.call_later(LINGER, self.transport.abort)

    def _await_head(self) -> None:
        self._head = 0
        self._deadline = self._deadline or self.loop.call_later(self.patience, self.transport.abort)

    def _head_came(self) -> None:
        self._head = None
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
