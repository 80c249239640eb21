"""The short way of a request for predictions: from the parser to its lane, and from there to the
connection, without a task and without ASGI's messages, which cost as much as the answer itself.

It is for the plain case, a short body of JSON of a known length; all else goes through the door.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app import response_headers
from app.messages import JSON, Asked, Reply
from app.prediction_service import PROTOCOLS
from app.server import connection

Send = Callable[[Reply | Exception, bool], None]  # the answer, and whether the connection stays

SHORT = 4_096  # bytes, some 20 rows: longer bodies go through the door, to a lane of their own
PATHS = {path.encode(): path for path in PROTOCOLS}


class Protocol(connection.Protocol):
    """A connection of which the plain requests go the short way."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_direct() and self.cycle.more_body and not self._deadline:
            self._deadline = self.loop.call_later(self.taking, self._late)

    def on_message_complete(self) -> None:
        if self._is_direct() and self.cycle.more_body:
            self._head_came()
            self.cycle.more_body = False
            self.app.take(self.cycle.asked, self.cycle.done)
        else:
            super().on_message_complete()

    def _begin(self) -> None:
        if self.url in PATHS and self.idle() and not self.flow.write_paused:
            client = self.client[0] if self.client else ""
            found = self.parser.get_method() == b"POST" and asked(self.url, self.headers, client)
            if found:
                keep = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
                self.cycle = Cycle(found, keep, self._send)
                return
        super()._begin()

    def _take(self, body: bytes) -> None:
        if self._is_direct():
            self.cycle.asked.body += body
        else:
            super()._take(body)

    def _is_direct(self) -> bool:
        return type(self.cycle) is Cycle

    def _send(self, made: Reply | Exception, keep_alive: bool) -> None:
        if isinstance(made, Exception):
            self.transport.abort()
            return
        self.transport.write(response_headers.message(made, keep_alive))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _late(self) -> None:
        """The body has not come in time; the rest of it is thrown away."""
        self._refusal = 408, ""
        self.app.late(self.cycle.asked, self._send_last)


class Cycle:
    """A request and its answer, in place of uvicorn's RequestResponseCycle: it has what the
    connection asks of that."""

    waiting_for_100_continue = response_started = False

    def __init__(self, asked: Asked, keep_alive: bool, send: Send) -> None:
        self.asked, self.keep_alive, self.send = asked, keep_alive, send
        self.disconnected = self.response_complete = False
        self.more_body = True
        self.message_event = self

    def set(self) -> None:
        """Nobody waits for its messages."""

    def done(self, made: Reply | Exception) -> None:
        """Sends the answer, if anybody is there to take it."""
        if not (self.disconnected or self.response_complete):
            self.response_complete = True
            self.send(made, self.keep_alive)


def asked(url: bytes, told: Iterable[tuple[bytes, bytes]], client: str) -> Asked | None:
    """The request with these headers, if it may go the short way; its body is still to come."""
    known = {one.decode("latin-1"): value.decode("latin-1") for one, value in told}
    length = known.get("content-length", "")
    if not (0 < len(length) < 6 and length.isdigit() and int(length) < SHORT):
        return None
    if "transfer-encoding" in known or "expect" in known or "upgrade" in known:
        return None
    if known.get("content-type") != JSON or known.get("accept", "*/*") not in ("*/*", JSON):
        return None
    return Asked("POST", PATHS[url], "", known, b"", client)
