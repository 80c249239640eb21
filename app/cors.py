"""Cross-origin requests (CORS, in the Fetch standard): which pages may use the API from a browser.

A key is sent in a header, never as a credential of the browser, so the API needs no cookies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

ORIGIN_PATTERN = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?"
)
DEFAULT_PORTS = {"http": "80", "https": "443"}
ANY_ORIGIN = "*"
ALLOWED_METHODS = "GET, HEAD, POST"
ALLOWED_HEADERS = (
    "Content-Type, Content-Encoding, X-API-Key, Authorization, X-Request-ID, traceparent, "
    "tracestate, If-None-Match"
)
EXPOSED_HEADERS = (
    "X-Request-ID, traceparent, Retry-After, X-Logged, WWW-Authenticate, Allow, Accept-Encoding, "
    "Content-Encoding, Content-Length, ETag"
)
PREFLIGHT_SECONDS = 600  # that a browser may rely on the answer to a preflight request

HeaderPairs = list[tuple[str, str]]


class CorsPolicy(NamedTuple):
    """The origins whose pages may read the API's responses."""

    origins: frozenset[str]

    @property
    def allows_all(self) -> bool:
        """Whether the pages of every origin may."""
        return ANY_ORIGIN in self.origins

    def allows(self, origin: str) -> bool:
        """Return whether the pages of this origin may; "" is a request of no page."""
        return bool(origin) and (self.allows_all or origin.lower() in self.origins)


def parse_origins(text: str) -> CorsPolicy | None:
    """Return the policy of a list of origins, separated by commas or spaces; None if it is empty.

    Raises ValueError that says what is expected.
    """
    origins = frozenset(_normalize_origin(origin) for origin in text.replace(",", " ").split())
    return CorsPolicy(origins) if origins else None


def response_headers(policy: CorsPolicy, origin: str) -> HeaderPairs:
    """Return what a response needs so that the page may read it, and shared caches keep it apart.

    origin: of the page that has sent the request; "" if it was none.
    """
    if policy.allows_all:
        return [("access-control-allow-origin", ANY_ORIGIN), *_EXPOSE_HEADER]
    if not policy.allows(origin):
        return [("vary", "Origin")]
    return [("access-control-allow-origin", origin), *_EXPOSE_HEADER, ("vary", "Origin")]


def is_preflight(policy: CorsPolicy, method: str, headers: Mapping[str, str]) -> bool:
    """Return whether a browser asks if a page may send a request, and it may."""
    return (
        method == "OPTIONS"
        and "access-control-request-method" in headers
        and policy.allows(headers.get("origin", ""))
    )


def preflight_headers() -> HeaderPairs:
    """Return what the answer to a preflight request has beside the headers of any response."""
    return [
        ("access-control-allow-methods", ALLOWED_METHODS),
        ("access-control-allow-headers", ALLOWED_HEADERS),
        ("access-control-max-age", str(PREFLIGHT_SECONDS)),
    ]


def _normalize_origin(text: str) -> str:
    """Return an origin as a browser sends it: without its default port and without a slash."""
    if text == ANY_ORIGIN:
        return text
    match = ORIGIN_PATTERN.fullmatch(text.lower().removesuffix("/"))
    if not match:
        raise ValueError("origins such as https://maps.example or http://localhost:3000, or *")
    scheme, host, port = match["scheme"], match["host"], match["port"]
    return f"{scheme}://{host}" + (f":{port}" if port and port != DEFAULT_PORTS[scheme] else "")


_EXPOSE_HEADER = [("access-control-expose-headers", EXPOSED_HEADERS)]
