"""The headers of every response: its type and length, and what a browser may do with it."""

from __future__ import annotations

from flask import Flask, Response, request

from app.messages import HttpResponse

RawHeaders = list[tuple[bytes, bytes]]

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
}
DATA_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# each report carries a stricter policy of its own in its HTML, with its style and script inline
REPORT_CSP = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
CLOSE_HEADER = b"connection", b"close"
_ENCODED_DATA_HEADERS: RawHeaders = [
    (name.encode(), value.encode()) for name, value in (SECURITY_HEADERS | DATA_HEADERS).items()
]
CLOSING_STATUSES = 408, 413  # the rest of the request's body is not read


def encode_headers(response: HttpResponse) -> RawHeaders:
    """Return the headers of a response as pairs of bytes, as ASGI takes them."""
    return [
        (b"content-type", response.media_type.encode()),
        (b"content-length", b"%d" % len(response.body)),
        *_ENCODED_DATA_HEADERS,
        *((name.encode(), value.encode()) for name, value in response.headers),
    ]


def init_app(app: Flask) -> None:
    """Add the headers to every response of the Flask app."""
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
