"""The ASGI application: read each request on the event loop, then have it answered.

POST requests for predictions go to the batchers, all others to the Flask app in threads. A body is
read before it takes any thread, up to a size and within a time, and a response is sent without
one: so neither slow senders nor slow readers keep other clients waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from a2wsgi import WSGIMiddleware
from flask import Flask

from app import cors, forwarding, response_headers
from app.auth.api_keys import ApiKeyAuth
from app.codecs import content_encoding
from app.codecs.tables import SANDBOXED_MEDIA_TYPES
from app.messages import HttpRequest, HttpResponse
from app.prediction_service import CODECS, PredictionService
from app.problem_details import RequestError, body_too_large_error, request_error
from app.server import scopes
from app.server.batcher import InlineBatcher, ThreadBatcher
from app.server.connection import LINGER_SECONDS, Connection, ConnectionLimits, ConnectionPool
from app.server.memory import trim_heap

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_SHORT_BODY_BYTES = 4_096  # some 20 rows; longer bodies have batchers of their own
MAX_BATCH_SIZE = 64  # short requests of one batch
LONG_REQUEST_THREADS = 2
MAX_QUEUED_REQUESTS = 2_048  # requests that may wait in a batcher; further ones get 503 at once
WSGI_THREADS = 8  # for all requests but those for predictions
MAX_DRAIN_BODY_RATIO = 4  # of a body that is too large, this many times the limit is discarded
MAX_LENGTH_DIGITS = 18  # of a Content-Length header
QUEUE_GAUGE_SECONDS = 0.25  # between two updates; at each request it would cost 2 us

logger = logging.getLogger(__name__)


class ClientDisconnectedError(Exception):
    """Raised if the client has disconnected before its request was read."""


class AsgiApp:
    """The ASGI application of one worker."""

    def __init__(self, flask_app: Flask, max_connections: int) -> None:
        config = flask_app.config
        self.service: PredictionService = flask_app.extensions["service"]
        self.api_key_auth: ApiKeyAuth = flask_app.extensions["api_key_auth"]
        self.cors_policy: cors.CorsPolicy | None = flask_app.extensions["cors"]
        self.proxies = forwarding.proxy_settings(config)
        self.max_body_bytes: int = config["MAX_CONTENT_LENGTH"]
        self.body_timeout_seconds: float = config["BODY_SECONDS"]
        self.pool = ConnectionPool(
            ConnectionLimits(max_connections, config["HEADER_SECONDS"], config["BODY_SECONDS"])
        )
        # an unbounded queue: a thread never waits for a client to read its response
        wsgi_app: Any = flask_app
        self._wsgi_app: Any = WSGIMiddleware(wsgi_app, workers=WSGI_THREADS, send_queue_size=0)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._run_lifespan(scope, receive, send)
            return
        connection: Connection = scope["state"]["connection"]
        connection.open_request(scope)
        try:
            await self._answer(scope, receive, send, connection)
        except ClientDisconnectedError:
            pass  # there is no client to answer; the server closes the connection
        except Exception:
            logger.exception("a request failed")
            raise
        finally:
            connection.close_request(scope)

    async def _run_lifespan(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        scope["state"]["pool"] = self.pool
        handle_batch = self.service.predict_batch
        self._short_batcher = InlineBatcher(handle_batch, MAX_BATCH_SIZE)
        self._long_batcher = ThreadBatcher(handle_batch, 1, LONG_REQUEST_THREADS, trim_heap)
        self.pool.start()
        self._update_queue_gauge()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(
        self, scope: Message, receive: Receive, send: Send, connection: Connection
    ) -> None:
        scope, request = scopes.read_request(scope, self.proxies)
        headers = request.headers
        is_prediction = request.path in CODECS and request.method == "POST"
        try:
            if is_prediction:
                request.api_key_name = self.api_key_auth.authenticate(headers)
            request.body = await self._read_body(headers, receive, connection)
        except RequestError as error:
            await self._run_flask_app(scope, receive, send, request, error)
            return
        if not is_prediction:
            await self._run_flask_app(scope, receive, send, request)
            return
        response = await self._predict(request)
        if self.cors_policy:
            response.headers += cors.response_headers(self.cors_policy, headers.get("origin", ""))
        pairs = response_headers.encode_headers(response)
        if self.pool.is_stopping:
            pairs.append(response_headers.CLOSE_HEADER)
        await send({"type": "http.response.start", "status": response.status, "headers": pairs})
        await send({"type": "http.response.body", "body": response.body})

    async def _predict(self, request: HttpRequest) -> HttpResponse:
        is_short = (
            len(request.body) < MAX_SHORT_BODY_BYTES
            and not _is_slow(request)
            and content_encoding.try_decode_body(request, MAX_SHORT_BODY_BYTES)
        )
        batcher = self._short_batcher if is_short else self._long_batcher
        if len(batcher) >= MAX_QUEUED_REQUESTS:
            return self.service.shed_request(request)
        return await batcher.submit(request)

    def _update_queue_gauge(self) -> None:
        queued = len(self._short_batcher) + len(self._long_batcher)
        self.service.metrics.set("housing_queue_requests", queued)
        asyncio.get_running_loop().call_later(QUEUE_GAUGE_SECONDS, self._update_queue_gauge)

    async def _read_body(
        self, headers: Mapping[str, str], receive: Receive, connection: Connection
    ) -> bytes:
        """Return the complete body.

        Raises RequestError if it is too large or too slow, ClientDisconnectedError if the client
        leaves before its end.
        """
        length = headers.get("content-length", "0")
        if len(length) > MAX_LENGTH_DIGITS or int(length) > self.max_body_bytes:
            raise body_too_large_error(self.max_body_bytes)
        chunks: list[bytes] = []
        size = 0
        connection.start_body_timer()
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnectedError
                connection.receive_body(message["more_body"])
                chunks.append(message["body"])
                size += len(message["body"])
                if size > self.max_body_bytes:
                    raise body_too_large_error(self.max_body_bytes)
                if not message["more_body"]:
                    return b"".join(chunks)
        except asyncio.CancelledError:
            if not connection.stop_body_timer():
                raise  # the worker has to end
            seconds = f"{self.body_timeout_seconds:g} seconds"
            raise request_error(408, f"the body did not arrive within {seconds}") from None
        finally:
            connection.stop_body_timer()

    async def _run_flask_app(
        self,
        scope: Message,
        receive: Receive,
        send: Send,
        request: HttpRequest,
        error: RequestError | None = None,
    ) -> None:
        """Let the Flask app answer; error: why it is to refuse the request, which was not read."""

        async def receive_body() -> Message:
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def send_response(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                if self.pool.is_stopping or status in response_headers.CLOSING_STATUSES:
                    message["headers"].append(response_headers.CLOSE_HEADER)
            elif error and not message.get("more_body"):
                await self._drain_body(receive, scope["state"]["connection"])
            await send(message)

        state = scope["state"] | {"request": request, "error": error}
        await self._wsgi_app({**scope, "state": state}, receive_body, send_response)

    async def _drain_body(self, receive: Receive, connection: Connection) -> None:
        """Discard what a rejected client still sends, up to a size and for a time.

        If the connection were closed at once, the client's next byte would reset it, and the
        response would be lost.
        """
        remaining_bytes = MAX_DRAIN_BODY_RATIO * self.max_body_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while remaining_bytes > 0:
                    message = await receive()
                    more_body = message.get("more_body", False)
                    connection.receive_body(more_body)
                    if not more_body:
                        return
                    remaining_bytes -= len(message["body"])
        connection.abort()  # what follows is still the body


def _is_slow(request: HttpRequest) -> bool:
    """Return whether a request may take long to answer, however short its body is."""
    content_type = request.headers.get("content-type", "").lower()
    return "explain" in request.query_string or content_type.startswith(SANDBOXED_MEDIA_TYPES)
