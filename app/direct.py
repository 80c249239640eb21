"""The short way of a request for predictions: from the parser to its lane, and from there to the
connection, without a task and without ASGI's messages, which cost as much as the answer itself.

It is for the plain case, a short body of JSON of a known length; all else goes through the door.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from app import headers
from app.asked import JSON, Asked, Reply
from app.service import PROTOCOLS

SHORT = 16_384  # bytes: longer bodies go through the door, to the lane of the long ones
PATHS = {path.encode(): path for path in PROTOCOLS}


class Cycle:
    """A request and its answer, in place of uvicorn's RequestResponseCycle: it has what uvicorn's
    connection asks of that."""

    waiting_for_100_continue = False

    def __init__(
        self, asked: Asked, transport: asyncio.Transport, keep_alive: bool, left: Callable[[], None]
    ) -> None:
        """left: called once the answer has left."""
        self.asked, self.transport, self.keep_alive, self.left = asked, transport, keep_alive, left
        self.disconnected = self.response_complete = False
        self.more_body = True
        self.message_event = self

    def set(self) -> None:
        """Nobody waits for its messages."""

    def done(self, made: Reply | Exception) -> None:
        """Sends the answer, if it has not been sent."""
        if self.disconnected or self.response_complete:
            return
        self.response_complete = True
        if isinstance(made, Exception):
            self.transport.abort()
            return
        self.keep_alive = self.keep_alive and made.status not in headers.CLOSED
        self.transport.write(headers.message(made, self.keep_alive))
        if not self.keep_alive:
            self.transport.close()
        self.left()


def asked(path: str, told: Iterable[tuple[bytes, bytes]], client: str) -> Asked | None:
    """The request with these headers, if it may go the short way; its body is still to come."""
    known = {one.decode("latin-1"): value.decode("latin-1") for one, value in told}
    length = known.get("content-length", "")
    if not (0 < len(length) < 6 and length.isdigit() and int(length) < SHORT):
        return None
    if "transfer-encoding" in known or "expect" in known or "upgrade" in known:
        return None
    if known.get("content-type") != JSON or known.get("accept", "*/*") not in ("*/*", JSON):
        return None
    return Asked("POST", path, "", known, b"", client)
