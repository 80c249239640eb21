"""A request and its response, free of any web framework, with the ids that trace a request."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

JSON_MEDIA_TYPE, PROBLEM_MEDIA_TYPE = "application/json", "application/problem+json"
MAX_PARSED_HEADER_CHARS = 1_000  # of a header that has parts; more would take milliseconds
# a client's own id may hold nothing that could end a line or a header
CLIENT_REQUEST_ID_PATTERN = re.compile(r"[!-~]{1,128}")
# characters of a traceparent of version 00; what a later version appends is unknown to this service
TRACEPARENT_LENGTH = 55
TRACEPARENT_PATTERN = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(slots=True)
class HttpRequest:
    """One HTTP request, with its body."""

    method: str
    path: str
    query_string: str  # as in the URL, not decoded
    headers: Mapping[str, str]  # lower-case names
    body: bytes
    client_address: str = ""
    api_key_name: str | None = None
    id: str = ""
    received_at: str = ""  # UTC, ISO 8601
    started_at: float = field(default_factory=time.perf_counter)
    client_request_id: str | None = None
    traceparent: str | None = None
    path_prefix: str = ""  # of its URL, before the path

    def __post_init__(self) -> None:
        timestamp = time.time()
        self.received_at = datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds")
        self.id = generate_request_id(timestamp)
        client_request_id = self.headers.get("x-request-id")
        if client_request_id and CLIENT_REQUEST_ID_PATTERN.fullmatch(client_request_id):
            self.client_request_id = client_request_id
        traceparent = self.headers.get("traceparent")
        if traceparent and _is_valid_traceparent(traceparent):
            self.traceparent = traceparent[:TRACEPARENT_LENGTH]

    def latency_ms(self) -> float:
        """Return the milliseconds since the request arrived."""
        return round((time.perf_counter() - self.started_at) * 1000, 3)

    def tracing_headers(self) -> list[tuple[str, str]]:
        """Return the response headers by which a client finds its request again.

        X-Request-ID is the client's own id, or else the service's. A traceparent that the client
        sent is passed on with this request as the child span.
        """
        headers = [("x-request-id", self.client_request_id or self.id)]
        if self.traceparent:
            _, trace_id, _, flags = self.traceparent.split("-")
            headers.append(("traceparent", f"00-{trace_id}-{self.id[-16:]}-{flags}"))
        return headers


@dataclass(slots=True)
class HttpResponse:
    """One HTTP response."""

    status: int
    media_type: str
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)


def json_response(
    content: object, status: int = 200, media_type: str = JSON_MEDIA_TYPE
) -> HttpResponse:
    """Return a response whose body is the content as JSON."""
    return HttpResponse(status, media_type, orjson.dumps(content))


def generate_request_id(timestamp: float) -> str:
    """Return 32 hex digits that sort by time, a UUID of version 7 (RFC 9562).

    The log's index then grows at its end; a random key would touch a different page for each row.
    """
    number = int(timestamp * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 7 << 76
    return f"{number & ~(0x3 << 62) | 0x2 << 62:032x}"


def _is_valid_traceparent(header_value: str) -> bool:
    """Return whether a header is valid by W3C Trace Context; an invalid one counts as absent."""
    match = TRACEPARENT_PATTERN.fullmatch(header_value)
    if not match:
        return False
    version, trace_id, parent_id, _, suffix = match.groups()
    if version == "ff" or (version == "00" and suffix):
        return False
    return trace_id.strip("0") != "" and parent_id.strip("0") != ""
