"""What the server calls: reads each request on the event loop, then hands it to who answers it.

Requests for predictions go to the lanes, all others to the Flask app in threads. A body is read
before any thread is taken, up to a size and a time, and an answer leaves without one: so neither
slow senders nor slow readers keep others waiting.
"""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Flask
from werkzeug.test import run_wsgi_app

from app import response_headers
from app.codecs.tables import PARQUET
from app.messages import Asked, Reply
from app.prediction_service import PROTOCOLS, Service
from app.problem_details import Refused, refused
from app.server.batcher import Done, Lane, Quick
from app.server.connection import LINGER
from app.server.direct import SHORT
from app.server.memory import give_back

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer = tuple[int, response_headers.Pairs, bytes]

TOGETHER = 64  # requests of one group
LONG_THREADS = 2
WAITING = 2_048  # requests that may wait in a lane; the next ones are refused at once
PAGES = 8  # threads for everything else
DRAINED = 4  # times the largest body: what is thrown away of one that is too large

# told apart, or an offer of another protocol, which is not taken up
APART = ("content-type", "content-length", "connection", "upgrade")
WHOLE = "whole"  # in the scope of a request whose body was read to its end

logger = logging.getLogger(__name__)


class Gone(Exception):
    """Raised if the client has left before its request was read."""


class Door:
    """The ASGI application of one worker."""

    def __init__(self, flask: Flask) -> None:
        self.flask = flask
        self.service: Service = flask.extensions["service"]
        self.guard = flask.extensions["guard"]
        self.largest: int = flask.config["MAX_CONTENT_LENGTH"]
        self.patience: float = flask.config["BODY_SECONDS"]
        self._lanes: tuple[Quick, Lane] | None = None
        self._pages = ThreadPoolExecutor(PAGES, "page")
        self._telling = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        told = {one.decode("latin-1"): value.decode("latin-1") for one, value in scope["headers"]}
        try:
            if scope["method"] == "POST" and scope["path"] in PROTOCOLS:
                reply = await self._predict(scope, told, receive)
                answer = reply.status, response_headers.encoded(reply), reply.body
            else:
                answer = await self._page(scope, told, receive)
            await self._send(scope, receive, send, answer)
        except Gone:
            return  # nobody is there to be answered; the server closes the connection

    async def _predict(self, scope: Scope, told: dict[str, str], receive: Receive) -> Reply:
        client = scope["client"]
        query = scope["query_string"].decode("latin-1")
        asked = Asked("POST", scope["path"], query, told, b"", client[0] if client else "")
        try:
            asked.caller = self.guard.admit(told)
            asked.body = await self._body(scope, receive, told)
        except Refused as why:
            return await asyncio.to_thread(self.service.refuse, asked, why)
        made: asyncio.Future[Reply | Exception] = asyncio.get_running_loop().create_future()
        short = len(asked.body) < SHORT and not _is_slow(scope, told)
        self._put(asked, lambda one: made.cancelled() or made.set_result(one), short)
        reply = await made
        if isinstance(reply, Exception):
            raise reply
        return reply

    def take(self, asked: Asked, done: Done) -> None:
        """A request that came the short way, its body whole."""
        try:
            asked.caller = self.guard.admit(asked.headers)
        except Refused as why:
            self._refuse(asked, why, done)
        else:
            self._put(asked, done, short=True)

    def late(self, asked: Asked, done: Done) -> None:
        """A request that came the short way, and its body has not come in time."""
        self._refuse(asked, self._too_late(), done)

    def _refuse(self, asked: Asked, why: Refused, done: Done) -> None:
        made = asyncio.get_running_loop().run_in_executor(None, self.service.refuse, asked, why)
        made.add_done_callback(lambda it: done(it.exception() or it.result()))

    def _put(self, asked: Asked, done: Done, short: bool) -> None:
        quick, long = self._lanes or self._open()
        lane = quick if short else long
        if len(lane) < WAITING:
            lane.put(asked, done)
            self._tell()
        else:
            done(self.service.shed(asked))

    def _answer(self, group: list[Asked]) -> list[Reply]:
        self._tell()  # these wait no more
        return self.service.answer(group)

    def _tell(self) -> None:
        with self._telling:  # else an older number might be told after a newer one
            self.service.metrics.set("housing_queue_requests", sum(map(len, self._lanes)))

    def _open(self) -> tuple[Quick, Lane]:
        loop, answer = asyncio.get_running_loop(), self._answer
        self._lanes = Quick(answer, loop, TOGETHER), Lane(answer, loop, 1, LONG_THREADS, give_back)
        return self._lanes

    async def _body(self, scope: Scope, receive: Receive, told: dict[str, str]) -> bytes:
        """The whole body. Raises Refused if it is too large or slow, Gone if nobody sends it."""
        length = told.get("content-length", "0")
        if len(length) > 18 or int(length) > self.largest:
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.patience):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise Gone
                    parts.append(message["body"])
                    size += len(message["body"])
                    if size > self.largest:
                        raise self._too_large()
                    if not message.get("more_body"):
                        scope[WHOLE] = True
                        return parts[0] if len(parts) == 1 else b"".join(parts)
        except TimeoutError:
            raise self._too_late() from None

    def _too_late(self) -> Refused:
        return refused(408, f"the body did not come within {self.patience:g} seconds")

    def _too_large(self) -> Refused:
        sentence = (
            f"the body is larger than {self.largest:,} bytes; send the rows in several requests"
        )
        return refused(413, sentence)

    async def _page(self, scope: Scope, told: dict[str, str], receive: Receive) -> Answer:
        """What the Flask app answers, whole."""
        try:
            body = await self._body(scope, receive, told)
        except Refused as why:
            said = str(why).encode()
            pairs = [*response_headers.CLOSING, (b"content-length", str(len(said)).encode())]
            return why.status, pairs, said
        environ = _environ(scope, told, body)
        loop = asyncio.get_running_loop()
        content, status, given = await loop.run_in_executor(
            self._pages, run_wsgi_app, self.flask, environ, True
        )
        pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in given]
        return int(status[:3]), pairs, b"".join(content)

    async def _send(self, scope: Scope, receive: Receive, send: Send, answer: Answer) -> None:
        """Answers. A client that does not take it is cut by the connection."""
        status, pairs, body = answer
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        if status in response_headers.CLOSED and not scope.get(WHOLE):
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await self._drain(receive)
            body = b""
        await send({"type": "http.response.body", "body": body})

    async def _drain(self, receive: Receive) -> None:
        """Throws away what a refused client still sends: if the connection was closed before, the
        next byte would take the answer back from the client."""
        left = DRAINED * self.largest
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body"):
                        return


def _is_slow(scope: Scope, told: dict[str, str]) -> bool:
    """Whether a request may take long however short it is."""
    return b"explain" in scope["query_string"] or PARQUET in told.get("content-type", "").lower()


def _environ(scope: Scope, told: dict[str, str], body: bytes) -> dict[str, Any]:
    """The WSGI environment of a request (PEP 3333)."""
    host, port = scope["server"] or ("localhost", None)
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": scope["client"][0] if scope["client"] else "",
        "CONTENT_TYPE": told.get("content-type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in told.items():
        if name not in APART:
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    return environ
