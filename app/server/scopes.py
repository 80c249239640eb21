"""Requests from ASGI's scopes."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from app.messages import HttpRequest

Scope = MutableMapping[str, Any]


def read_request(scope: Scope) -> HttpRequest:
    """Return the request of a scope, without its body."""
    return HttpRequest(
        scope["method"],
        "/" + scope["path"].lstrip("/"),  # as Flask has it
        scope["query_string"].decode("latin-1"),
        _decode_headers(scope),
        b"",
        scope["client"][0] if scope["client"] else "",
    )


def _decode_headers(scope: Scope) -> dict[str, str]:
    """Return the headers by name; the values of a repeated one are joined, as WSGI has them."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if len(headers) < len(scope["headers"]):
        headers = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers
