"""The headers of every answer: what it is, and what a browser may do with it."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus

from flask import Flask, Response, request

from app.messages import Reply

Pairs = list[tuple[bytes, bytes]]

SAFE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
}
DATA = {"content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "cache-control": "no-store"}  # fmt: skip
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# each report has a stricter policy of its own, with its style and script inside
REPORT = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
CLOSING: Pairs = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
_EVERY: Pairs = [(one.encode(), value.encode()) for one, value in (SAFE | DATA).items()]
CLOSED = 408, 413  # what may still be on its way is not read


def encoded(reply: Reply) -> Pairs:
    """The headers of a reply, as the server wants them."""
    pairs = [
        (b"content-type", reply.type.encode()),
        (b"content-length", str(len(reply.body)).encode()),
        *_EVERY,
        *((one.encode(), value.encode()) for one, value in reply.headers),
    ]
    return [*pairs, (b"connection", b"close")] if reply.status in CLOSED else pairs


def message(reply: Reply, keep_alive: bool) -> bytes:
    """The reply as HTTP/1.1 has it, status line, headers and body."""
    more = "".join(f"{one}: {value}\r\n" for one, value in reply.headers)
    if not keep_alive or reply.status in CLOSED:
        more += "connection: close\r\n"
    size = len(reply.body)
    head = f"{_beginning(reply.status, reply.type)}{more}content-length: {size}\r\n\r\n"
    return head.encode() + reply.body


@cache
def _beginning(status: int, kind: str) -> str:
    pairs = [("content-type", kind), *(SAFE | DATA).items()]
    told = "".join(f"{one}: {value}\r\n" for one, value in pairs)
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{told}"


def init_app(app: Flask) -> None:
    """Gives every answer of the Flask app its headers."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    for name, value in SAFE.items():
        response.headers[name] = value
    if response.mimetype == "text/html":
        policy = REPORT if request.path.startswith("/reports/") else PAGE
        response.headers["content-security-policy"] = policy
    elif not request.path.startswith(("/static/", "/reports/")):
        response.headers.update(DATA)
    return response
