"""The ASGI application: read each request on the event loop, then have it answered.

POST requests for predictions go to the batchers, all others to the Flask app in threads. A body is
read before it takes any thread, up to a size and within a time, and a response is sent without
one: so neither slow senders nor slow readers keep other clients waiting.
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
from app.auth.api_keys import ApiKeyAuth
from app.codecs.tables import SANDBOXED_MEDIA_TYPES
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

MAX_BATCH_SIZE = 64  # short requests of one batch
LONG_REQUEST_THREADS = 2
MAX_QUEUED_REQUESTS = 2_048  # requests that may wait in a batcher; further ones get 503 at once
WSGI_THREADS = 8  # for all requests but those for predictions
MAX_DRAIN_BODY_RATIO = 4  # of a body that is too large, this many times the limit is discarded
MAX_LENGTH_DIGITS = 18  # of a Content-Length header

# these have an entry of their own, or offer another protocol, which is not accepted
EXCLUDED_ENVIRON_HEADERS = ("content-type", "content-length", "connection", "upgrade")
BODY_COMPLETE_KEY = "body_complete"  # in the scope of a request whose body was read to its end

logger = logging.getLogger(__name__)


class ClientDisconnectedError(Exception):
    """Raised if the client has disconnected before its request was read."""


class AsgiApp:
    """The ASGI application of one worker."""

    def __init__(self, flask_app: Flask) -> None:
        self.flask_app = flask_app
        self.service: PredictionService = flask_app.extensions["service"]
        self.api_key_auth: ApiKeyAuth = flask_app.extensions["api_key_auth"]
        self.max_body_bytes: int = flask_app.config["MAX_CONTENT_LENGTH"]
        self.body_timeout_seconds: float = flask_app.config["BODY_SECONDS"]
        self._batchers: tuple[InlineBatcher, ThreadBatcher] | None = None
        self._wsgi_executor = ThreadPoolExecutor(WSGI_THREADS, "wsgi")
        self._gauge_lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request_headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            if scope["method"] == "POST" and scope["path"] in CODECS:
                reply = await self._handle_prediction_request(scope, request_headers, receive)
                response = reply.status, response_headers.encode_headers(reply), reply.body
            else:
                response = await self._run_flask_app(scope, request_headers, receive)
            await self._send_response(scope, receive, send, response)
        except ClientDisconnectedError:
            return  # there is no client to answer; the server closes the connection

    async def _handle_prediction_request(
        self, scope: Scope, request_headers: dict[str, str], receive: Receive
    ) -> HttpResponse:
        query_string = scope["query_string"].decode("latin-1")
        request = HttpRequest(
            "POST", scope["path"], query_string, request_headers, b"", _client_address(scope)
        )
        try:
            request.api_key_name = self.api_key_auth.authenticate(request_headers)
            request.body = await self._read_body(scope, receive, request_headers)
        except RequestError as error:
            return await asyncio.to_thread(self.service.reject_request, request, error)
        future: asyncio.Future[HttpResponse | Exception]
        future = asyncio.get_running_loop().create_future()

        def on_reply(reply: HttpResponse | Exception) -> None:
            if not future.cancelled():
                future.set_result(reply)

        is_short = len(request.body) < MAX_SHORT_BODY_BYTES and not _is_slow(scope, request_headers)
        self._enqueue(request, on_reply, is_short)
        reply = await future
        if isinstance(reply, Exception):
            raise reply
        return reply

    def submit(self, request: HttpRequest, on_reply: ReplyCallback) -> None:
        """Answer a short request that the connection has read itself, with its body."""
        try:
            request.api_key_name = self.api_key_auth.authenticate(request.headers)
        except RequestError as error:
            self._reject(request, error, on_reply)
        else:
            self._enqueue(request, on_reply, is_short=True)

    def on_body_timeout(self, request: HttpRequest, on_reply: ReplyCallback) -> None:
        """Reject a short request whose body did not reach the connection in time."""
        self._reject(request, self._body_timeout_error(), on_reply)

    def _reject(self, request: HttpRequest, error: RequestError, on_reply: ReplyCallback) -> None:
        """Log and answer a rejected request in a thread, as the log may be slow."""

        def deliver(future: asyncio.Future[HttpResponse]) -> None:
            failure = future.exception()
            on_reply(failure if isinstance(failure, Exception) else future.result())

        asyncio.get_running_loop().run_in_executor(
            None, self.service.reject_request, request, error
        ).add_done_callback(deliver)

    def _enqueue(self, request: HttpRequest, on_reply: ReplyCallback, is_short: bool) -> None:
        inline_batcher, thread_batcher = self._batchers or self._create_batchers()
        batcher = inline_batcher if is_short else thread_batcher
        if len(batcher) < MAX_QUEUED_REQUESTS:
            batcher.submit(request, on_reply)
            self._update_queue_gauge()
        else:
            on_reply(self.service.shed_request(request))

    def _predict_batch(self, batch: list[HttpRequest]) -> list[HttpResponse]:
        self._update_queue_gauge()  # the requests of this batch have left the queue
        return self.service.predict_batch(batch)

    def _update_queue_gauge(self) -> None:
        with self._gauge_lock:  # else an older number might overwrite a newer one
            queued = sum(len(batcher) for batcher in self._batchers or ())
            self.service.metrics.set("housing_queue_requests", queued)

    def _create_batchers(self) -> tuple[InlineBatcher, ThreadBatcher]:
        """Create the batchers for short and for long requests; needs the running event loop."""
        loop = asyncio.get_running_loop()
        self._batchers = (
            InlineBatcher(self._predict_batch, loop, MAX_BATCH_SIZE),
            ThreadBatcher(self._predict_batch, loop, 1, LONG_REQUEST_THREADS, trim_heap),
        )
        return self._batchers

    async def _read_body(
        self, scope: Scope, receive: Receive, request_headers: dict[str, str]
    ) -> bytes:
        """Return the complete body.

        Raises RequestError if it is too large or too slow, ClientDisconnectedError if the client
        leaves before its end.
        """
        length = request_headers.get("content-length", "0")
        if len(length) > MAX_LENGTH_DIGITS or int(length) > self.max_body_bytes:
            raise self._body_too_large_error()
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.body_timeout_seconds):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise ClientDisconnectedError
                    chunks.append(message["body"])
                    size += len(message["body"])
                    if size > self.max_body_bytes:
                        raise self._body_too_large_error()
                    if not message.get("more_body"):
                        scope[BODY_COMPLETE_KEY] = True
                        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except TimeoutError:
            raise self._body_timeout_error() from None

    def _body_timeout_error(self) -> RequestError:
        return request_error(
            408, f"the body did not arrive within {self.body_timeout_seconds:g} seconds"
        )

    def _body_too_large_error(self) -> RequestError:
        return request_error(
            413,
            f"the body is larger than {self.max_body_bytes:,} bytes; "
            "send the rows in several requests",
        )

    async def _run_flask_app(
        self, scope: Scope, request_headers: dict[str, str], receive: Receive
    ) -> RawResponse:
        """Return the complete response of the Flask app, which runs in a thread."""
        try:
            body = await self._read_body(scope, receive, request_headers)
        except RequestError as error:
            message = str(error).encode()
            length = b"content-length", str(len(message)).encode()
            return error.status, [*response_headers.CLOSE_HEADERS, length], message
        environ = _wsgi_environ(scope, request_headers, body)
        content, status, headers = await asyncio.get_running_loop().run_in_executor(
            self._wsgi_executor, run_wsgi_app, self.flask_app, environ, True
        )
        pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        return int(status[:3]), pairs, b"".join(content)

    async def _send_response(
        self, scope: Scope, receive: Receive, send: Send, response: RawResponse
    ) -> None:
        """Send the response. The connection disconnects a client that does not read it."""
        status, pairs, body = response
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        if status in response_headers.CLOSING_STATUSES and not scope.get(BODY_COMPLETE_KEY):
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await self._drain_body(receive)
            body = b""
        await send({"type": "http.response.body", "body": body})

    async def _drain_body(self, receive: Receive) -> None:
        """Discard what a rejected client still sends, up to a size and for a time.

        If the connection were closed at once, the client's next byte would reset it, and the
        response would be lost.
        """
        remaining_bytes = MAX_DRAIN_BODY_RATIO * self.max_body_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while remaining_bytes > 0:
                    message = await receive()
                    remaining_bytes -= len(message.get("body", b""))
                    if not message.get("more_body"):
                        return


def _is_slow(scope: Scope, request_headers: dict[str, str]) -> bool:
    """Return whether a request may take long to answer, however short its body is."""
    content_type = request_headers.get("content-type", "").lower()
    return b"explain" in scope["query_string"] or content_type.startswith(SANDBOXED_MEDIA_TYPES)


def _client_address(scope: Scope) -> str:
    return scope["client"][0] if scope["client"] else ""


def _wsgi_environ(scope: Scope, request_headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """Return the WSGI environment of a request (PEP 3333)."""
    host, port = scope["server"] or ("localhost", None)
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": _client_address(scope),
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
