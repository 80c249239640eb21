"""The short way of a request for predictions: from the parser to its lane, and from there to the
connection, without a task and without ASGI's messages, which cost as much as the answer itself.

It is for the plain case, a short body of JSON of a known length; all else goes through the door.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app import response_headers
from app.messages import JSON_MEDIA_TYPE, HttpRequest, HttpResponse
from app.prediction_service import CODECS
from app.server import connection

SendReply = Callable[
    [HttpResponse | Exception, bool], None
]  # the answer, and whether the connection stays

MAX_SHORT_BODY_BYTES = (
    4_096  # bytes, some 20 rows: longer bodies go through the door, to a lane of their own
)
PATHS_BY_RAW_URL = {path.encode(): path for path in CODECS}


class Protocol(connection.Protocol):
    """A connection of which the plain requests go the short way."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_direct() and self.cycle.more_body and not self._read_timer:
            self._read_timer = self.loop.call_later(
                self.write_timeout_seconds, self._on_body_timeout
            )

    def on_message_complete(self) -> None:
        if self._is_direct() and self.cycle.more_body:
            self._stop_head_timer()
            self.cycle.more_body = False
            self.app.submit(self.cycle.request, self.cycle.on_reply)
        else:
            super().on_message_complete()

    def _start_request(self) -> None:
        if self.url in PATHS_BY_RAW_URL and self.is_idle() and not self.flow.write_paused:
            client = self.client[0] if self.client else ""
            request = self.parser.get_method() == b"POST" and parse_short_request(
                self.url, self.headers, client
            )
            if request:
                keep = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
                self.cycle = ShortRequestCycle(request, keep, self._send)
                return
        super()._start_request()

    def _receive_body(self, body: bytes) -> None:
        if self._is_direct():
            self.cycle.request.body += body
        else:
            super()._receive_body(body)

    def _is_direct(self) -> bool:
        return type(self.cycle) is ShortRequestCycle

    def _send(self, response: HttpResponse | Exception, keep_alive: bool) -> None:
        if isinstance(response, Exception):
            self.transport.abort()
            return
        self.transport.write(response_headers.encode_message(response, keep_alive))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _on_body_timeout(self) -> None:
        """The body has not come in time; the rest of it is thrown away."""
        self._rejection = 408, ""
        self.app.on_body_timeout(self.cycle.request, self._send_final_reply)


class ShortRequestCycle:
    """A request and its answer, in place of uvicorn's RequestResponseCycle: it has what the
    connection asks of that."""

    waiting_for_100_continue = response_started = False

    def __init__(self, request: HttpRequest, keep_alive: bool, send: SendReply) -> None:
        self.request, self.keep_alive, self.send = request, keep_alive, send
        self.disconnected = self.response_complete = False
        self.more_body = True
        self.message_event = self

    def set(self) -> None:
        """Nobody waits for its messages."""

    def on_reply(self, response: HttpResponse | Exception) -> None:
        """Sends the answer, if anybody is there to take it."""
        if not (self.disconnected or self.response_complete):
            self.response_complete = True
            self.send(response, self.keep_alive)


def parse_short_request(
    url: bytes, raw_headers: Iterable[tuple[bytes, bytes]], client: str
) -> HttpRequest | None:
    """The request with these headers, if it may go the short way; its body is still to come."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw_headers}
    length = headers.get("content-length", "")
    if not (0 < len(length) < 6 and length.isdigit() and int(length) < MAX_SHORT_BODY_BYTES):
        return None
    if "transfer-encoding" in headers or "expect" in headers or "upgrade" in headers:
        return None
    if headers.get("content-type") != JSON_MEDIA_TYPE or headers.get("accept", "*/*") not in (
        "*/*",
        JSON_MEDIA_TYPE,
    ):
        return None
    return HttpRequest("POST", PATHS_BY_RAW_URL[url], "", headers, b"", client)
