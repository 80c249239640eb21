"""Requests from ASGI's scopes."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from app import forwarding
from app.forwarding import ProxySettings
from app.messages import HttpRequest

Scope = MutableMapping[str, Any]


def read_request(scope: Scope, proxies: ProxySettings) -> tuple[Scope, HttpRequest]:
    """Return the request of a scope, without its body, and the scope for a WSGI app."""
    headers = _decode_headers(scope)
    if proxies.are_set:
        scope = _resolve_scope(scope, headers, proxies)
    path_prefix = scope.get("root_path", "")
    request = HttpRequest(
        scope["method"],
        "/" + scope["path"].removeprefix(path_prefix).lstrip("/"),  # as Flask has it
        scope["query_string"].decode("latin-1"),
        headers,
        b"",
        scope["client"][0] if scope["client"] else "",
        path_prefix=path_prefix,
    )
    return scope, request


def _decode_headers(scope: Scope) -> dict[str, str]:
    """Return the headers by name; the values of a repeated one are joined, as WSGI has them."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if len(headers) < len(scope["headers"]):
        headers = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _resolve_scope(
    scope: Scope, headers: dict[str, str], proxies: forwarding.ProxySettings
) -> Scope:
    """Return the scope of the request as its client sent it."""
    address, port = scope["client"] or ("", 0)
    original = forwarding.resolve_request(proxies, scope["path"], headers, address, scope["scheme"])
    raw_headers = scope["headers"]
    if original.host and original.host != headers.get("host"):
        raw_headers = [(name, value) for name, value in raw_headers if name != b"host"]
        raw_headers.append((b"host", original.host.encode("latin-1")))
    return {
        **scope,
        "path": original.path_prefix + original.path,
        "root_path": original.path_prefix,
        "client": (original.client, port),
        "scheme": original.scheme,
        "headers": raw_headers,
    }
