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
from app.codecs.tables import PARQUET_MEDIA_TYPE
from app.messages import HttpRequest, HttpResponse
from app.prediction_service import CODECS, PredictionService
from app.problem_details import RequestError, request_error
from app.server.batcher import InlineBatcher, ReplyCallback, ThreadBatcher
from app.server.connection import LINGER_SECONDS
from app.server.direct import MAX_SHORT_BODY_BYTES
from app.server.memory import trim_heap

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
RawResponse = tuple[int, response_headers.RawHeaders, bytes]

MAX_BATCH_SIZE = 64  # requests of one group
LONG_REQUEST_THREADS = 2
MAX_QUEUED_REQUESTS = 2_048  # requests that may wait in a lane; the next ones are refused at once
WSGI_THREADS = 8  # threads for everything else
MAX_DRAIN_BODY_RATIO = 4  # times the largest body: what is thrown away of one that is too large

# told apart, or an offer of another protocol, which is not taken up
EXCLUDED_ENVIRON_HEADERS = ("content-type", "content-length", "connection", "upgrade")
BODY_COMPLETE_KEY = "whole"  # in the scope of a request whose body was read to its end

logger = logging.getLogger(__name__)


class ClientDisconnectedError(Exception):
    """Raised if the client has left before its request was read."""


class AsgiApp:
    """The ASGI application of one worker."""

    def __init__(self, flask_app: Flask) -> None:
        self.flask_app = flask_app
        self.service: PredictionService = flask_app.extensions["service"]
        self.api_key_auth = flask_app.extensions["guard"]
        self.max_body_bytes: int = flask_app.config["MAX_CONTENT_LENGTH"]
        self.body_timeout_seconds: float = flask_app.config["BODY_SECONDS"]
        self._batchers: tuple[InlineBatcher, ThreadBatcher] | None = None
        self._wsgi_executor = ThreadPoolExecutor(WSGI_THREADS, "page")
        self._gauge_lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        told = {one.decode("latin-1"): value.decode("latin-1") for one, value in scope["headers"]}
        try:
            if scope["method"] == "POST" and scope["path"] in CODECS:
                reply = await self._handle_prediction_request(scope, told, receive)
                answer = reply.status, response_headers.encode_headers(reply), reply.body
            else:
                answer = await self._run_flask_app(scope, told, receive)
            await self._send_response(scope, receive, send, answer)
        except ClientDisconnectedError:
            return  # nobody is there to be answered; the server closes the connection

    async def _handle_prediction_request(
        self, scope: Scope, request_headers: dict[str, str], receive: Receive
    ) -> HttpResponse:
        client = scope["client"]
        query = scope["query_string"].decode("latin-1")
        asked = HttpRequest(
            "POST", scope["path"], query, request_headers, b"", client[0] if client else ""
        )
        try:
            asked.api_key_name = self.api_key_auth.authenticate(request_headers)
            asked.body = await self._read_body(scope, receive, request_headers)
        except RequestError as why:
            return await asyncio.to_thread(self.service.reject_request, asked, why)
        made: asyncio.Future[HttpResponse | Exception] = asyncio.get_running_loop().create_future()
        short = len(asked.body) < MAX_SHORT_BODY_BYTES and not _is_slow(scope, request_headers)
        self._enqueue(asked, lambda one: made.cancelled() or made.set_result(one), short)
        reply = await made
        if isinstance(reply, Exception):
            raise reply
        return reply

    def submit(self, request: HttpRequest, on_reply: ReplyCallback) -> None:
        """A request that came the short way, its body whole."""
        try:
            request.api_key_name = self.api_key_auth.authenticate(request.headers)
        except RequestError as why:
            self._reject(request, why, on_reply)
        else:
            self._enqueue(request, on_reply, is_short=True)

    def on_body_timeout(self, request: HttpRequest, on_reply: ReplyCallback) -> None:
        """A request that came the short way, and its body has not come in time."""
        self._reject(request, self._body_timeout_error(), on_reply)

    def _reject(self, request: HttpRequest, error: RequestError, on_reply: ReplyCallback) -> None:
        made = asyncio.get_running_loop().run_in_executor(
            None, self.service.reject_request, request, error
        )
        made.add_done_callback(lambda it: on_reply(it.exception() or it.result()))

    def _enqueue(self, request: HttpRequest, on_reply: ReplyCallback, is_short: bool) -> None:
        quick, long = self._batchers or self._create_batchers()
        lane = quick if is_short else long
        if len(lane) < MAX_QUEUED_REQUESTS:
            lane.submit(request, on_reply)
            self._update_queue_gauge()
        else:
            on_reply(self.service.shed_request(request))

    def _predict_batch(self, batch: list[HttpRequest]) -> list[HttpResponse]:
        self._update_queue_gauge()  # these wait no more
        return self.service.predict_batch(batch)

    def _update_queue_gauge(self) -> None:
        with self._gauge_lock:  # else an older number might be told after a newer one
            self.service.metrics.set("housing_queue_requests", sum(map(len, self._batchers)))

    def _create_batchers(self) -> tuple[InlineBatcher, ThreadBatcher]:
        loop, answer = asyncio.get_running_loop(), self._predict_batch
        self._batchers = (
            InlineBatcher(answer, loop, MAX_BATCH_SIZE),
            ThreadBatcher(answer, loop, 1, LONG_REQUEST_THREADS, trim_heap),
        )
        return self._batchers

    async def _read_body(
        self, scope: Scope, receive: Receive, request_headers: dict[str, str]
    ) -> bytes:
        """The whole body. Raises Refused if it is too large or slow, Gone if nobody sends it."""
        length = request_headers.get("content-length", "0")
        if len(length) > 18 or int(length) > self.max_body_bytes:
            raise self._body_too_large_error()
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.body_timeout_seconds):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise ClientDisconnectedError
                    parts.append(message["body"])
                    size += len(message["body"])
                    if size > self.max_body_bytes:
                        raise self._body_too_large_error()
                    if not message.get("more_body"):
                        scope[BODY_COMPLETE_KEY] = True
                        return parts[0] if len(parts) == 1 else b"".join(parts)
        except TimeoutError:
            raise self._body_timeout_error() from None

    def _body_timeout_error(self) -> RequestError:
        return request_error(
            408, f"the body did not come within {self.body_timeout_seconds:g} seconds"
        )

    def _body_too_large_error(self) -> RequestError:
        sentence = f"the body is larger than {self.max_body_bytes:,} bytes; send the rows in several requests"
        return request_error(413, sentence)

    async def _run_flask_app(
        self, scope: Scope, request_headers: dict[str, str], receive: Receive
    ) -> RawResponse:
        """What the Flask app answers, whole."""
        try:
            body = await self._read_body(scope, receive, request_headers)
        except RequestError as why:
            said = str(why).encode()
            pairs = [*response_headers.CLOSE_HEADERS, (b"content-length", str(len(said)).encode())]
            return why.status, pairs, said
        environ = _wsgi_environ(scope, request_headers, body)
        loop = asyncio.get_running_loop()
        content, status, given = await loop.run_in_executor(
            self._wsgi_executor, run_wsgi_app, self.flask_app, environ, True
        )
        pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in given]
        return int(status[:3]), pairs, b"".join(content)

    async def _send_response(
        self, scope: Scope, receive: Receive, send: Send, response: RawResponse
    ) -> None:
        """Answers. A client that does not take it is cut by the connection."""
        status, pairs, body = response
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        if status in response_headers.CLOSING_STATUSES and not scope.get(BODY_COMPLETE_KEY):
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await self._drain_body(receive)
            body = b""
        await send({"type": "http.response.body", "body": body})

    async def _drain_body(self, receive: Receive) -> None:
        """Throws away what a refused client still sends: if the connection was closed before, the
        next byte would take the answer back from the client."""
        left = MAX_DRAIN_BODY_RATIO * self.max_body_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body"):
                        return


def _is_slow(scope: Scope, request_headers: dict[str, str]) -> bool:
    """Whether a request may take long however short it is."""
    return (
        b"explain" in scope["query_string"]
        or PARQUET_MEDIA_TYPE in request_headers.get("content-type", "").lower()
    )


def _wsgi_environ(scope: Scope, request_headers: dict[str, str], body: bytes) -> dict[str, Any]:
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
        "CONTENT_TYPE": request_headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in request_headers.items():
        if name not in EXCLUDED_ENVIRON_HEADERS:
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    return environ
