"""The headers of every answer: what it is, and what a browser may do with it."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus

from flask import Flask, Response, request

from app.messages import HttpResponse

RawHeaders = list[tuple[bytes, bytes]]

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
}
DATA_HEADERS = {"content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "cache-control": "no-store"}  # fmt: skip
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# each report has a stricter policy of its own, with its style and script inside
REPORT_CSP = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
CLOSE_HEADERS: RawHeaders = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"connection", b"close"),
]
_ENCODED_DATA_HEADERS: RawHeaders = [
    (one.encode(), value.encode()) for one, value in (SECURITY_HEADERS | DATA_HEADERS).items()
]
CLOSING_STATUSES = 408, 413  # what may still be on its way is not read


def encode_headers(response: HttpResponse) -> RawHeaders:
    """The headers of a reply, as the server wants them."""
    pairs = [
        (b"content-type", response.media_type.encode()),
        (b"content-length", str(len(response.body)).encode()),
        *_ENCODED_DATA_HEADERS,
        *((one.encode(), value.encode()) for one, value in response.headers),
    ]
    return [*pairs, (b"connection", b"close")] if response.status in CLOSING_STATUSES else pairs


def encode_message(response: HttpResponse, keep_alive: bool) -> bytes:
    """The reply as HTTP/1.1 has it, status line, headers and body."""
    more = "".join(f"{one}: {value}\r\n" for one, value in response.headers)
    if not keep_alive or response.status in CLOSING_STATUSES:
        more += "connection: close\r\n"
    size = len(response.body)
    head = (
        f"{_encode_head(response.status, response.media_type)}{more}content-length: {size}\r\n\r\n"
    )
    return head.encode() + response.body


@cache
def _encode_head(status: int, media_type: str) -> str:
    pairs = [("content-type", media_type), *(SECURITY_HEADERS | DATA_HEADERS).items()]
    told = "".join(f"{one}: {value}\r\n" for one, value in pairs)
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{told}"


def init_app(app: Flask) -> None:
    """Gives every answer of the Flask app its headers."""
    app.after_request(_add_headers)


def _add_headers(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers[name] = value
    if response.mimetype == "text/html":
        policy = REPORT_CSP if request.path.startswith("/reports/") else PAGE_CSP
        response.headers["content-security-policy"] = policy
    elif not request.path.startswith(("/static/", "/reports/")):
        response.headers.update(DATA_HEADERS)
    return response
